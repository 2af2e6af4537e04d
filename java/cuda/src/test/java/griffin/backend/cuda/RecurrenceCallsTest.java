package griffin.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;

import griffin.backend.Buffer;
import griffin.backend.DType;
import griffin.backend.RgLruWeights;
import griffin.backend.Step;
import griffin.backend.StepPlan;
import griffin.backend.TensorPart;
import griffin.backend.Weight;
import griffin.backend.WeightRole;
import griffin.bindings.NativeLibraries;
import griffin.bindings.fake.FakeDriver;
import griffin.bindings.fake.FakeDriver.Launch;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The launch geometry of a prompt's scan (rg_lru.cu) on 132 multiprocessors with the shared memory of an H100. */
class RecurrenceCallsTest {

    private static final int HEAD = 32;

    @TempDir
    Path folder;

    @AfterEach
    void forget() {
        NativeLibraries.forget();
    }

    /** Name, grid, threads and shared memory of the scan of so many rows of one sequence. */
    private String scan(DType operands, int rows, int width) {
        FakeDriver driver = Fake.publishing();
        try (CudaBackend backend = Fake.open(driver, folder, operands, true, true)) {
            Step step = backend.allocateStep(rows, 1, 1);
            StepPlan plan = new StepPlan(rows, 1);
            plan.add(0, 0, new int[rows], 0, rows, StepPlan.Outputs.LAST);
            backend.submit(step, plan);
            TensorPart gate = part(operands, width, HEAD);
            TensorPart vector = part(operands, 1, width);
            Weight gates = backend.load(WeightRole.GATES, gate, gate);
            RgLruWeights weights = new RgLruWeights(gates, backend.load(WeightRole.BIAS, vector, vector),
                    backend.load(WeightRole.DECAY, vector));
            Buffer x = backend.allocate(operands, rows, width);
            backend.rgLru(step, x, weights, backend.allocate(DType.F32, 1, width), x);
            Launch last = driver.launches().getLast();
            return last.kernel() + " " + last.gridX() + " " + last.blockX() + " " + last.sharedBytes();
        } finally {
            assertEquals(List.of(), driver.errors());
        }
    }

    private static TensorPart part(DType type, int rows, int columns) {
        return new TensorPart(type, rows, columns, Arena.ofAuto().allocate((long) type.bytes() * rows * columns));
    }

    @Test
    void aScanHasABlockForEachMultiprocessorOrTile() {
        assertEquals("rg_lru_scan_bf16 132 608 227968", scan(DType.BF16, 2048, 2560));
        assertEquals("rg_lru_scan_bf16 80 608 227968", scan(DType.BF16, 200, 2560), "two tiles of rows, forty of 64 channels");
        assertEquals("rg_lru_scan_bf16 2 608 227968", scan(DType.BF16, 7, 96));
        assertEquals("rg_lru_scan_f32 3 608 227968", scan(DType.F32, 7, 96), "tiles of 32 channels");
    }
}
