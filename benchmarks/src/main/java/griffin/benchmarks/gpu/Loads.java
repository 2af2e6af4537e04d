package griffin.benchmarks.gpu;

import griffin.backend.Backend;
import griffin.backend.StateBuffers;
import griffin.model.GriffinConfig;
import griffin.model.GriffinModel;
import griffin.weights.ModelFiles;
import griffin.weights.WeightFiles;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.function.Supplier;

/** Loading alone, from freshly mapped files to weights that can be used, each time into a backend opened for it and closed again. */
final class Loads {

    private static final int RUNS = 3;

    /** Seconds of the first one: it warms up the process, and the page cache where the files were not in it. */
    final double first;
    /** Seconds, the median of those that follow. */
    final double median;

    private double measuredFirst = Double.NaN;

    /** @param backends opens one as often as it is asked */
    Loads(Path directory, Supplier<Backend> backends) {
        median = SingleRuns.median(RUNS, () -> {
            double seconds = load(ModelFiles.of(directory), backends);
            measuredFirst = Double.isNaN(measuredFirst) ? seconds : measuredFirst;
            return seconds;
        });
        first = measuredFirst;
    }

    /** Seconds of one, announced as a program that embeds Griffin would. */
    private static double load(ModelFiles files, Supplier<Backend> backends) {
        GriffinConfig config = GriffinConfig.read(files);
        try (Arena arena = Arena.ofShared(); Backend backend = backends.get()) {
            WeightFiles weights = WeightFiles.open(files, arena);
            backend.requireMemory(GriffinModel.memoryNeed(config, 1, backend.defaultChunk(), 1));
            StateBuffers states = backend.allocateStates(GriffinModel.stateLayout(config), 1);
            long start = System.nanoTime();
            new GriffinModel(backend, config, weights);
            backend.allocateStep(1, 1, states.scrapSlot()); // waits for what is being copied
            return (System.nanoTime() - start) / 1e9;
        }
    }
}
