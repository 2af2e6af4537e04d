package griffin.backend.cuda;

import static griffin.backend.cuda.ProductLaunches.linear;
import static griffin.backend.cuda.ProductLaunches.logits;
import static griffin.backend.cuda.ProductLaunches.mlp;
import static griffin.backend.cuda.ProductLaunches.sum;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.DType;
import griffin.backend.cuda.ProductLaunches.Work;
import griffin.bindings.NativeLibraries;
import griffin.bindings.cuda.Cuda;
import griffin.bindings.fake.FakeCublasLt;
import griffin.bindings.fake.FakeDriver;
import griffin.bindings.fake.FakeDriver.Launch;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Which kernels do a product of so many rows, with and without cuBLASLt, where no streams do. */
class LinearCallTest {

    private static final int INPUTS = 512;
    private static final int OUTPUTS = 640;

    @TempDir
    Path folder;
    private final FakeDriver driver = Fake.publishing();

    @AfterEach
    void forget() {
        NativeLibraries.forget();
    }

    /** Without streams, for which there is {@link StreamCallTest}. */
    private List<List<Launch>> launches(DType operands, boolean cublas, int tiles, Work work, int... rows) {
        return ProductLaunches.of(driver, operands, new CudaSettings(true, true, true, cublas, 0, tiles, 0, folder), work, rows);
    }

    private List<String> names(DType operands, boolean cublas, int tiles, Work work, int... rows) {
        return ProductLaunches.names(launches(operands, cublas, tiles, work, rows));
    }

    private static String library(int outputs, int inputs, String type) {
        return FakeCublasLt.product(outputs, inputs, type, false, false);
    }

    @Test
    void formsByRowsWithoutCublas() {
        assertEquals(List.of("linear_decode_bf16_r1", "linear_decode_bf16_r8", "linear_decode_bf16_r8", "linear_decode_bf16_r8",
                "linear_decode_bf16_r16", "linear_decode_bf16_r32", "linear_decode_bf16_r32", "gemm_wgmma_bf16"),
                names(DType.BF16, false, 0, linear(INPUTS, OUTPUTS), 1, 2, 5, 8, 16, 17, 32, 33));
    }

    @Test
    void cublasTakesMoreThanEight() {
        String product = library(OUTPUTS, INPUTS, "bf16");
        assertEquals(List.of("linear_decode_bf16_r1", "linear_decode_bf16_r8", "linear_decode_bf16_r8", product, product),
                names(DType.BF16, true, 0, linear(INPUTS, OUTPUTS), 1, 2, 8, 9, 33));
        assertEquals(List.of("linear_decode_bf16_r8", "linear_decode_bf16_r16", product),
                names(DType.BF16, true, 12, linear(INPUTS, OUTPUTS), 8, 12, 13));
        assertEquals(List.of("linear_decode_bf16_r1", product), names(DType.BF16, true, 1, linear(INPUTS, OUTPUTS), 1, 2));
    }

    @Test
    void float32HasMatVecs() {
        String product = library(OUTPUTS, INPUTS, "f32");
        assertEquals(List.of("linear_decode_f32_r1", "linear_decode_f32_r2", "linear_decode_f32_r8", "gemm_f32"),
                names(DType.F32, false, 0, linear(INPUTS, OUTPUTS), 1, 2, 7, 9));
        assertEquals(List.of("linear_decode_f32_r1", product), names(DType.F32, true, 0, linear(INPUTS, OUTPUTS), 1, 2));
        assertEquals(List.of("linear_add_decode_f32_r8, add_rms_norm_f32, publish_result"),
                names(DType.F32, true, 0, sum(INPUTS, OUTPUTS, 0), 8));
        assertEquals(List.of(library(2 * 512, 256, "f32").replace(" f32", " f32 + bias") + ", gated_gelu_f32, "
                + library(256, 512, "f32").replace(" f32", " f32 + bias")), names(DType.F32, true, 0, mlp(256, 512), 4));
    }

    @Test
    void aSumIsLeftInPlanesForItsNorm() {
        String added = FakeCublasLt.product(OUTPUTS, INPUTS, "f32", true, true);
        assertEquals(List.of("linear_add_decode_bf16_r1, add_rms_norm_bf16, publish_result",
                "linear_planes_decode_bf16_r8, add_planes_rms_norm_bf16, publish_result", added + ", add_rms_norm_bf16, publish_result"),
                names(DType.BF16, true, 0, sum(INPUTS, OUTPUTS, 0), 1, 8, 9));
        assertEquals(List.of("linear_planes_decode_bf16_r16, add_planes_rms_norm_bf16, publish_result",
                "gemm_wgmma_bf16, add_rms_norm_bf16, publish_result"), names(DType.BF16, false, 0, sum(INPUTS, OUTPUTS, 0), 9, 33));
        assertEquals(List.of("gemm_bf16, add_rms_norm_bf16, publish_result"), names(DType.BF16, true, 0, sum(INPUTS, OUTPUTS, 1), 4),
                "rows that are not aligned");
    }

