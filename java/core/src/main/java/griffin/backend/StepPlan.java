package griffin.backend;

import griffin.sampling.SamplingParams;

/** What the host wants done in one step: sequences of rows. Reused; filling it allocates nothing. */
public final class StepPlan {

    /** Which of a sequence's rows need logits. */
    public enum Outputs {
        NONE, LAST, ALL
    }

    private static final int[] NO_END_IDS = {};

    final int maxRows;
    final int maxSequences;
    int sequences;
    int rows;
    int outputs;
    /** [M] */
    final int[] tokens;
    /** [M] */
    final int[] positions;
    /** [S] */
    final int[] slots;
    /** [S + 1] */
    final int[] rowStarts;
    /** [outputs], increasing */
    final int[] outputRows;
    /** [S] the output row of the sequence's last token among the outputs, or -1 */
    final int[] sampledOutputs;
    final SamplingParams[] sampling;
    final int[] remaining;
    final int[][] endIds;

    public StepPlan(int maxRows, int maxSequences) {
        this.maxRows = maxRows;
        this.maxSequences = maxSequences;
        tokens = new int[maxRows];
        positions = new int[maxRows];
        slots = new int[maxSequences];
        rowStarts = new int[maxSequences + 1];
        outputRows = new int[maxRows];
        sampledOutputs = new int[maxSequences];
        sampling = new SamplingParams[maxSequences];
        remaining = new int[maxSequences];
        endIds = new int[maxSequences][];
    }

    /** Empties the plan. */
    public StepPlan clear() {
        sequences = rows = outputs = 0;
        return this;
    }

    /** Rows that still fit. */
    public int freeRows() {
        return maxRows - rows;
    }

    public int sequences() {
        return sequences;
    }

    public int rows() {
        return rows;
    }

    public int outputs() {
        return outputs;
    }

    public int token(int row) {
        return tokens[row];
    }

    public int position(int row) {
        return positions[row];
    }

    public int slot(int sequence) {
        return slots[sequence];
    }

    public int rowStart(int sequence) {
        return rowStarts[sequence];
    }

    public int outputRow(int output) {
        return outputRows[output];
    }

    /** Index among the outputs of the row that the sequence samples from, or -1. */
    public int sampledOutput(int sequence) {
        return sampledOutputs[sequence];
    }

    public SamplingParams sampling(int sequence) {
        return sampling[sequence];
    }

    /** How many tokens the sequence may still sample, this step's included. */
    public int remaining(int sequence) {
        return remaining[sequence];
    }

    public int[] endIds(int sequence) {
        return endIds[sequence];
    }

    /** Adds ids[from, to) of a sequence at consecutive positions; for prompts, scoring and tests. Returns the sequence's index. */
    public int add(int slot, int position, int[] ids, int from, int to, Outputs wanted) {
        return add(slot, position, ids, from, to, wanted, SamplingParams.GREEDY, Integer.MAX_VALUE, NO_END_IDS);
    }

    /**
     * Adds ids[from, to) of a sequence at consecutive positions.
     *
     * @param slot      where its state is
     * @param position  position of ids[from]; 0 starts a document from nothing
     * @param wanted    LAST also samples the next token; ALL only scores
     * @param remaining tokens it may still sample, this step's included
     * @param endIds    ids that end it; sampled, reported as ENDED, never consumed
     */
    public int add(int slot, int position, int[] ids, int from, int to, Outputs wanted, SamplingParams params, int remaining,
            int[] endIds) {
        int s = begin(slot, to - from, params, remaining, endIds);
        for (int i = from; i < to; i++) {
            tokens[rows] = ids[i];
            positions[rows] = position + (i - from);
            rows++;
        }
        finish(s, wanted);
        return s;
    }

    /** Adds several documents of one sequence packed one after the other: positions restart at 0 wherever the caller says. */
    public int addPacked(int slot, int[] ids, int[] positions, int from, int to, Outputs wanted) {
        int s = begin(slot, to - from, SamplingParams.GREEDY, Integer.MAX_VALUE, NO_END_IDS);
        for (int i = from; i < to; i++) {
            tokens[rows] = ids[i];
            this.positions[rows] = positions[i];
            rows++;
        }
        finish(s, wanted);
        return s;
    }

    private int begin(int slot, int count, SamplingParams params, int limit, int[] ends) {
        if (count < 1 || count > freeRows() || sequences == maxSequences) {
            throw new IllegalArgumentException("a step of " + maxRows + " rows and " + maxSequences + " sequences has no room for " + count
                    + " rows more: " + rows + " rows of " + sequences + " sequences are taken");
        }
        int s = sequences++;
        slots[s] = slot;
        rowStarts[s] = rows;
        sampling[s] = params;
        remaining[s] = limit;
        endIds[s] = ends;
        return s;
    }

    private void finish(int s, Outputs wanted) {
        rowStarts[s + 1] = rows;
        int first = switch (wanted) {
            case NONE -> rows;
            case LAST -> rows - 1;
            case ALL -> rowStarts[s];
        };
        for (int row = first; row < rows; row++) {
            outputRows[outputs++] = row;
        }
        sampledOutputs[s] = wanted == Outputs.LAST ? outputs - 1 : -1;
    }
}
