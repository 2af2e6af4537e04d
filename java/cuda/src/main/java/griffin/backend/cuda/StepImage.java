package griffin.backend.cuda;

import griffin.backend.StepPlan;
import griffin.backend.StepResult;
import griffin.error.InvalidRequestException;
import griffin.sampling.SamplingParams;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Where the arrays of a step lie in its one block of device memory, and how a plan is written there: the host's side of struct Step in
 * cuda-kernels/src/common.cuh. Offsets are bytes, multiples of 16. What {@code submit} copies comes first.
 */
final class StepImage {

    static final int MAX_END_IDS = 16;
    static final int SAMPLING_BYTES = 32;

    final int maxRows;
    final int maxSequences;
    final long tokens;
    final long positions;
    final long rowSequence;
    final long slots;
    final long rowStarts;
    final long outputRows;
    final long sampledOutputs;
    final long remaining;
    final long endIds;
    final long sampling;
    final long status;
    /** Bytes that a submit copies. */
    final long submitted;
    final long ids;
    final long logProbabilities;
    final long alternativeIds;
    final long alternativeLogProbabilities;
    /** Bytes in all. */
    final long bytes;
    private long end = 16; // counts [4] come first

    StepImage(int maxRows, int maxSequences) {
        this.maxRows = maxRows;
        this.maxSequences = maxSequences;
        tokens = place(4L * maxRows);
        positions = place(4L * maxRows);
        rowSequence = place(4L * maxRows);
        slots = place(4L * maxSequences);
        rowStarts = place(4L * (maxSequences + 1));
        outputRows = place(4L * maxRows);
        sampledOutputs = place(4L * maxSequences);
        remaining = place(4L * maxSequences);
        endIds = place(4L * maxSequences * MAX_END_IDS);
        sampling = place((long) SAMPLING_BYTES * maxSequences);
        status = place(4L * maxSequences);
        submitted = end;
        ids = place(4L * maxSequences);
        logProbabilities = place(4L * maxSequences);
        alternativeIds = place(4L * maxSequences * StepResult.MAX_ALTERNATIVES);
        alternativeLogProbabilities = place(4L * maxSequences * StepResult.MAX_ALTERNATIVES);
        bytes = end;
    }

    private long place(long size) {
        long at = end;
        end += (size + 15) / 16 * 16;
        return at;
    }

    /** Ints of one result in the published ring: the ticket word, ids, status, log-probabilities, alternatives and theirs. */
    int publishedStride() {
        return (1 + maxSequences * (3 + 2 * StepResult.MAX_ALTERNATIVES) + 15) / 16 * 16;
    }

    /** Checks what the device cannot hold. */
    void check(StepPlan plan) {
        for (int s = 0; s < plan.sequences(); s++) {
            if (plan.endIds(s).length > MAX_END_IDS) {
                throw new InvalidRequestException("a sequence on a GPU can have at most " + MAX_END_IDS + " end ids, not "
                        + plan.endIds(s).length + ": look for the others in what is generated");
            }
        }
    }

    /** Writes a plan into a host image of the submitted bytes. */
    void fill(MemorySegment image, StepPlan plan, int ticket) {
        set(image, 0, 0, plan.rows());
        set(image, 0, 1, plan.sequences());
        set(image, 0, 2, plan.outputs());
        set(image, 0, 3, ticket);
        for (int i = 0; i < plan.outputs(); i++) {
            set(image, outputRows, i, plan.outputRow(i));
        }
        set(image, rowStarts, plan.sequences(), plan.rows());
        for (int s = 0; s < plan.sequences(); s++) {
            int end = s + 1 < plan.sequences() ? plan.rowStart(s + 1) : plan.rows();
            set(image, rowStarts, s, plan.rowStart(s));
            set(image, slots, s, plan.slot(s));
            set(image, sampledOutputs, s, plan.sampledOutput(s));
            set(image, remaining, s, plan.remaining(s));
            set(image, status, s, StepResult.RUNNING);
            sampling(image, sampling + (long) s * SAMPLING_BYTES, plan.sampling(s));
            int[] ends = plan.endIds(s);
            for (int i = 0; i < MAX_END_IDS; i++) {
                set(image, endIds, s * MAX_END_IDS + i, i < ends.length ? ends[i] : -1);
            }
            for (int row = plan.rowStart(s); row < end; row++) {
                set(image, tokens, row, plan.token(row));
                set(image, positions, row, plan.position(row));
                set(image, rowSequence, row, s);
            }
        }
    }

    /** struct SamplingRow. */
    private static void sampling(MemorySegment image, long at, SamplingParams p) {
        image.set(ValueLayout.JAVA_FLOAT, at, p.temperature());
        image.set(ValueLayout.JAVA_INT, at + 4, p.topK());
        image.set(ValueLayout.JAVA_FLOAT, at + 8, p.topP());
        image.set(ValueLayout.JAVA_FLOAT, at + 12, p.minP());
        image.set(ValueLayout.JAVA_FLOAT, at + 16, p.repetitionPenalty());
        image.set(ValueLayout.JAVA_INT, at + 20, p.logProbabilities());
        image.set(ValueLayout.JAVA_LONG, at + 24, p.seed());
    }

    private static void set(MemorySegment image, long array, int index, int value) {
        image.set(ValueLayout.JAVA_INT, array + 4L * index, value);
    }
}
