package griffin.backend.cuda;

/** What the host knows of the step that is about to be issued; launch geometry follows from it. Reused. */
final class Extent {

    int rows;
    int sequences;
    int outputs;
    /** Whether every sequence has exactly one row: the decode kernels serve. */
    boolean decode;
    /** Whether the next kernel may start before its predecessor has ended; never the first of a program. */
    boolean dependent;

    Extent set(int rowCount, int sequenceCount, int outputCount, boolean oneRowEach) {
        rows = rowCount;
        sequences = sequenceCount;
        outputs = outputCount;
        decode = oneRowEach;
        dependent = false;
        return this;
    }
}
