package griffin.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;

import griffin.backend.Buffer;
import griffin.backend.DType;
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

/** Which form of a norm and how many blocks of gated gelus a step's rows are given, on 132 multiprocessors. */
class DenseCallsTest {

    @TempDir
    Path folder;

    @AfterEach
    void forget() {
        NativeLibraries.forget();
    }

    private interface Operation {
        void issue(CudaBackend backend, Step step);
    }

    /** Name, grid and threads of the last launch of an operation on a step of so many rows. */
    private String launch(int rows, Operation operation) {
        FakeDriver driver = Fake.publishing();
        try (CudaBackend backend = Fake.open(driver, folder, DType.BF16, true, true)) {
            Step step = backend.allocateStep(rows, 1, 1);
            StepPlan plan = new StepPlan(rows, 1);
            plan.add(0, 0, new int[rows], 0, rows, StepPlan.Outputs.LAST);
            backend.submit(step, plan);
            operation.issue(backend, step);
            Launch last = driver.launches().getLast();
            return last.kernel() + " " + last.gridX() + "x" + last.gridY() + " " + last.blockX();
        } finally {
            assertEquals(List.of(), driver.errors());
        }
    }

    /** @param shift elements by which out begins late */
    private String norm(int rows, int width, int shift) {
        return launch(rows, (backend, step) -> {
            try (Arena arena = Arena.ofShared()) {
                Weight scale = backend.load(WeightRole.NORM, new TensorPart(DType.BF16, 1, width, arena.allocate(2L * width)));
                Buffer out = backend.allocate(DType.BF16, rows, width + 8).columns(shift, width);
                backend.addRmsNorm(step.rows(), backend.allocate(DType.F32, rows, width), null, scale, 1e-6f, out);
            }
        });
    }

    private String gelu(int rows, int width) {
        return launch(rows, (backend, step) -> {
            Buffer both = backend.allocate(DType.BF16, rows, 2 * width);
            Buffer gate = both.columns(0, width);
            backend.gatedGelu(step.rows(), gate, both.columns(width, width), gate);
        });
    }

    @Test
    void aNormOfFewRowsHasABlockForEach() {
        assertEquals("add_rms_norm_bf16 1x1 640", norm(1, 2560, 0));
        assertEquals("add_rms_norm_bf16 396x1 640", norm(396, 2560, 0), "three blocks a multiprocessor");
        assertEquals("add_rms_norm_bf16 264x1 1024", norm(264, 4096, 0));
    }

    @Test
    void aNormOfManyRowsHasAWarpForEach() {
        assertEquals("add_rms_norm_rows_bf16_c2560 100x1 128", norm(397, 2560, 0));
        assertEquals("add_rms_norm_rows_bf16_c2560 512x1 128", norm(2048, 2560, 0));
        assertEquals("add_rms_norm_rows_bf16_c4096 67x1 128", norm(265, 4096, 0));
    }

    @Test
    void rowsOfOtherWidthsOrAlignmentsHaveABlock() {
        assertEquals("add_rms_norm_bf16 600x1 256", norm(600, 4100, 0));
        assertEquals("add_rms_norm_bf16 600x1 672", norm(600, 2568, 0));
        assertEquals("add_rms_norm_bf16 600x1 640", norm(600, 2560, 1));
    }

    @Test
    void gatedGelusOfManyRowsHaveAQuarterOfTheBlocks() {
        assertEquals("gated_gelu_bf16 4x1 256", gelu(1, 7680));
        assertEquals("gated_gelu_bf16 4x263 256", gelu(263, 7680));
        assertEquals("gated_gelu_bf16 1x264 256", gelu(264, 7680));
        assertEquals("gated_gelu_bf16 2x2048 256", gelu(2048, 12288));
    }
}
