package griffin.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.DType;
import griffin.backend.StateBuffers;
import griffin.backend.StepPlan;
import griffin.backend.StepResult;
import griffin.bindings.NativeLibraries;
import griffin.bindings.cuda.Cuda;
import griffin.bindings.fake.FakeDriver;
import griffin.bindings.fake.FakeDriver.Launch;
import griffin.error.DeviceException;
import griffin.error.DeviceMemoryException;
import griffin.model.GriffinConfig;
import griffin.model.GriffinModel;
import griffin.model.ModelRunner;
import griffin.sampling.SamplingParams;
import griffin.weights.ModelFiles;
import griffin.weights.WeightFiles;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A whole model recorded on the fake driver: which kernels run, how often a graph is captured, and what failures become. */
class CudaProgramTest {

    /** Layers R R A R R. */
    private static final Path MODEL = Path.of("../core/src/test/resources/golden/tiny-a");
    private static final List<String> RECURRENT =
            List.of("norm_linear_decode_bf16_r1", "recurrence_decode_bf16", "linear_add_decode_bf16_r1",
                    "norm_gated_linear_decode_bf16_r1", "linear_add_decode_bf16_r1");
    private static final List<String> ATTENTION = List.of("norm_linear_decode_bf16_r1", "attention_decode_bf16_c32",
            "linear_add_decode_bf16_r1", "norm_gated_linear_decode_bf16_r1", "linear_add_decode_bf16_r1");
    private static final List<String> END = List.of("add_rms_norm_bf16", "logits_decode_bf16_r1", "sample_scan", "sample_filter",
            "sample_choose", "sample_draw", "advance", "publish_result");

    @TempDir
    Path folder;

    @AfterEach
    void forget() {
        NativeLibraries.forget();
    }

    /** A model on the fake driver. */
    private static final class Tiny implements AutoCloseable {
        final Arena arena = Arena.ofShared();
        final FakeDriver driver;
        final CudaBackend backend;
        final ModelRunner runner;
        final StepResult result;

        Tiny(FakeDriver driver, Path folder, int sequences, boolean graphs, boolean fusions) {
            this.driver = driver;
            backend = Fake.open(driver, folder, DType.BF16, graphs, fusions);
            ModelFiles files = ModelFiles.of(MODEL);
            GriffinConfig config = GriffinConfig.read(files);
            GriffinModel model = new GriffinModel(backend, config, WeightFiles.open(files, arena));
            StateBuffers states = backend.allocateStates(GriffinModel.stateLayout(config), sequences);
            runner = new ModelRunner(backend, model, states, 64, sequences);
            result = new StepResult(sequences);
        }

        /** The names of the kernels of one run. */
        List<Launch> run(int sequences, int rowsEach) {
            runner.plan().clear();
            for (int q = 0; q < sequences; q++) {
                runner.plan().add(q, 0, IntStream.range(3, 3 + rowsEach).toArray(), 0, rowsEach, StepPlan.Outputs.LAST,
                        SamplingParams.GREEDY, 10, new int[0]);
            }
            int before = driver.launches().size();
            runner.await(runner.generate(), result);
            return driver.launches().subList(before, driver.launches().size());
        }

        @Override
        public void close() {
            backend.close();
            arena.close();
        }
    }

    private static List<String> names(List<Launch> launches) {
        return launches.stream().map(Launch::kernel).toList();
    }

    @Test
    void aFusedDecodeStepHasFiveLaunchesALayer() {
        try (Tiny tiny = new Tiny(Fake.publishing(), folder, 1, true, true)) {
            List<Launch> step = tiny.run(1, 1);
            List<String> expected = new java.util.ArrayList<>(List.of("embed_bf16"));
            for (List<String> layer : List.of(RECURRENT, RECURRENT, ATTENTION, RECURRENT)) {
                expected.addAll(layer);
            }
            expected.addAll(RECURRENT.subList(0, 2));
            expected.addAll(List.of("select_rows_f32", "select_rows_bf16"));
            expected.addAll(RECURRENT.subList(2, 5));
            expected.addAll(END);
            assertEquals(expected, names(step));
            assertTrue(step.stream().allMatch(Launch::graph), "one native call replays them all");
            assertTrue(!step.getFirst().programmatic() && step.stream().skip(1).allMatch(Launch::programmatic),
                    "all but the first may overlap their predecessors");
            assertEquals(List.of(), tiny.driver.errors());
        }
    }

