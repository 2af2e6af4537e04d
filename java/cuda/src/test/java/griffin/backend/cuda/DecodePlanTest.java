package griffin.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;

import griffin.backend.DType;
import griffin.backend.StateBuffers;
import griffin.backend.StepPlan;
import griffin.backend.StepResult;
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
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How decode steps of several sequences launch attention and recurrence: the geometry of window_attention_decode.cu and recurrence.cu. */
class DecodePlanTest {

    private static final int SEQUENCES = 17;

    @TempDir
    Path folder;

    @AfterEach
    void forget() {
        NativeLibraries.forget();
    }

    private List<Set<String>> attention(DType operands, int... sequences) {
        return launches("attention_decode", operands, sequences);
    }

    /** "kernel grid shared" of the kernels of that name in a step of each number of sequences. */
    private List<Set<String>> launches(String kernel, DType operands, int... sequences) {
        ModelFiles files = SparseModel.narrow2b(folder, "BF16");
        new FakeCublasLt().install();
        FakeDriver driver = Fake.publishing();
        try (Arena arena = Arena.ofShared(); CudaBackend backend = Fake.withCublas(driver, folder, operands, notice -> {})) {
            GriffinConfig config = GriffinConfig.read(files);
            GriffinModel model = new GriffinModel(backend, config, WeightFiles.open(files, arena));
            StateBuffers states = backend.allocateStates(GriffinModel.stateLayout(config), SEQUENCES);
            ModelRunner runner = new ModelRunner(backend, model, states, SEQUENCES, SEQUENCES);
            return Arrays.stream(sequences).mapToObj(count -> launches(kernel, driver, runner, count)).toList();
        }
    }

    private static Set<String> launches(String kernel, FakeDriver driver, ModelRunner runner, int sequences) {
        int before = driver.launches().size();
        runner.plan().clear();
        for (int q = 0; q < sequences; q++) {
            runner.plan().add(q, 0, new int[1], 0, 1, StepPlan.Outputs.LAST, SamplingParams.GREEDY, 9, new int[0]);
        }
        runner.await(runner.generate(), new StepResult(SEQUENCES));
        List<Launch> step = driver.launches().subList(before, driver.launches().size());
        return step.stream().filter(launch -> launch.kernel().startsWith(kernel))
                .map(l -> l.kernel() + " " + l.gridX() + "x" + l.gridY() + "x" + l.gridZ() + " " + l.sharedBytes())
                .collect(Collectors.toSet());
    }

    @Test
    void moreThanTwoSequencesTakeWholeKeysAndValuesInOneWave() {
        assertEquals(List.of(Set.of("attention_decode_bf16_c32 16x8x1 29696"), Set.of("attention_decode_bf16_c32 16x8x2 29696"),
                Set.of("attention_decode_bf16_c256 16x1x4 78848"), Set.of("attention_decode_bf16_c256 8x1x17 78848")),
                attention(DType.BF16, 1, 2, 3, 17));
    }

    /** 256 channels are sixteen slices; a captured step is that of the next power of two, as far as the step reaches. */
    @Test
    void severalSequencesHaveTheirGatesOnTensorCores() {
        assertEquals(List.of(Set.of("recurrence_decode_bf16 16x1x1 4096"), Set.of("recurrence_decode_bf16_s8 16x1x1 27136"),
                Set.of("recurrence_decode_bf16_s8 16x1x1 27136"), Set.of("recurrence_decode_bf16_s16 16x1x1 31744"),
                Set.of("recurrence_decode_bf16_s32 16x1x1 40960")), launches("recurrence_decode", DType.BF16, 1, 2, 8, 9, 17));
        assertEquals(List.of(Set.of("recurrence_decode_f32 16x2x1 4096")), launches("recurrence_decode", DType.F32, 5));
    }

    /** 256 inputs are four panels, 768 twelve; with sixteen rows three planes of those cost less than four. */
    @Test
    void sumsOfSeveralSequencesAreLeftInPlanes() {
        assertEquals(List.of(Set.of(), Set.of("linear_planes_stream_bf16_r8 128x1x1 26624"),
                Set.of("linear_planes_stream_bf16_r8 128x1x1 26624"),
                Set.of("linear_planes_stream_bf16_r16 128x1x1 36864", "linear_planes_stream_bf16_r16 96x1x1 44032")),
                launches("linear_planes", DType.BF16, 1, 2, 8, 9));
        assertEquals(List.of(Set.of("add_rms_norm_bf16 2x1x1 0", "add_planes_rms_norm_bf16 2x1x1 0")),
                launches("add_", DType.BF16, 2));
    }

    @Test
    void float32HasNoTiles() {
        assertEquals(List.of(Set.of("attention_decode_f32_c32 16x8x1 29696"), Set.of("attention_decode_f32_c32 16x8x4 29696")),
                attention(DType.F32, 1, 4));
    }
}
