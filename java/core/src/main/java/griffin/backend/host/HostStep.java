package griffin.backend.host;

import griffin.backend.Rows;
import griffin.backend.Step;
import griffin.backend.StepPlan;
import griffin.backend.StepResult;
import griffin.sampling.SamplingParams;

/** A step in Java arrays; operations read the fields directly. Sequence s has rows [rowStarts[s], rowStarts[s + 1]). */
public final class HostStep implements Step {

    private final int maxRows;
    private final int maxSequences;
    private final HostRows rows;
    private final HostRows outputs;
    final int scrapSlot;

    public int sequenceCount;
    public int rowCount;
    public int outputCount;
    /** [M] */
    public final int[] tokens;
    /** [M] */
    public final int[] positions;
    /** [M] the sequence each row belongs to */
    public final int[] rowSequence;
    /** [S] */
    public final int[] slots;
    /** [S + 1] */
    public final int[] rowStarts;
    /** [outputs] */
    public final int[] outputRows;
    /** [S] index among the outputs, or -1 */
    public final int[] sampledOutputs;
    public final SamplingParams[] sampling;
    public final int[] remaining;
    public final int[][] endIds;
    /** [S] set by the host, read by advance */
    public final boolean[] cancelled;
    /** What sample chose in the run under way. */
    public final StepResult result;

    HostStep(int maxRows, int maxSequences, int scrapSlot) {
        this.scrapSlot = scrapSlot;
        this.maxRows = maxRows;
        this.maxSequences = maxSequences;
        rows = new HostRows(this, false, 0, maxRows);
        outputs = new HostRows(this, true, 0, maxRows);
        tokens = new int[maxRows];
        positions = new int[maxRows];
        rowSequence = new int[maxRows];
        slots = new int[maxSequences];
        rowStarts = new int[maxSequences + 1];
        outputRows = new int[maxRows];
        sampledOutputs = new int[maxSequences];
        sampling = new SamplingParams[maxSequences];
        remaining = new int[maxSequences];
        endIds = new int[maxSequences][];
        cancelled = new boolean[maxSequences];
        result = new StepResult(maxSequences);
    }

    /** The host step behind an operation's argument. */
    public static HostStep of(Step step) {
        return (HostStep) step;
    }

    void fill(StepPlan plan) {
        sequenceCount = plan.sequences();
        rowCount = plan.rows();
        outputCount = plan.outputs();
        for (int i = 0; i < outputCount; i++) {
            outputRows[i] = plan.outputRow(i);
        }
        rowStarts[sequenceCount] = rowCount;
        for (int s = 0; s < sequenceCount; s++) {
            rowStarts[s] = plan.rowStart(s);
            slots[s] = plan.slot(s);
            sampledOutputs[s] = plan.sampledOutput(s);
            sampling[s] = plan.sampling(s);
            remaining[s] = plan.remaining(s);
            endIds[s] = plan.endIds(s);
            cancelled[s] = false;
            result.status[s] = StepResult.RUNNING;
        }
        for (int s = 0; s < sequenceCount; s++) {
            for (int row = rowStarts[s]; row < rowStarts[s + 1]; row++) {
                tokens[row] = plan.token(row);
                positions[row] = plan.position(row);
                rowSequence[row] = s;
            }
        }
    }

    /** The first row of this step that belongs to the same document as {@code row}. */
    public int documentStart(int row) {
        return Math.max(rowStarts[rowSequence[row]], row - positions[row]);
    }

    @Override
    public int maxRows() {
        return maxRows;
    }

    @Override
    public int maxSequences() {
        return maxSequences;
    }

    @Override
    public Rows rows() {
        return rows;
    }

    @Override
    public Rows outputs() {
        return outputs;
    }
}
