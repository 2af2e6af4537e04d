package griffin.benchmarks.gpu;

import griffin.backend.Backend;
import griffin.backend.BackendProvider;
import griffin.backend.DType;
import griffin.backend.StateBuffers;
import griffin.backend.StepPlan;
import griffin.backend.StepResult;
import griffin.backend.cuda.OperationProbes;
import griffin.error.BackendUnavailableException;
import griffin.model.GriffinConfig;
import griffin.model.GriffinModel;
import griffin.model.ModelRunner;
import griffin.sampling.SamplingParams;
import griffin.weights.ModelFiles;
import griffin.weights.WeightFiles;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ServiceLoader;

/** Several sequences in a step, which the public interface does not offer: the core's runner. */
final class BatchRuns implements AutoCloseable {

    /** A full window and more, so that every state is read whole. */
    static final int CONTEXT = 2304;
    static final int LARGEST = 32;

    final Costs costs;
    private final Arena arena = Arena.ofShared();
    private final Backend backend;
    private final GriffinConfig config;
    private final StateBuffers states;
    private final ModelRunner runner;
    private final StepResult result = new StepResult(LARGEST);
    private final int context;
    private final int runs;

    /** @param backend closed with this @param context tokens of each prompt */
    BatchRuns(Path directory, Backend backend, int context, int runs) {
        this.context = context;
        this.backend = backend;
        this.runs = runs;
        ModelFiles files = ModelFiles.of(directory);
        config = GriffinConfig.read(files);
        costs = new Costs(config);
        try {
            WeightFiles weights = WeightFiles.open(files, arena);
            states = backend.allocateStates(GriffinModel.stateLayout(config), LARGEST);
            GriffinModel model = new GriffinModel(backend, config, weights);
            runner = new ModelRunner(backend, model, states, backend.defaultChunk(), LARGEST);
        } catch (Throwable e) {
            close();
            throw e;
        }
    }

    /** The backend for a GPU, bfloat16 operands. */
    static Backend cuda(int device) {
        return ServiceLoader.load(BackendProvider.class).stream().map(ServiceLoader.Provider::get)
                .filter(provider -> provider.kind().equals("cuda")).findFirst()
                .orElseThrow(() -> new BackendUnavailableException("griffin-cuda is not on the class path: put its jar beside the others"))
                .open(new BackendProvider.Options(device, DType.BF16, notice -> {}));
    }

    /** Seconds a decode step of {@code batch} sequences, each with its own prompt of {@code context} tokens. */
    double decodeStep(int batch) {
        int[] prompt = SingleRuns.ids(context + batch, config.vocabulary());
        return SingleRuns.median(runs, () -> {
            for (int slot = 0; slot < batch; slot++) {
                read(slot, prompt, slot);
            }
            start(batch, prompt);
            long start = System.nanoTime();
            for (int i = 0; i < SingleRuns.STEPS; i++) {
                runner.await(runner.next(), result);
            }
            double seconds = (System.nanoTime() - start) / 1e9;
            for (int s = 0; s < batch; s++) {
                if (result.status[s] != StepResult.RUNNING) {
                    throw new IllegalStateException("sequence " + s + " of " + batch + " ended with status " + result.status[s]);
                }
            }
            return seconds / SingleRuns.STEPS;
        });
    }

    /** What of the time of reading a chunk of {@code tokens} tokens, behind {@code earlier} others, is not spent on products. */
    OperationProbes.Others otherThanProducts(int earlier, int tokens) {
        int most = Math.min(tokens, runner.maxRows());
        int[] ids = SingleRuns.ids(earlier + most, config.vocabulary());
        backend.clearSlot(states, 0);
        for (int at = 0; at < earlier; at += most) {
            runner.plan().clear().add(0, at, ids, at, Math.min(earlier, at + most), StepPlan.Outputs.NONE);
            runner.await(runner.generate(), result);
        }
        runner.plan().clear().add(0, earlier, ids, earlier, earlier + most, StepPlan.Outputs.NONE);
        return OperationProbes.otherThanProducts(backend, runner.plan());
    }

    private void read(int slot, int[] ids, int from) {
        backend.clearSlot(states, slot);
        int chunk = runner.maxRows();
        for (int at = 0; at < context; at += chunk) {
            int to = Math.min(context, at + chunk);
            runner.plan().clear().add(slot, at, ids, from + at, from + to, StepPlan.Outputs.NONE);
            runner.await(runner.generate(), result);
        }
    }

    /** The first decode step: one token each. */
    private void start(int batch, int[] ids) {
        runner.plan().clear();
        for (int s = 0; s < batch; s++) {
            runner.plan().add(s, context, ids, s, s + 1, StepPlan.Outputs.LAST, new SamplingParams(0.8f, 40, 1, 0, 1, s, -1),
                    Integer.MAX_VALUE, new int[0]);
        }
        runner.await(runner.generate(), result);
    }

    @Override
    public void close() {
        backend.close();
        arena.close();
    }
}
