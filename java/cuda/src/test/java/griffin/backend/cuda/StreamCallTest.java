package griffin.backend.cuda;

import static griffin.backend.cuda.ProductLaunches.linear;
import static griffin.backend.cuda.ProductLaunches.logits;
import static griffin.backend.cuda.ProductLaunches.mlp;
import static griffin.backend.cuda.ProductLaunches.sum;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.DType;
import griffin.backend.WeightRole;
import griffin.backend.cuda.ProductLaunches.Work;
import griffin.bindings.NativeLibraries;
import griffin.bindings.fake.FakeCublasLt;
import griffin.bindings.fake.FakeDriver;
import griffin.bindings.fake.FakeDriver.Launch;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Which products go by streams, and what their kernels are told: the arguments of linear_stream.cu. */
class StreamCallTest {

    private static final int INPUTS = 512;
    private static final int OUTPUTS = 640;
    /** Bytes before the arguments that products do not share: two maps, tileRows, count, from, limit. */
    private static final int COMMON = 280;

    @TempDir
    Path folder;
    private final FakeDriver driver = Fake.publishing();

    @AfterEach
    void forget() {
        NativeLibraries.forget();
    }

    private List<List<Launch>> launches(boolean cublas, int streams, Work work, int... rows) {
        return ProductLaunches.of(driver, DType.BF16, new CudaSettings(true, true, true, cublas, 0, 0, streams, folder), work, rows);
    }

    private List<String> names(boolean cublas, int streams, Work work, int... rows) {
        return ProductLaunches.names(launches(cublas, streams, work, rows));
    }

    private static String library(int outputs, int inputs) {
        return FakeCublasLt.product(outputs, inputs, "bf16", false, false);
    }

    @Test
    void formsByRows() {
        List<String> forms = List.of("linear_decode_bf16_r1", "linear_stream_bf16_r8", "linear_stream_bf16_r8", "linear_stream_bf16_r16",
                "linear_stream_bf16_r16", "linear_stream_bf16_r32", "linear_stream_bf16_r32");
        for (boolean cublas : new boolean[] {true, false}) {
            List<String> found = names(cublas, 32, linear(INPUTS, OUTPUTS), 1, 2, 8, 9, 16, 17, 32, 33);
            assertEquals(forms, found.subList(0, 7));
            assertEquals(cublas ? library(OUTPUTS, INPUTS) : "gemm_wgmma_bf16", found.getLast());
        }
    }

    @Test
    void moreThanEightRowsAreFusedBesideCublas() {
        assertEquals(List.of("linear_planes_stream_bf16_r8, add_planes_rms_norm_bf16, publish_result",
                "linear_planes_stream_bf16_r16, add_planes_rms_norm_bf16, publish_result"),
                names(true, 32, sum(INPUTS, OUTPUTS, 0), 2, 9));
        assertEquals(List.of("gated_linear_stream_bf16_r8, linear_stream_bf16_r8", "gated_linear_stream_bf16_r32, linear_stream_bf16_r32"),
                names(true, 32, mlp(256, 512), 3, 20));
        assertEquals(List.of("logits_stream_bf16_r8", "logits_stream_bf16_r32"), names(true, 32, logits(INPUTS, 1000, 30), 8, 32));
    }

    @Test
    void theSettingSaysHowFar() {
        assertEquals(List.of("linear_stream_bf16_r8", "linear_stream_bf16_r16", library(OUTPUTS, INPUTS)),
                names(true, 12, linear(INPUTS, OUTPUTS), 8, 12, 13));
        assertEquals(List.of("linear_stream_bf16_r16", "linear_decode_bf16_r16", "linear_decode_bf16_r32"),
                names(false, 12, linear(INPUTS, OUTPUTS), 12, 13, 17));
        assertEquals(List.of("linear_stream_bf16_r8", "linear_decode_bf16_r8"), names(true, 3, linear(INPUTS, OUTPUTS), 3, 4));
        assertEquals(List.of("linear_decode_bf16_r8", library(OUTPUTS, INPUTS)), names(true, 0, linear(INPUTS, OUTPUTS), 2, 9));
    }

