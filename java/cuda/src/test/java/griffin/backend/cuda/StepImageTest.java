package griffin.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import griffin.backend.DType;
import griffin.backend.StepPlan;
import griffin.bindings.NativeLibraries;
import griffin.bindings.fake.FakeDriver;
import griffin.error.InvalidRequestException;
import griffin.sampling.SamplingParams;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A submitted plan, read back from device memory through struct Step as a kernel would: pointer by pointer. */
class StepImageTest {

    @TempDir
    Path folder;

    @AfterEach
    void forget() {
        NativeLibraries.forget();
    }

    private static int[] ints(MemorySegment struct, int pointer, int count) {
        return Fake.at(struct.getAtIndex(ValueLayout.JAVA_LONG, pointer), 4L * count).toArray(ValueLayout.JAVA_INT);
    }

    @Test
    void aKernelFindsThePlan() {
        try (CudaBackend backend = Fake.open(new FakeDriver(), folder, DType.BF16, true, true)) {
            CudaStep step = (CudaStep) backend.allocateStep(10, 3, 9);
            StepPlan plan = new StepPlan(10, 3);
            SamplingParams params = new SamplingParams(0.5f, 40, 0.9f, 0.1f, 1.5f, 0x123456789ABCDEFL, 7);
            plan.add(4, 100, new int[] {11, 12, 13}, 0, 3, StepPlan.Outputs.LAST, params, 77, new int[] {1, 5});
            plan.add(2, 0, new int[] {21, 22}, 0, 2, StepPlan.Outputs.NONE);
            plan.add(0, 7, new int[] {31}, 0, 1, StepPlan.Outputs.ALL);
            backend.submit(step, plan);
            MemorySegment struct = step.struct();
            assertEquals(Fake.STEP_BYTES, struct.byteSize());
            assertArrayEquals(new int[] {6, 3, 2, 0}, ints(struct, 0, 4), "rows, sequences, outputs, ticket");
            assertArrayEquals(new int[] {11, 12, 13, 21, 22, 31}, ints(struct, 1, 6), "tokens");
            assertArrayEquals(new int[] {100, 101, 102, 0, 1, 7}, ints(struct, 2, 6), "positions");
            assertArrayEquals(new int[] {0, 0, 0, 1, 1, 2}, ints(struct, 3, 6), "sequence of each row");
            assertArrayEquals(new int[] {4, 2, 0}, ints(struct, 4, 3), "slots");
            assertArrayEquals(new int[] {0, 3, 5, 6}, ints(struct, 5, 4), "row starts");
            assertArrayEquals(new int[] {2, 5}, ints(struct, 6, 2), "output rows");
            assertArrayEquals(new int[] {0, -1, -1}, ints(struct, 7, 3), "sampled outputs");
            assertArrayEquals(new int[] {77, Integer.MAX_VALUE, Integer.MAX_VALUE}, ints(struct, 8, 3), "remaining");
            int[] ends = ints(struct, 9, 3 * 16);
            assertArrayEquals(new int[] {1, 5, -1, -1}, java.util.Arrays.copyOf(ends, 4), "end ids");
            assertEquals(-1, ends[16]);
            assertArrayEquals(new int[3], ints(struct, 10, 3), "nobody is cancelled");
            MemorySegment row = Fake.at(struct.getAtIndex(ValueLayout.JAVA_LONG, 11), 32);
            assertEquals(0.5f, row.get(ValueLayout.JAVA_FLOAT, 0));
            assertEquals(40, row.get(ValueLayout.JAVA_INT, 4));
            assertEquals(0.9f, row.get(ValueLayout.JAVA_FLOAT, 8));
            assertEquals(0.1f, row.get(ValueLayout.JAVA_FLOAT, 12));
            assertEquals(1.5f, row.get(ValueLayout.JAVA_FLOAT, 16));
            assertEquals(7, row.get(ValueLayout.JAVA_INT, 20));
            assertEquals(0x123456789ABCDEFL, row.get(ValueLayout.JAVA_LONG, 24));
            assertArrayEquals(new int[3], ints(struct, 16, 3), "all run");
            assertArrayEquals(new int[] {10, 3, 9}, struct.asSlice(18 * 8, 12).toArray(ValueLayout.JAVA_INT), "sizes");
            backend.cancel(step, 1);
            assertArrayEquals(new int[] {0, 1, 0}, ints(struct, 10, 3));
            backend.submit(step, plan);
            assertArrayEquals(new int[3], ints(struct, 10, 3), "a submit forgets cancellations");
        }
    }

    @Test
    void moreEndIdsThanTheDeviceHoldsAreRefused() {
        StepPlan plan = new StepPlan(1, 1);
        plan.add(0, 0, new int[] {3}, 0, 1, StepPlan.Outputs.LAST, SamplingParams.GREEDY, 1, new int[17]);
        assertThrows(InvalidRequestException.class, () -> new StepImage(1, 1).check(plan));
    }
}