    @Test
    void withoutFusionsEveryOperationHasItsOwnKernels() {
        try (Tiny tiny = new Tiny(Fake.publishing(), folder, 1, true, false)) {
            List<String> step = names(tiny.run(1, 1));
            assertEquals(List.of("embed_bf16", "add_rms_norm_bf16", "linear_decode_bf16_r1", "recurrence_decode_bf16",
                    "linear_decode_bf16_r1", "add_rms_norm_bf16", "linear_decode_bf16_r1", "gated_gelu_bf16", "linear_decode_bf16_r1",
                    "add_rms_norm_bf16"), step.subList(0, 10));
            assertTrue(step.stream().noneMatch(name -> name.startsWith("norm_")));
        }
    }

    @Test
    void aPromptRunsEagerlyWithExactGeometry() {
        try (Tiny tiny = new Tiny(Fake.publishing(), folder, 3, true, true)) {
            List<Launch> step = tiny.run(3, 16);
            assertTrue(step.stream().noneMatch(Launch::graph));
            assertTrue(names(step).containsAll(List.of("gemm_wgmma_bf16", "causal_conv_bf16", "gates_gemm_bf16",
                    "rg_lru_scan_bf16", "rotate_bf16", "window_attention_prefill_bf16", "store_keys_bf16", "logits_stream_bf16_r8")));
            assertEquals(48, step.getFirst().gridX(), "a block for each of 48 rows");
        }
    }

    /** A prompt of few rows has the products of a decode step of as many. */
    @Test
    void aShortPromptHasNoProductsOfManyRows() {
        try (Tiny tiny = new Tiny(Fake.publishing(), folder, 2, true, true)) {
            List<String> step = names(tiny.run(2, 16));
            assertTrue(step.containsAll(List.of("linear_stream_bf16_r32", "linear_planes_stream_bf16_r32", "gated_linear_stream_bf16_r32",
                    "rg_lru_scan_bf16", "logits_stream_bf16_r8")), step::toString);
            assertTrue(step.stream().noneMatch(name -> name.startsWith("gemm") || name.startsWith("gated_gelu")), step::toString);
        }
    }

    @Test
    void oneGraphForEachBucketOfSequences() {
        try (Tiny tiny = new Tiny(Fake.publishing(), folder, 5, true, true)) {
            for (int sequences : new int[] {1, 2, 3, 4, 5, 3, 1, 4}) {
                List<Launch> step = tiny.run(sequences, 1);
                List<String> sum = sequences == 1 ? List.of("linear_add_decode_bf16_r1")
                        : List.of("linear_stream_bf16_r8", "linear_planes_stream_bf16_r8", "gated_linear_stream_bf16_r8");
                assertTrue(names(step).containsAll(sum), sequences + ": " + names(step));
                assertEquals(sequences == 1, names(step).stream().anyMatch(name -> name.startsWith("norm_")),
                        "norms within products for one row alone: " + names(step));
            }
            assertEquals(4, tiny.driver.calls("cuStreamBeginCapture_v2"), "buckets 1, 2, 4 and 8");
            assertEquals(8, tiny.driver.calls("cuGraphLaunch"));
        }
    }

    @Test
    void aDecodeStepOfSeveralSequencesHasSixLaunchesALayer() {
        try (Tiny tiny = new Tiny(Fake.publishing(), folder, 4, true, true)) {
            List<Launch> step = tiny.run(4, 1);
            assertEquals(List.of("embed_bf16", "add_rms_norm_bf16", "linear_stream_bf16_r8", "recurrence_decode_bf16",
                    "linear_planes_stream_bf16_r8", "add_planes_rms_norm_bf16", "gated_linear_stream_bf16_r8",
                    "linear_planes_stream_bf16_r8", "add_planes_rms_norm_bf16", "linear_stream_bf16_r8"), names(step).subList(0, 10));
            assertTrue(names(step).containsAll(List.of("logits_stream_bf16_r8")) && !names(step).contains("soft_cap"),
                    names(step)::toString);
            assertTrue(step.stream().skip(1).allMatch(Launch::programmatic));
        }
    }