    @Test
    void otherCardsHaveTiles() {
        for (int[] capability : new int[][] {{8, 9}, {10, 0}, {12, 0}}) {
            driver.computeCapability(capability[0], capability[1]);
            assertEquals(List.of("linear_decode_bf16_r8", library(OUTPUTS, INPUTS)), names(true, 32, linear(INPUTS, OUTPUTS), 2, 9));
        }
        assertEquals(0, driver.calls("cuTensorMapEncodeTiled"));
    }

    @Test
    void float32HasNoStreams() {
        CudaSettings settings = new CudaSettings(true, true, true, false, 0, 0, 32, folder);
        assertEquals(List.of("linear_decode_f32_r2"),
                ProductLaunches.names(ProductLaunches.of(driver, DType.F32, settings, linear(INPUTS, OUTPUTS), 2)));
    }

    @Test
    void whatMapsCannotDescribeGoesElsewhere() {
        assertEquals(List.of("gemm_bf16"), names(false, 32, linear(36, OUTPUTS), 2), "rows of no whole 16 bytes");
        assertEquals(List.of("gemm_bf16, add_rms_norm_bf16, publish_result"), names(true, 32, sum(INPUTS, OUTPUTS, 1), 4),
                "rows that are not aligned");
        assertEquals(List.of("linear_stream_bf16_r8"), names(false, 32, linear(40, OUTPUTS), 2), "more than tiles take");
        assertEquals(List.of("gated_linear_decode_bf16_r8, gemm_bf16"), names(true, 32, mlp(256, 510), 4), "no whole groups of four gates");
    }

    /** Longs that the fake's maps hold. */
    private static List<Long> map(MemorySegment arguments, int index, int longs) {
        return IntStream.range(0, longs).mapToObj(i -> arguments.getAtIndex(ValueLayout.JAVA_LONG, 16L * index + i)).toList();
    }

    private static int integer(MemorySegment arguments, long offset) {
        return arguments.get(ValueLayout.JAVA_INT, offset);
    }

    /** The arguments of a kernel's launches, which lie one behind the other as C packs them. */
    private List<MemorySegment> watch(String kernel, long bytes) {
        List<MemorySegment> seen = new ArrayList<>();
        driver.kernel(kernel, List.of(bytes), arguments -> seen.add(ProductLaunches.copy(arguments.getFirst())));
        return seen;
    }

    @Test
    void mapsOfAViewAndOfWeights() {
        List<MemorySegment> seen = watch("linear_stream_bf16_r16", COMMON + 32);
        CudaBuffer[] in = new CudaBuffer[1];
        CudaBuffer[] out = new CudaBuffer[1];
        CudaWeight[] w = new CudaWeight[1];
        Launch launch = launches(true, 32, (backend, arena, step, rows) -> {
            in[0] = CudaBuffer.of(backend.allocate(DType.BF16, rows + 3, INPUTS + 8).columns(8, INPUTS).rows(2, rows + 1));
            out[0] = CudaBuffer.of(backend.allocate(DType.F32, rows, OUTPUTS));
            w[0] = CudaWeight.of(ProductLaunches.weight(backend, arena, WeightRole.LINEAR, OUTPUTS, INPUTS));
            backend.linear(step.rows(), in[0], w[0], null, out[0]);
        }, 10).getFirst().getLast();
        MemorySegment a = seen.getFirst();
        assertEquals(List.of(w[0].address(), (long) INPUTS, (long) OUTPUTS, 0L, 2L * INPUTS, 64L, 8L), map(a, 0, 7));
        assertEquals(List.of(in[0].address(), (long) INPUTS, 11L, 0L, 2L * (INPUTS + 8), 64L, 16L), map(a, 1, 7));
        assertEquals(8, integer(a, 256), "tileRows: 640 outputs are 80 tiles");
        assertEquals(0, integer(a, 272), "from");
        assertEquals(10, integer(a, 276), "limit");
        assertEquals(0, a.get(ValueLayout.JAVA_LONG, COMMON), "bias");
        assertEquals(out[0].address(), a.get(ValueLayout.JAVA_LONG, COMMON + 8));
        assertEquals(List.of(OUTPUTS, 1, OUTPUTS, INPUTS), IntStream.range(0, 4).mapToObj(i -> integer(a, COMMON + 16 + 4L * i)).toList());
        assertEquals(List.of(80, 320, 1), List.of(launch.gridX(), launch.blockX(), launch.cluster()));
        assertEquals(1024 + 128 * 56 + 256 * 16 + 4 * 256 * (8 + 16), launch.sharedBytes(), "all of 8 panels at once");
    }

