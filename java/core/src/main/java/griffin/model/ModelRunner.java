package griffin.model;

import griffin.backend.Backend;
import griffin.backend.Buffer;
import griffin.backend.Program;
import griffin.backend.Rows;
import griffin.backend.StateBuffers;
import griffin.backend.Step;
import griffin.backend.StepPlan;
import griffin.backend.StepResult;
import griffin.sampling.SamplingParams;
import java.lang.foreign.MemorySegment;

/**
 * Runs a model: one step, one workspace, a pool's states, and the recorded programs over them. The caller fills {@link #plan} and
 * says what is to be done with it. Confined to one thread at a time.
 */
public final class ModelRunner {

    /** Rows whose logits are computed at once when all rows are scored: 16 x 256,000 x 4 bytes = 16 MB. */
    private static final int SCORED_ROWS = 16;

    private final Backend backend;
    private final GriffinModel model;
    private final StateBuffers states;
    private final Step step;
    private final StepPlan plan;
    private final Workspace workspace;
    private final Program generate;
    private final Program score;
    private final Program[] heads;
    private final int headRows;
    private final int chunk;
    /** Samples from logits that are there; recorded when first wanted. */
    private Program sample;

    /**
     * @param maxRows      M: token rows of one step, so also the largest chunk of a prompt
     * @param maxSequences S: sequences of one step
     */
    public ModelRunner(Backend backend, GriffinModel model, StateBuffers states, int maxRows, int maxSequences) {
        this(backend, model, states, maxRows, maxSequences, maxRows);
    }

    /** @param chunk the most rows of a prompt that a sequence alone takes in one step */
    public ModelRunner(Backend backend, GriffinModel model, StateBuffers states, int maxRows, int maxSequences, int chunk) {
        this.chunk = chunk;
        this.backend = backend;
        this.model = model;
        this.states = states;
        headRows = logitsRows(maxRows, maxSequences);
        step = backend.allocateStep(maxRows, maxSequences, states.scrapSlot());
        plan = new StepPlan(maxRows, maxSequences);
        workspace = model.workspace(maxRows, headRows);
        generate = backend.record(step, () -> {
            forward(null);
            head(0);
            backend.sample(step, workspace.logits(), states.seen());
            backend.advance(step);
        });
        score = backend.record(step, () -> {
            forward(null);
            backend.sample(step, workspace.logits(), states.seen());
        });
        heads = new Program[(maxRows + headRows - 1) / headRows];
    }

    /** The program for logits from a row on, recorded when it is first wanted: most runners score nothing. */
    private Program headFrom(int from) {
        int i = from / headRows;
        if (heads[i] == null) {
            heads[i] = backend.record(step, () -> head(from));
        }
        return heads[i];
    }

    /** Rows of logits that a runner keeps at once. */
    static int logitsRows(int maxRows, int maxSequences) {
        return Math.max(maxSequences, Math.min(SCORED_ROWS, maxRows));
    }

    private void forward(GriffinModel.LayerObserver observer) {
        model.forward(step, states, workspace, observer);
    }

    private void head(int from) {
        int count = Math.min(headRows, step.maxRows() - from);
        Rows rows = step.outputs().slice(from, count);
        model.logits(rows, workspace.hidden().rows(from, count), workspace.logits().rows(0, count));
    }

    public Backend backend() {
        return backend;
    }

    public GriffinModel model() {
        return model;
    }

    public StateBuffers states() {
        return states;
    }

    /** The plan to fill for the next step; emptied by {@link StepPlan#clear()}. */
    public StepPlan plan() {
        return plan;
    }

    /** M: the most rows of a step. */
    public int maxRows() {
        return step.maxRows();
    }

    /** The most rows of a prompt that a sequence alone takes in one step. */
    public int chunk() {
        return chunk;
    }

    /** S: the most sequences of a step. */
    public int maxSequences() {
        return step.maxSequences();
    }

    /** Bytes of the buffers that every step shares. */
    public long workspaceBytes() {
        return workspace.bytes();
    }

    /**
     * Reads the planned tokens and samples for the sequences that ask for it. Afterwards the step stands ready as the next decode step
     * ({@link #next}). Returns the run's ticket.
     */
    public long generate() {
        backend.submit(step, plan);
        return backend.run(generate);
    }

    /** One more decode step of all sequences that have not ended: nothing crosses to the device but the launch. */
    public long next() {
        return backend.run(generate);
    }

    /**
     * Samples for the one planned row, which the state holds already, from the logits that it led to. The state stays as it is; the step
     * stands ready as after {@link #generate}.
     *
     * @param logits float32 [V]
     */
    public long sample(float[] logits) {
        if (sample == null) {
            sample = backend.record(step, () -> {
                backend.sample(step, workspace.logits(), states.seen());
                backend.advance(step);
            });
        }
        backend.submit(step, plan);
        backend.write(workspace.logits().rows(0, 1), MemorySegment.ofArray(logits));
        return backend.run(sample);
    }

    /** Copies the logits [V] of one of the last step's output rows. */
    public void logits(int output, float[] into) {
        backend.read(workspace.logits().rows(output, 1), MemorySegment.ofArray(into));
    }

    /**
     * Reads prompts of the lengths that the backend names, and samples a token after each, on the scrap slot: the states of sequences stay
     * as they are. Costs a few steps; leaves the plan empty.
     */
    public void warmUp() {
        StepResult done = new StepResult(step.maxSequences());
        for (int wanted : backend.warmUpRows()) {
            int rows = Math.min(wanted, step.maxRows());
            plan.clear().add(states.scrapSlot(), 0, new int[rows], 0, rows, StepPlan.Outputs.LAST, SamplingParams.GREEDY, 2, new int[0]);
            backend.await(generate(), done);
            backend.await(next(), done);
        }
        plan.clear();
    }

    /** Waits for a run and copies what it sampled. */
    public void await(long ticket, StepResult into) {
        backend.await(ticket, into);
    }

    /** Asks a sequence of the step to end. */
    public void cancel(int sequence) {
        backend.cancel(step, sequence);
    }

    /** Receives logits [count, V] of the plan's output rows [from, from + count). */
    public interface LogitsConsumer {
        void accept(int from, int count, Buffer logits);
    }

    /** Reads the planned tokens and hands over the logits of all rows that ask for them, a few at a time. */
    public void score(LogitsConsumer consumer) {
        backend.submit(step, plan);
        StepResult done = new StepResult(step.maxSequences());
        backend.await(backend.run(score), done);
        for (int from = 0; from < plan.outputs(); from += headRows) {
            backend.await(backend.run(headFrom(from)), done);
            consumer.accept(from, Math.min(headRows, plan.outputs() - from), workspace.logits());
        }
    }

    /** Like {@link #score}, eagerly and showing the residual stream after every layer; for tests. */
    void observe(GriffinModel.LayerObserver observer, LogitsConsumer consumer) {
        backend.submit(step, plan);
        forward(observer);
        for (int from = 0; from < plan.outputs(); from += headRows) {
            head(from);
            consumer.accept(from, Math.min(headRows, plan.outputs() - from), workspace.logits());
        }
    }
}