    @Test
    void decodeStepsAfterAPromptReplayTheGraph() {
        try (Tiny tiny = new Tiny(Fake.publishing(), folder, 1, true, true)) {
            tiny.run(1, 4);
            assertEquals(0, tiny.driver.calls("cuGraphLaunch"));
            int copies = tiny.driver.calls("cuMemcpyHtoDAsync_v2");
            for (int i = 1; i < 6; i++) {
                tiny.runner.await(tiny.runner.next(), tiny.result);
                assertEquals(700 + i, tiny.result.ids[0]);
            }
            assertEquals(5, tiny.driver.calls("cuGraphLaunch"));
            assertEquals(copies, tiny.driver.calls("cuMemcpyHtoDAsync_v2"), "nothing crosses to the device");
        }
    }

    @Test
    void everythingIsGivenBack() {
        FakeDriver driver = Fake.publishing();
        try (Tiny tiny = new Tiny(driver, folder, 2, true, true)) {
            tiny.run(2, 1);
        }
        assertEquals(List.of(), driver.leaks());
        assertEquals(List.of(), driver.errors());
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aLaunchThatFailsNamesTheKernel(boolean graphs) {
        FakeDriver driver = Fake.publishing();
        try (Tiny tiny = new Tiny(driver, folder, 1, graphs, true)) {
            tiny.run(1, graphs ? 4 : 1); // a graph is captured by the first decode step
            driver.failFrom("cuLaunchKernelEx", driver.calls("cuLaunchKernelEx") + 2, Cuda.CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES());
            var e = assertThrows(DeviceException.class, () -> tiny.run(1, 1));
            assertTrue(e.getMessage().contains("norm_linear_decode_bf16_r1")
                    && e.getMessage().contains("CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"), e::getMessage);
        }
    }

    @Test
    void aKernelThatFailsEndsTheWaiting() {
        FakeDriver driver = new FakeDriver(); // publishes nothing
        try (Tiny tiny = new Tiny(driver, folder, 1, true, true)) {
            driver.failFrom("cuStreamQuery", 1, Cuda.CUDA_ERROR_ILLEGAL_ADDRESS());
            var e = assertTimeoutPreemptively(Duration.ofSeconds(20), () -> assertThrows(DeviceException.class, () -> tiny.run(1, 1)));
            assertTrue(e.getMessage().contains("CUDA_ERROR_ILLEGAL_ADDRESS"), e::getMessage);
        }
        try (Tiny tiny = new Tiny(new FakeDriver(), folder, 1, true, true)) {
            var e = assertTimeoutPreemptively(Duration.ofSeconds(20), () -> assertThrows(DeviceException.class, () -> tiny.run(1, 1)));
            assertTrue(e.getMessage().contains("without publishing"), e::getMessage);
        }
    }

    @Test
    void aMissingKernelIsNamed() {
        var e = assertThrows(DeviceException.class,
                () -> new Tiny(Fake.publishing().withoutKernels("recurrence_decode_bf16"), folder, 1, true, true));
        assertTrue(e.getMessage().contains("lack recurrence_decode_bf16") && e.getMessage().contains("cuda-kernels/build"), e::getMessage);
    }

    @Test
    void runningOutOfMemoryWhileLoadingSaysForWhat() {
        var e = assertThrows(DeviceMemoryException.class, () -> new Tiny(Fake.publishing().memory(1 << 20), folder, 1, true, true));
        assertTrue(e.getMessage().contains("cuMemAlloc of ") && e.getMessage().contains("CUDA_ERROR_OUT_OF_MEMORY"), e::getMessage);
    }
}
