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
import griffin.bindings.cuda.Cuda;
import griffin.bindings.fake.FakeDriver;
import griffin.bindings.fake.FakeDriver.Launch;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The launch geometry of a prompt's scan (rg_lru.cu) on several cards. */
class RecurrenceCallsTest {

    private static final int HEAD = 32;

    @TempDir
    Path folder;

    @AfterEach
    void forget() {
        NativeLibraries.forget();
    }

    /** An H100 or H200. */
    private static FakeDriver hopper() {
        return Fake.publishing();
    }

    private static FakeDriver card(int major, int minor, int processors, int sharedKiB) {
        return Fake.publishing().computeCapability(major, minor).attribute(Cuda.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT(), processors)
                .attribute(Cuda.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN(), sharedKiB << 10);
    }

    /** Grid, blocks of a cluster, threads and shared memory of the scan of so many rows of one sequence. */
    private String scan(FakeDriver driver, DType operands, int rows, int width) {
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
            assertEquals("rg_lru_scan_" + (operands == DType.BF16 ? "bf16" : "f32"), last.kernel());
            return last.gridX() + " " + last.cluster() + " " + last.blockX() + " " + last.sharedBytes();
        } finally {
            assertEquals(List.of(), driver.errors());
        }
    }

    private static TensorPart part(DType type, int rows, int columns) {
        return new TensorPart(type, rows, columns, Arena.ofAuto().allocate((long) type.bytes() * rows * columns));
    }

    @Test
    void asManyBlocksWorkAsClustersOfOneSizeAllow() {
        assertEquals("128 4 608 228480", scan(hopper(), DType.BF16, 8192, 2560), "40 tiles of 64 channels, by 32 clusters");
        assertEquals("128 2 608 228480", scan(hopper(), DType.BF16, 8192, 4096), "64 tiles");
        assertEquals("128 2 608 228480", scan(hopper(), DType.F32, 8192, 2560), "80 tiles of 32 channels, by 64 clusters");
        assertEquals("128 1 608 228480", scan(hopper(), DType.F32, 8192, 4096));
        assertEquals("132 1 608 228480", scan(hopper(), DType.F32, 8192, 32 * 140), "more tiles than multiprocessors");
        assertEquals("16 8 608 228480", scan(hopper(), DType.BF16, 8192, 96), "two tiles");
    }

    @Test
    void noMoreBlocksShareThanThereAreTilesOfRows() {
        assertEquals("80 2 608 228480", scan(hopper(), DType.BF16, 200, 2560));
        assertEquals("40 1 608 228480", scan(hopper(), DType.BF16, 128, 2560));
        assertEquals("2 1 608 228480", scan(hopper(), DType.BF16, 7, 96));
        assertEquals("6 3 608 228480", scan(hopper(), DType.BF16, 384, 96));
    }

    @Test
    void noClustersWhereTheMachineCodeHasNone() {
        assertEquals("28 1 320 95872", scan(card(8, 6, 28, 99), DType.BF16, 8192, 2560));
        assertEquals("40 1 320 95872", scan(card(8, 9, 128, 99), DType.BF16, 8192, 2560));
        assertEquals("40 1 608 162176", scan(card(8, 0, 108, 163), DType.BF16, 8192, 2560));
        assertEquals("160 4 320 95872", scan(card(12, 0, 170, 99), DType.BF16, 8192, 2560));
        assertEquals("20 1 608 228480", scan(card(11, 0, 20, 227), DType.BF16, 8192, 2560));
    }
}
