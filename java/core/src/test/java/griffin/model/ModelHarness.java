package griffin.model;

import griffin.backend.Backend;
import griffin.backend.Buffer;
import griffin.backend.StateBuffers;
import griffin.backend.StepPlan;
import griffin.backend.StepResult;
import griffin.weights.ModelFiles;
import griffin.weights.WeightFiles;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.function.UnaryOperator;

/** A model on a backend with a few state slots, for tests. */
final class ModelHarness implements AutoCloseable {

    final Arena arena = Arena.ofShared();
    final Backend backend;
    final GriffinConfig config;
    final GriffinModel model;
    final StateBuffers states;
    final ModelRunner runner;

    ModelHarness(Path directory, Backend backend, int maxRows, int slots) {
        this(directory, backend, maxRows, slots, UnaryOperator.identity());
    }

    ModelHarness(Path directory, Backend backend, int maxRows, int slots, UnaryOperator<GriffinConfig> change) {
        this.backend = backend;
        ModelFiles files = ModelFiles.of(directory);
        config = change.apply(GriffinConfig.read(files));
        model = new GriffinModel(backend, config, WeightFiles.open(files, arena));
        states = backend.allocateStates(GriffinModel.stateLayout(config), slots);
        runner = new ModelRunner(backend, model, states, maxRows, slots);
    }

    /** Reads ids[from, to) into a slot in one step and returns all their logits [to - from, V]. */
    float[][] score(int slot, int[] ids, int from, int to) {
        runner.plan().clear().add(slot, from, ids, from, to, StepPlan.Outputs.ALL);
        return score();
    }

    /** The logits of the planned output rows. */
    float[][] score() {
        float[][] out = new float[runner.plan().outputs()][];
        runner.score((first, count, logits) -> copyRows(logits, first, count, out));
        return out;
    }

    void copyRows(Buffer logits, int first, int count, float[][] out) {
        float[] all = read(logits);
        for (int i = 0; i < count; i++) {
            out[first + i] = java.util.Arrays.copyOfRange(all, i * config.vocabulary(), (i + 1) * config.vocabulary());
        }
    }

    /** A buffer's elements, row-major. */
    float[] read(Buffer buffer) {
        try (Arena temporary = Arena.ofConfined()) {
            MemorySegment out = temporary.allocate(buffer.bytes(), 4);
            backend.read(buffer, out);
            return out.toArray(ValueLayout.JAVA_FLOAT);
        }
    }

    /** A slot's whole state. */
    byte[] state(int slot) {
        try (Arena temporary = Arena.ofConfined()) {
            MemorySegment out = temporary.allocate(states.layout().bytes(), 4);
            backend.exportSlot(states, slot, out);
            return out.toArray(ValueLayout.JAVA_BYTE);
        }
    }

    /** Reads a prompt into a slot and continues greedily; ids of the continuation. */
    int[] greedy(int slot, int[] prompt, int count) {
        int[] out = new int[count];
        StepResult result = new StepResult(states.slots());
        runner.plan().clear().add(slot, 0, prompt, 0, prompt.length, StepPlan.Outputs.LAST, griffin.sampling.SamplingParams.GREEDY, count,
                new int[0]);
        long ticket = runner.generate();
        for (int i = 0; i < count; i++) {
            runner.await(ticket, result);
            out[i] = result.ids[0];
            if (i + 1 < count) {
                ticket = runner.next();
            }
        }
        return out;
    }

    @Override
    public void close() {
        backend.close();
        arena.close();
    }
}
