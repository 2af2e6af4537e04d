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
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A decode step allocates nothing on the thread that decodes. Until the compiler has inlined the vector kernels, each of their vectors is
 * an object on the heap; so the warm-up lasts until a whole batch of steps allocated nothing, and then another batch must do the same.
 */
class AllocationTest {

    private static final int STEPS = 1000;
    private static final int MAX_BATCHES = 60;

    private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    private final StepResult result = new StepResult(2);

    @ParameterizedTest(name = "{0} threads")
    @ValueSource(ints = {1, 2})
    void decodeStepAllocatesNothing(int workers) {
        try (ModelHarness m = new ModelHarness(new Golden("tiny-a").directory, new CpuBackend(workers), 4, 2)) {
            SamplingParams everything = new SamplingParams(0.8f, 40, 0.95f, 0.01f, 1.1f, 7, 5);
            int[] prompt = {2, 5, 7};
            m.runner.plan().clear().add(0, 0, prompt, 0, 3, StepPlan.Outputs.LAST, everything, Integer.MAX_VALUE, new int[] {-1});
            m.runner.plan().add(1, 0, prompt, 0, 1, StepPlan.Outputs.LAST, everything.withTopK(0).withTopP(1), Integer.MAX_VALUE,
                    new int[0]);
            m.runner.await(m.runner.generate(), result);
            int batches = 0;
            for (long bytes = allocatedBy(m); bytes != 0; bytes = allocatedBy(m)) {
                assertTrue(++batches < MAX_BATCHES,
                        STEPS + " decode steps still allocate " + bytes + " bytes after " + MAX_BATCHES + " times as many");
            }
            assertEquals(0, allocatedBy(m), "bytes allocated by " + STEPS + " decode steps");
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
