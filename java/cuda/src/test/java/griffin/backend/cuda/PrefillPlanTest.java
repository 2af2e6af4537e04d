package griffin.backend.cuda;

import static griffin.bindings.fake.FakeCublasLt.product;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.DType;
import griffin.backend.StateBuffers;
import griffin.backend.StepPlan;
import griffin.backend.StepResult;
import griffin.backend.TensorPart;
import griffin.bindings.NativeLibraries;
import griffin.bindings.fake.FakeCublasLt;
import griffin.bindings.fake.FakeDriver;
import griffin.bindings.fake.FakeDriver.Launch;
import griffin.model.GriffinConfig;
import griffin.model.GriffinModel;
import griffin.model.ModelRunner;
import griffin.sampling.SamplingParams;
import griffin.weights.ModelFiles;
import griffin.weights.WeightFiles;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** All that a step of a prompt through the 2B model's 26 layers launches: nothing superfluous, and what happens where cuBLASLt cannot. */
class PrefillPlanTest {

    private static final int CHUNK = 2048;
    private static final int WIDTH = 256;

    @TempDir
    Path folder;
    private final FakeDriver driver = Fake.publishing();
    private FakeCublasLt cublas = new FakeCublasLt();
    private final List<String> notices = new ArrayList<>();
    /** Calls of the driver that are no launches, in the last prompt. */
    private Map<String, Integer> otherCalls = Map.of();

    @AfterEach
    void forget() {
        NativeLibraries.forget();
    }

    /** What the last of some prompts launches, one after the other on one model. */
    private List<Launch> launches(String type, StepPlan.Outputs wanted, int... lengths) {
        ModelFiles files = SparseModel.narrow2b(folder, type);
        cublas.install();
        List<Launch> last = List.of();
        try (Arena arena = Arena.ofShared(); CudaBackend backend = Fake.withCublas(driver, folder, DType.BF16, notices::add)) {
            GriffinConfig config = GriffinConfig.read(files);
            GriffinModel model = new GriffinModel(backend, config, WeightFiles.open(files, arena));
            StateBuffers states = backend.allocateStates(GriffinModel.stateLayout(config), 1);
            ModelRunner runner = new ModelRunner(backend, model, states, CHUNK, 1);
            for (int length : lengths) {
                int before = driver.launches().size();
                Map<String, Integer> calls = calls(Map.of());
                runner.plan().clear().add(0, 0, new int[length], 0, length, wanted, SamplingParams.GREEDY, 9, new int[0]);
                runner.await(runner.generate(), new StepResult(1));
                otherCalls = calls(calls);
                last = driver.launches().subList(before, driver.launches().size());
            }
        }
        assertEquals(List.of(), driver.errors());
        assertEquals(List.of(), driver.leaks());
        assertEquals(0, cublas.leaks());
        return last;
    }

    private Map<String, Integer> calls(Map<String, Integer> before) {
        Map<String, Integer> calls = new TreeMap<>();
        for (String function : List.of("cuMemAlloc_v2", "cuMemsetD8Async", "cuMemcpyHtoDAsync_v2", "cuMemcpy2DAsync_v2",
                "cuMemcpyDtoHAsync_v2",
                "cuStreamSynchronize", "cuModuleLoadData", "cuFuncSetAttribute")) {
            int more = driver.calls(function) - before.getOrDefault(function, 0);
            if (more > 0) {
                calls.put(function, more);
            }
        }
        return calls;
    }

    private static Map<String, Integer> counts(List<Launch> launches) {
        Map<String, Integer> counts = new TreeMap<>();
        launches.forEach(launch -> counts.merge(launch.kernel(), 1, Integer::sum));
        return counts;
    }

    /** 18 recurrent and 8 attention layers; after the last one's recurrence only the one row whose logits are wanted goes on. */
    private static Map<String, Integer> expected() {
        Map<String, Integer> all = new TreeMap<>();
        all.put("embed_bf16", 1);
        all.put("add_rms_norm_bf16", 2 * 26 + 1);
        all.put(product(2 * WIDTH, WIDTH, "bf16", true, false), 18);
        all.put("causal_conv_bf16", 18);
        all.put("gates_gemm_wgmma_bf16", 18);
        all.put("rg_lru_scan_bf16", 18);
        all.put(product(3 * WIDTH, WIDTH, "bf16", false, false), 8);
        all.put("rotate_bf16", 8);
        all.put("window_attention_prefill_wgmma_bf16", 8);
        all.put("window_attention_merge_bf16", 8); // one head: 17 tiles, for which there are blocks enough
        all.put("store_keys_bf16", 8);
        all.put(product(WIDTH, WIDTH, "f32", true, true), 25);
        all.put(product(6 * WIDTH, WIDTH, "bf16", true, false), 25);
        all.put("gated_gelu_bf16", 26);
        all.put(product(WIDTH, 3 * WIDTH, "f32", true, true), 25);
        all.put("select_rows_f32", 1);
        all.put("select_rows_bf16", 1);
        all.put("linear_decode_bf16_r1", 1);
        all.put("linear_add_decode_bf16_r1", 2);
        all.put("logits_decode_bf16_r1", 1);
        for (String end : List.of("sample_scan", "sample_filter", "sample_choose", "sample_draw", "advance", "publish_result")) {
            all.put(end, 1);
        }
        return all;
    }

