package griffin.benchmarks.gpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.cpu.CpuBackend;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** What is run on a GPU, on the embedded model and the CPU: every run must do what it says, whatever it takes. */
class RunsTest {

    private static final Path STORIES = Path.of("../java/stories/src/main/resources/griffin/stories");

    @Test
    void oneSequence() {
        try (SingleRuns runs = new SingleRuns(STORIES, "cpu", 1)) {
            assertTrue(runs.decodeStep(16) > 0);
            assertTrue(runs.prefill(100) > 0);
            assertTrue(runs.firstToken(16) > 0);
        }
    }

    @Test
    void soakAsksForMemoryTwice() {
        long[] asked = {0};
        try (SingleRuns runs = new SingleRuns(STORIES, "cpu", 1)) {
            assertEquals(1, runs.soak(200, 100, false, () -> ++asked[0]));
        }
        assertEquals(2, asked[0]);
    }

    @Test
    void everyLoadHasABackendOfItsOwn() {
        int[] opened = {0};
        Loads loads = new Loads(STORIES, () -> {
            opened[0]++;
            return new CpuBackend(2);
        });
        assertEquals(4, opened[0], "one to warm up, and three");
        assertTrue(loads.first > 0 && loads.median > 0);
    }

    @Test
    void batches() {
        try (BatchRuns runs = new BatchRuns(STORIES, new CpuBackend(2), 100, 1)) {
            assertTrue(runs.decodeStep(2) > 0);
        }
    }
}
