package griffin.backend.cuda;

/** What the host knows of the step that is about to be issued; launch geometry follows from it. Reused. */
final class Extent {

    private static final int FINE_ROWS = 16;
    private static final int COARSE_ROWS = 64;

    int rows;
    int sequences;
    int outputs;
    /** No sequence had more tokens before the step. */
    int before;
    /** Whether every sequence has exactly one row: the decode kernels serve. */
    boolean decode;
    /** Whether the next kernel may start before its predecessor has ended; never the first of a program. */
    boolean dependent;

    /** Whether rows after the last may be computed, too: in programs, whose buffers hold nothing of worth there. */
    boolean spare;

    Extent set(int rowCount, int sequenceCount, int outputCount, boolean oneRowEach) {
        rows = rowCount;
        sequences = sequenceCount;
        outputs = outputCount;
        before = 0;
        decode = oneRowEach;
        dependent = false;
        return this;
    }

    /**
     * The rows that a library product computes. Its algorithm is chosen for each number of rows, so that a few numbers must do for all
     * prompts: multiples of 16, and of 64 from there on, as far as the buffers go.
     *
     * @param live rows that are wanted
     * @param most rows that the buffers have
     */
    int padded(int live, int most) {
        int unit = live <= COARSE_ROWS ? FINE_ROWS : COARSE_ROWS;
        return spare ? Math.max(live, Math.min(most, (live + unit - 1) / unit * unit)) : live;
    }
}
