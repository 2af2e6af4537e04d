package griffin.benchmarks;

import griffin.backend.StateBuffers;
import griffin.backend.StepPlan;
import griffin.backend.StepResult;
import griffin.backend.cpu.CpuBackend;
import griffin.model.BlockKind;
import griffin.model.GriffinConfig;
import griffin.model.GriffinModel;
import griffin.model.ModelRunner;
import griffin.sampling.SamplingParams;
import griffin.weights.ModelFiles;
import griffin.weights.WeightFiles;
import java.lang.foreign.Arena;
import java.util.OptionalLong;
import java.util.Random;

/** A whole model on the CPU backend, to be driven end to end. */
final class Workload implements AutoCloseable {

    final GriffinConfig config;
    /** Bytes of all weights; every one is read once per decode step. */
    final long weightBytes;
    final String description;
    private final Arena arena = Arena.ofShared();
    private final WeightFiles weights;
    private final CpuBackend backend;
    private final StateBuffers states;
    private final ModelRunner runner;
    private final StepResult result;
    private final int[] ids;

    Workload(Options o, int maxRows, int slots) {
        this(files(o), o.threads, maxRows, slots);
        if (o.model != null && !o.copiesWeights()) { // as a user's program does it
            weights.wishForLargePages();
            weights.settle();
        }
    }

    private static ModelFiles files(Options o) {
        if (o.model == null) {
            return new RandomFiles(o.shape.config(o.layers()));
        }
        ModelFiles files = ModelFiles.of(o.model);
        return o.copiesWeights() ? files.copied(bytes -> {}) : files;
    }

    Workload(ModelFiles files, int threads, int maxRows, int slots) {
        backend = new CpuBackend(threads);
        config = GriffinConfig.read(files);
        weights = WeightFiles.open(files, arena);
        weightBytes = weights.bytes();
        GriffinModel model = new GriffinModel(backend, config, weights);
        states = backend.allocateStates(GriffinModel.stateLayout(config), slots);
        runner = new ModelRunner(backend, model, states, maxRows, slots);
        result = new StepResult(slots);
        ids = new Random(5).ints(maxRows, 3, config.vocabulary()).toArray();
        description = "weights of %s: D = %d, %d layers, V = %d, %.2f GB bf16; %s".formatted(files.location(), config.width(),
                config.layers(), config.vocabulary(), weightBytes / 1e9, backend.device().name());
    }

    /** Reads {@code count} tokens at once into slot 0 from position 0 and samples one. */
    int prefill(int count) {
        runner.plan().clear().add(0, 0, ids, 0, count, StepPlan.Outputs.LAST, SamplingParams.GREEDY, Integer.MAX_VALUE, new int[0]);
        runner.await(runner.generate(), result);
        return result.ids[0];
    }

    /** Starts all slots at a given position with one token each: the following steps decode all of them together. */
    void startBatch(int sequences, int position) {
        runner.plan().clear();
        for (int s = 0; s < sequences; s++) {
            runner.plan().add(s, position, ids, s, s + 1, StepPlan.Outputs.LAST, SamplingParams.GREEDY, Integer.MAX_VALUE, new int[0]);
        }
        runner.await(runner.generate(), result);
    }

    /** Decodes {@code steps} steps and returns the last token of the first sequence. */
    int decode(int steps) {
        for (int i = 0; i < steps; i++) {
            runner.await(runner.next(), result);
        }
        return result.ids[0];
    }

    /** Bytes of the weights in pages of 2 MiB, where the system tells; known once they have been read. */
    OptionalLong bytesInLargePages() {
        return weights.bytesInLargePages();
    }

    StateBuffers states() {
        return states;
    }

    CpuBackend backend() {
        return backend;
    }

    /** Operations (two per multiply-add) of reading {@code count} tokens from position 0, the head of one row included. */
    double prefillOperations(int count) {
        long d = config.width();
        long e = config.lruWidth();
        long f = config.mlpWidth();
        long hk = (long) config.heads() * config.headWidth();
        long recurrent = 3 * d * e + 2 * e * config.gateWidth();
        long attention = 2 * d * hk + 2 * d * config.headWidth();
        long visible = 0;
        for (int t = 0; t < count; t++) {
            visible += Math.min(t, config.window()) + 1;
        }
        double perToken = 3 * d * f * config.layers() + recurrent * config.recurrentLayers() + attention * config.attentionLayers();
        double skipped = lastLayerSkipped(count);
        return 2 * (perToken * count - skipped + 2.0 * hk * visible * config.attentionLayers() + (double) d * config.vocabulary());
    }

    /** The last layer's projection and MLP are computed only for the row whose logits are wanted. */
    private double lastLayerSkipped(int count) {
        boolean recurrent = config.blockKind(config.layers() - 1) == BlockKind.RECURRENT;
        long mixed = recurrent ? config.lruWidth() : (long) config.heads() * config.headWidth();
        return (count - 1.0) * config.width() * (mixed + 3.0 * config.mlpWidth());
    }

    @Override
    public void close() {
        backend.close();
        arena.close();
    }
}