    /** Both kernels of a sum find the same planes: the packed arguments of linear.cu and add_rms_norm.cu. */
    @Test
    void theNormReadsThePlanesThatTheProductWrote() {
        List<MemorySegment> seen = new ArrayList<>();
        driver.kernel("linear_planes_decode_bf16_r16", List.of(84L), arguments -> seen.add(ProductLaunches.copy(arguments.getFirst())));
        driver.kernel("add_planes_rms_norm_bf16", List.of(96L), arguments -> seen.add(ProductLaunches.copy(arguments.getFirst())));
        Launch product = launches(DType.BF16, false, 0, sum(INPUTS, OUTPUTS, 0), 12).getFirst().getFirst();
        assertEquals(2, seen.size());
        MemorySegment written = seen.get(0);
        MemorySegment read = seen.get(1);
        assertEquals(written.get(ValueLayout.JAVA_LONG, 48), read.get(ValueLayout.JAVA_LONG, 32), "address");
        assertEquals(OUTPUTS, written.get(ValueLayout.JAVA_INT, 56));
        assertEquals(OUTPUTS, read.get(ValueLayout.JAVA_INT, 40));
        assertEquals(16L * OUTPUTS, written.get(ValueLayout.JAVA_LONG, 64), "elements of a plane");
        assertEquals(16L * OUTPUTS, read.get(ValueLayout.JAVA_LONG, 48));
        int planes = written.get(ValueLayout.JAVA_INT, 72);
        assertEquals(planes, read.get(ValueLayout.JAVA_INT, 56));
        assertTrue(planes > 1 && planes <= INPUTS / 128 && product.gridX() % planes == 0, planes + " planes of " + product);
        assertEquals(OUTPUTS, written.get(ValueLayout.JAVA_INT, 76));
        assertEquals(INPUTS, written.get(ValueLayout.JAVA_INT, 80));
        assertEquals(OUTPUTS, read.get(ValueLayout.JAVA_INT, 92));
    }

    @Test
    void theFirstHalfOfAnMlpIsOneLaunch() {
        String down = FakeCublasLt.product(256, 512, "f32", true, false);
        assertEquals(List.of("linear_decode_bf16_r1, gated_gelu_bf16, linear_decode_bf16_r1",
                "gated_linear_decode_bf16_r8, linear_decode_bf16_r8",
                FakeCublasLt.product(1024, 256, "bf16", true, false) + ", gated_gelu_bf16, " + down),
                names(DType.BF16, true, 0, mlp(256, 512), 1, 3, 9));
        assertEquals(List.of("gated_linear_decode_bf16_r32, linear_decode_bf16_r32"), names(DType.BF16, false, 0, mlp(256, 512), 20));
    }

    @Test
    void logitsOfFewRowsAreCappedByTheirProduct() {
        assertEquals(List.of("logits_decode_bf16_r1", "logits_decode_bf16_r8", library(1000, INPUTS, "f32") + ", soft_cap"),
                names(DType.BF16, true, 0, logits(INPUTS, 1000, 30), 1, 8, 9));
        assertEquals(List.of("logits_decode_bf16_r32", "gemm_wgmma_bf16, soft_cap"),
                names(DType.BF16, false, 0, logits(INPUTS, 1000, 30), 17, 33));
    }

    /** Here 183 weight rows a block with 99 KB, of which two stages do not fit: the block has two tiles. */
    @Test
    void smallCardsHaveSmallerTiles() {
        driver.computeCapability(8, 6).attribute(Cuda.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT(), 28)
                .attribute(Cuda.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN(), 101_376)
                .attribute(Cuda.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR(), 102_400);
        assertEquals(List.of("linear_decode_bf16_r1", "linear_decode_bf16_r8", "linear_decode_bf16_r32"),
                names(DType.BF16, false, 0, linear(INPUTS, 5120), 1, 2, 32));
        assertEquals(List.of("linear_decode_bf16_r8"), names(DType.BF16, true, 0, linear(INPUTS, 5120), 2));
        assertEquals(List.of("gated_linear_decode_bf16_r8, linear_decode_bf16_r8"), names(DType.BF16, false, 0, mlp(256, 2560), 4));
        assertEquals(List.of("linear_planes_decode_bf16_r8, add_planes_rms_norm_bf16, publish_result"),
                names(DType.BF16, false, 0, sum(INPUTS, 2560, 0), 4));
    }

    /** Inputs that no tile takes: element by element is for one row alone. */
    @Test
    void whatIsNotAlignedDoesNotGoByTiles() {
        for (int inputs : new int[] {33, 40}) {
            assertEquals(List.of("linear_decode_bf16_r1", "gemm_bf16"), kinds(names(DType.BF16, false, 0, linear(inputs, OUTPUTS), 1, 2)));
            assertEquals(List.of("logits_decode_bf16_r1", "gemm_bf16, soft_cap"),
                    kinds(names(DType.BF16, false, 0, logits(inputs, 1000, 30), 1, 2)));
        }
    }

    /** With 40 inputs the rows are aligned enough for Hopper's form of the product. */
    private static List<String> kinds(List<String> names) {
        return names.stream().map(name -> name.replace("gemm_wgmma", "gemm")).toList();
    }

    /** Sizes of the conformance suite: nothing throws, and all are launched. */
    @Test
    void oddShapes() {
        List<Work> works = ProductLaunches.oddShapes();
        Work all = (backend, arena, step, rows) -> works.forEach(work -> work.issue(backend, arena, step, rows));
        for (boolean cublas : new boolean[] {true, false}) {
            for (List<Launch> step : launches(DType.BF16, cublas, 0, all, 1, 2, 8, 9, 33)) {
                assertEquals(2 * 48, step.stream().filter(launch -> launch.kernel().equals("publish_result")).count(), "sums");
                assertTrue(step.size() >= works.size() + 3 * 48, step.size() + " launches"); // a sum has two more, an MLP one
            }
        }
    }
}
