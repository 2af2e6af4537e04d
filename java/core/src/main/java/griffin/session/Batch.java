package griffin.session;

import griffin.backend.StepResult;
import griffin.model.ModelRunner;
import java.util.Arrays;

/**
 * Steps of several generations at once. Between two steps runs come and go as they like: {@link #clear}, {@link #add} each, {@link #run},
 * {@link #take} each. As long as the same runs decode, the device repeats its step and is given nothing. Confined to one thread at a time.
 */
public final class Batch {

    private final ModelRunner runner;
    private final StatePool pool;
    private final StepResult result;
    private final SequenceRun[] runs;
    private final int[] rowsOf;
    /** Output rows of the runs before. */
    private final int[] outputOf;
    private int sequences;
    private int outputs;
    private int rows;
    /** Sequences of the step before. */
    private int before;
    /** Whether all that was added decodes and stood at the same place in the step before. */
    private boolean same;

    public Batch(ModelRunner runner, StatePool pool) {
        this.runner = runner;
        this.pool = pool;
        result = new StepResult(runner.maxSequences());
        runs = new SequenceRun[runner.maxSequences()];
        rowsOf = new int[runs.length];
        outputOf = new int[runs.length];
    }

    /** Begins a step. */
    public void clear() {
        before = sequences;
        sequences = rows = outputs = 0;
        same = true;
    }

    /**
     * Adds a run that {@link SequenceRun#needsStep needs a step}.
     *
     * @param count rows of its step, 1 to {@link SequenceRun#rows}
     */
    public void add(SequenceRun run, int count) {
        same &= runs[sequences] == run && !run.reading();
        runs[sequences] = run;
        rowsOf[sequences] = count;
        outputOf[sequences++] = outputs;
        outputs += run.samples(count) ? 1 : 0;
        rows += count;
    }

    public int sequences() {
        return sequences;
    }

    public int rows() {
        return rows;
    }

    public SequenceRun run(int index) {
        return runs[index];
    }

    /** Rows of the run at {@code index}. */
    public int rowsOf(int index) {
        return rowsOf[index];
    }

    /** Runs the step of all that was added. If it fails, all of their sequences are broken, and no others. */
    public void run() {
        boolean again = same && sequences == before && pool.stepIs(this);
        if (!again) {
            runner.plan().clear();
            for (int i = 0; i < sequences; i++) {
                runs[i].plan(runner.plan(), rowsOf[i]);
            }
        }
        for (int i = 0; i < sequences; i++) {
            runs[i].begin();
        }
        runner.await(again ? runner.next() : runner.generate(), result);
        pool.stepIsOf(this);
    }

    /**
     * Hands a run its part of the step; once for each.
     *
     * @return whether it has a token to report
     * @throws griffin.error.ModelFormatException when its logits were not finite: its sequence is broken, and no other
     */
    public boolean take(int index) {
        return runs[index].take(result, index);
    }

    /** Copies the logits [V] that the run at {@code index} sampled from; before the device does anything else. */
    public void logits(int index, float[] into) {
        runner.logits(outputOf[index], into);
    }

    /** Forgets all runs, so that a batch without work holds no sequence. */
    public void forget() {
        Arrays.fill(runs, null);
        sequences = before = rows = 0;
    }
}
