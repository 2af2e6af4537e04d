package griffin.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import griffin.backend.StepPlan;
import griffin.backend.StepResult;
import griffin.backend.cpu.CpuBackend;
import griffin.sampling.SamplingParams;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A decode step allocates nothing on the thread that decodes. Until the compiler has compiled the vector kernels, each of their vectors
 * is an object on the heap; so the warm-up lasts until batches of steps in a row allocate nothing.
 */
class AllocationTest {

    private static final int STEPS = 1000;
    private static final int MAX_BATCHES = 60;
    /** Batches in a row that must allocate nothing. */
    private static final int SETTLED = 3;

    private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    private final StepResult result = new StepResult(2);

    @ParameterizedTest(name = "{0} threads, {1} kernels")
    @CsvSource({"1, scalar", "2, scalar", "1, vector", "2, vector"})
    void decodeStepAllocatesNothing(int workers, String kernels) {
        String before = System.getProperty("griffin.cpu.kernels", "auto");
        System.setProperty("griffin.cpu.kernels", kernels);
        try {
            decode(workers);
        } finally {
            System.setProperty("griffin.cpu.kernels", before);
        }
    }

    private void decode(int workers) {
        try (ModelHarness m = new ModelHarness(new Golden("tiny-a").directory, new CpuBackend(workers), 4, 2)) {
            SamplingParams everything = new SamplingParams(0.8f, 40, 0.95f, 0.01f, 1.1f, 7, 5);
            int[] prompt = {2, 5, 7};
            m.runner.plan().clear().add(0, 0, prompt, 0, 3, StepPlan.Outputs.LAST, everything, Integer.MAX_VALUE, new int[] {-1});
            m.runner.plan().add(1, 0, prompt, 0, 1, StepPlan.Outputs.LAST, everything.withTopK(0).withTopP(1), Integer.MAX_VALUE,
                    new int[0]);
            m.runner.await(m.runner.generate(), result);
            int batches = 0;
            for (int settled = 0; settled < SETTLED; batches++) {
                long bytes = allocatedBy(m);
                settled = bytes == 0 ? settled + 1 : 0;
                assertTrue(batches < MAX_BATCHES || settled == SETTLED,
                        STEPS + " decode steps still allocate " + bytes + " bytes after " + MAX_BATCHES + " times as many");
            }
            assertEquals(StepResult.RUNNING, result.status[0]);
            assertEquals(StepResult.RUNNING, result.status[1]);
        }
    }

    private long allocatedBy(ModelHarness m) {
        long id = Thread.currentThread().threadId();
        long before = threads.getThreadAllocatedBytes(id);
        for (int i = 0; i < STEPS; i++) {
            m.runner.await(m.runner.next(), result);
        }
        return threads.getThreadAllocatedBytes(id) - before;
    }
}