    @Test
    void aChunkOfAPrompt() {
        List<Launch> step = launches("BF16", StepPlan.Outputs.LAST, CHUNK, CHUNK);
        assertEquals(expected(), counts(step));
        step.stream().filter(launch -> launch.kernel().startsWith("cublasLt")).forEach(launch -> assertEquals(CHUNK, launch.gridX()));
        assertEquals(5, cublas.heuristics(), "one for each shape, at the first chunk");
        assertEquals(List.of(), notices);
        assertEquals(Map.of("cuMemcpyHtoDAsync_v2", 1, "cuStreamSynchronize", 1), otherCalls, "the step goes over, and no more");
    }

    @Test
    void aChunkWithoutOutputsHasNoHead() {
        Map<String, Integer> found = counts(launches("BF16", StepPlan.Outputs.NONE, CHUNK));
        Map<String, Integer> expected = expected();
        // One norm before the last MLP, and the final one.
        expected.put("add_rms_norm_bf16", 2 * 26 + 1 - 2);
        expected.put("gated_gelu_bf16", 25);
        expected.keySet().removeIf(name -> name.startsWith("select_rows") || name.contains("_decode_"));
        assertEquals(expected, found);
    }

    @Test
    void biasesInFloat32WithBfloat16sNumbersGoThroughTheEpilogue() {
        assertEquals(expected(), counts(launches("F32", StepPlan.Outputs.LAST, CHUNK)));
    }

    @Test
    void nearLengthsShareTheirAlgorithms() {
        List<Launch> step = launches("BF16", StepPlan.Outputs.LAST, 128, 127, 100, 65);
        assertEquals(5, cublas.heuristics());
        assertEquals(65, step.getFirst().gridX(), "kernels have exact geometry");
        assertTrue(step.stream().filter(launch -> launch.kernel().startsWith("cublasLt")).allMatch(launch -> launch.gridX() == 128));
    }

    @Test
    void whatCublasLtCannotDoIsDoneByTheKernelAndSaidOnce() {
        cublas = new FakeCublasLt().refusing();
        Map<String, Integer> found = counts(launches("BF16", StepPlan.Outputs.LAST, 128, 128));
        assertEquals(18 + 8 + 3 * 25, found.get("gemm_wgmma_bf16"));
        assertTrue(found.keySet().stream().noneMatch(name -> name.startsWith("cublasLt")));
        assertEquals(5, cublas.heuristics(), "asked once for each shape");
        assertEquals(1, notices.size(), notices::toString);
        assertTrue(notices.getFirst().contains("no algorithm"), notices::toString);
    }

    @Test
    void otherCardsHaveOtherForms() {
        driver.computeCapability(8, 0);
        Map<String, Integer> found = counts(launches("BF16", StepPlan.Outputs.LAST, CHUNK));
        assertEquals(8, found.get("window_attention_prefill_bf16"));
        assertEquals(36, found.get(product(WIDTH, WIDTH, "bf16", false, false)), "a product for each gate");
        assertTrue(found.keySet().stream().noneMatch(name -> name.contains("wgmma")));
    }

    @Test
    void whichBiasesHaveACopyInBfloat16() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment data = arena.allocate(8, 4);
            data.set(ValueLayout.JAVA_FLOAT, 4, 1.5f);
            assertTrue(CudaUpload.isBfloat16(new TensorPart(DType.F32, 1, 2, data)));
            assertTrue(CudaUpload.isBfloat16(new TensorPart(DType.BF16, 1, 4, data)));
            assertTrue(CudaUpload.isBfloat16(new TensorPart(DType.F16, 1, 4, data)));
            data.set(ValueLayout.JAVA_FLOAT, 4, 0.1f);
            assertFalse(CudaUpload.isBfloat16(new TensorPart(DType.F32, 1, 2, data)));
            data.set(ValueLayout.JAVA_SHORT, 6, Float.floatToFloat16(0.1f));
            assertFalse(CudaUpload.isBfloat16(new TensorPart(DType.F16, 1, 4, data)));
        }
    }
}