    @Test
    void pairsHaveAMapOfFourDimensions() {
        List<MemorySegment> seen = watch("gated_linear_stream_bf16_r8", COMMON + 28);
        launches(true, 32, mlp(256, 2560), 4);
        MemorySegment a = seen.getFirst();
        int tileRows = integer(a, 256);
        assertEquals(40, tileRows);
        List<Long> map = map(a, 0, 13);
        assertEquals(List.of(256L, 4L, 2L, 640L), map.subList(1, 5));
        assertEquals(List.of(0L, 512L, 512L * 2560, 4 * 512L), map.subList(5, 9));
        assertEquals(List.of(64L, 4L, 2L, tileRows / 8L), map.subList(9, 13));
        assertEquals(List.of(5120, 2560, 256), IntStream.range(0, 3).mapToObj(i -> integer(a, COMMON + 16 + 4L * i)).toList(),
                "the stride of gate|up, F, I");
    }

    /** Both kernels of a sum find the same planes: the packed arguments of linear_stream.cu and add_rms_norm.cu. */
    @Test
    void theNormReadsThePlanesThatTheProductWrote() {
        List<MemorySegment> written = watch("linear_planes_stream_bf16_r16", COMMON + 44);
        List<MemorySegment> read = watch("add_planes_rms_norm_bf16", 60);
        Launch product = launches(true, 32, sum(INPUTS, OUTPUTS, 0), 12).getFirst().getFirst();
        MemorySegment w = written.getFirst();
        MemorySegment r = read.getFirst();
        assertEquals(w.get(ValueLayout.JAVA_LONG, COMMON + 8), r.get(ValueLayout.JAVA_LONG, 32), "address");
        assertEquals(OUTPUTS, integer(w, COMMON + 16));
        assertEquals(16L * OUTPUTS, w.get(ValueLayout.JAVA_LONG, COMMON + 24), "elements of a plane");
        assertEquals(16L * OUTPUTS, r.get(ValueLayout.JAVA_LONG, 48));
        int planes = integer(w, COMMON + 32);
        assertEquals(planes, integer(r, 56));
        assertTrue(planes > 1 && planes <= INPUTS / 64 && product.gridX() % planes == 0, planes + " of " + product);
        assertEquals(List.of(OUTPUTS, INPUTS), List.of(integer(w, COMMON + 36), integer(w, COMMON + 40)));
    }

    @Test
    void theLogitsHaveTheirCapFirst() {
        List<MemorySegment> seen = watch("logits_stream_bf16_r8", COMMON + 28);
        launches(true, 32, logits(INPUTS, 1000, 30), 2);
        MemorySegment a = seen.getFirst();
        assertEquals(30, a.get(ValueLayout.JAVA_FLOAT, COMMON));
        assertEquals(List.of(1000, 1000, INPUTS), IntStream.range(0, 3).mapToObj(i -> integer(a, COMMON + 16 + 4L * i)).toList());
    }

    /** Nothing throws, and all are launched. */
    @Test
    void oddShapes() {
        List<Work> works = ProductLaunches.oddShapes();
        Work all = (backend, arena, step, rows) -> works.forEach(work -> work.issue(backend, arena, step, rows));
        for (List<Launch> step : launches(true, 32, all, 1, 2, 9, 32, 33)) {
            assertEquals(2 * 48, step.stream().filter(launch -> launch.kernel().equals("publish_result")).count(), "sums");
            assertTrue(step.size() >= works.size() + 3 * 48, step.size() + " launches");
        }
    }
}
