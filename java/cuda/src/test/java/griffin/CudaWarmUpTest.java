package griffin;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.StepPlan;
import griffin.backend.StepResult;
import griffin.backend.cuda.FakeCard;
import griffin.backend.cuda.SparseModel;
import griffin.bindings.NativeLibraries;
import griffin.bindings.fake.FakeCublasLt;
import griffin.bindings.fake.FakeDriver;
import griffin.model.ModelRunner;
import griffin.sampling.SamplingParams;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The first prompt of an opened model finds all that it needs: nothing is loaded, chosen, captured or allocated for it. */
class CudaWarmUpTest {

    private static final String KERNELS = "griffin.cuda.kernels.dir";
    private static final List<String> LAZY = List.of("cuModuleLoadData", "cuModuleGetFunction", "cuFuncSetAttribute", "cuMemAlloc_v2",
            "cuStreamBeginCapture_v2", "cuGraphInstantiateWithFlags");

    @TempDir
    Path folder;

    @AfterEach
    void forget() {
        System.clearProperty(KERNELS);
        NativeLibraries.forget();
    }

    @Test
    void nothingFallsIntoTheFirstRequest() throws IOException {
        System.setProperty(KERNELS, folder.toString());
        Files.write(folder.resolve("all.fatbin"), new byte[] {1});
        FakeDriver driver = FakeCard.publishing().install();
        FakeCublasLt cublas = new FakeCublasLt().install();
        try (Griffin griffin = Griffin.builder(SparseModel.narrow2b(folder, "BF16")).device("cuda").open()) {
            int heuristics = cublas.heuristics();
            assertTrue(heuristics > 0);
            List<Integer> before = LAZY.stream().map(driver::calls).toList();
            assertEquals(1, driver.calls("cuStreamBeginCapture_v2"), "the graph of one sequence");
            ModelRunner runner = griffin.runner();
            StepResult result = new StepResult(1);
            runner.plan().clear().add(0, 0, new int[128], 0, 128, StepPlan.Outputs.LAST, SamplingParams.GREEDY, 9, new int[0]);
            runner.await(runner.generate(), result);
            runner.await(runner.next(), result);
            assertEquals(before, LAZY.stream().map(driver::calls).toList());
            assertEquals(heuristics, cublas.heuristics());
        }
        assertEquals(List.of(), driver.errors());
        assertEquals(List.of(), driver.leaks());
    }
}
