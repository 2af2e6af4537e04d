package griffin.backend;

/**
 * All that varies between steps, in device memory: tokens [M], positions [M], slots [S], row starts [S + 1], output rows, sampling
 * parameters, limits. The rows of one sequence are consecutive; their positions count up by one, or restart at 0 where a new
 * document begins.
 */
public interface Step {

    /** Largest M. */
    int maxRows();

    /** Largest S. */
    int maxSequences();

    /** All rows of the step. */
    Rows rows();

    /** The rows gathered by {@link Backend#selectRows}. */
    Rows outputs();
}
