package griffin.model;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import griffin.backend.DType;
import griffin.backend.StateBuffers;
import griffin.backend.cpu.CpuBackend;
import griffin.weights.ModelFiles;
import griffin.weights.RandomModel;
import griffin.weights.WeightFiles;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What the check of the memory counts is what a runner on the CPU allocates. */
class HeapNeedTest {

    private static final int CHUNK = 32;

    @ParameterizedTest
    @CsvSource({"BF16, 1", "F32, 1", "F16, 3"})
    void countedIsWhatIsAllocated(DType type, int threads, @TempDir Path folder) throws IOException {
        RandomModel.write(folder, Files.readString(Path.of("src/test/resources/golden/real-head/config.json")), 3, type);
        allocated(type, threads, folder); // loading classes allocates, too
        long[] bytes = allocated(type, threads, folder);
        assertTrue(bytes[1] <= bytes[0] && bytes[0] < bytes[1] * 1.1,
                type + ": " + bytes[0] + " bytes were allocated, " + bytes[1] + " counted");
    }

    /** What opening a backend and a runner allocates, and what was counted for it. */
    private static long[] allocated(DType type, int threads, Path folder) {
        ThreadMXBean thread = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long id = Thread.currentThread().threadId();
        try (Arena arena = Arena.ofShared()) {
            ModelFiles files = ModelFiles.of(folder);
            GriffinConfig c = GriffinConfig.read(files);
            long before = thread.getThreadAllocatedBytes(id);
            try (CpuBackend backend = new CpuBackend(threads)) {
                long made = thread.getThreadAllocatedBytes(id) - before;
                GriffinModel model = new GriffinModel(backend, c, WeightFiles.open(files, arena));
                StateBuffers states = backend.allocateStates(GriffinModel.stateLayout(c), 1);
                long start = thread.getThreadAllocatedBytes(id);
                ModelRunner runner = new ModelRunner(backend, model, states, CHUNK, 1);
                made += thread.getThreadAllocatedBytes(id) - start;
                long counted = runner.workspaceBytes() + backend.heapBytes(states.layout(), c.heads(),
                        Math.max(Math.max(c.width(), c.lruWidth()), Math.max(c.mlpWidth(), c.heads() * c.headWidth())), type != DType.BF16);
                return new long[] {made, counted};
            }
        }
    }
}
