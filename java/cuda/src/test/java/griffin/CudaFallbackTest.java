package griffin;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.Backend;
import griffin.backend.DType;
import griffin.bindings.NativeLibraries;
import griffin.bindings.cuda.Cuda;
import griffin.bindings.fake.FakeDriver;
import griffin.error.BackendUnavailableException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A card that is there and cannot be used: {@code auto} takes the CPU and says why in one line, an explicit wish fails with a remedy. */
class CudaFallbackTest {

    private static final String KERNELS = "griffin.cuda.kernels.dir";

    @TempDir
    Path folder;

    @BeforeEach
    void useFolder() {
        System.setProperty(KERNELS, folder.toString());
        System.setProperty("griffin.cuda.cublas", "off");
    }

    @AfterEach
    void forget() {
        System.clearProperty(KERNELS);
        System.clearProperty("griffin.cuda.cublas");
        NativeLibraries.forget();
    }

    private static Devices.Choice open(String device) {
        return Devices.open(device, 1, DType.BF16, notice -> {});
    }

    private static void assertCpu(String... words) {
        Devices.Choice choice = open("auto");
        try (Backend opened = choice.backend()) {
            assertEquals("cpu", opened.device().kind());
            for (String word : words) {
                assertTrue(choice.reason().contains(word), choice::reason);
            }
            assertEquals(1, choice.reason().lines().count(), choice::reason);
        }
    }

    private static void assertUnavailable(String... words) {
        var e = assertThrows(BackendUnavailableException.class, () -> open("cuda"));
        for (String word : words) {
            assertTrue(e.getMessage().contains(word), e::getMessage);
        }
    }

    @Test
    void noCompiledKernels() {
        FakeDriver driver = new FakeDriver().install();
        assertCpu("compiled CUDA kernels are not in " + folder, "cuda-kernels/build");
        assertUnavailable("compiled CUDA kernels are not in " + folder, "cuda-kernels/build", "--device cpu");
        assertEquals(List.of(), driver.leaks());
    }

    @Test
    void noFolderOfKernels() {
        System.setProperty(KERNELS, folder.resolve("absent").toString());
        new FakeDriver().install();
        assertCpu("compiled CUDA kernels cannot be read from " + folder.resolve("absent"));
        assertUnavailable("cannot be read", "cuda-kernels/build");
    }

    @Test
    void kernelsOfAnotherCard() throws IOException {
        Files.write(folder.resolve("all.fatbin"), new byte[] {1});
        new FakeDriver().failFrom("cuModuleLoadData", 1, Cuda.CUDA_ERROR_NO_BINARY_FOR_GPU()).install();
        assertCpu("CUDA_ERROR_NO_BINARY_FOR_GPU");
        assertUnavailable("do not fit this card or driver", "cuda-kernels/build");
    }

    @Test
    void aCardThatDoesNotOpen() throws IOException {
        Files.write(folder.resolve("all.fatbin"), new byte[] {1});
        new FakeDriver().failFrom("cuStreamCreate", 1, Cuda.CUDA_ERROR_OUT_OF_MEMORY()).install();
        assertCpu("cuStreamCreate", "CUDA_ERROR_OUT_OF_MEMORY");
    }

    @Test
    void aCardThatOpensIsTaken() throws IOException {
        Files.write(folder.resolve("all.fatbin"), new byte[] {1});
        new FakeDriver().install();
        Devices.Choice choice = open("auto");
        try (Backend opened = choice.backend()) {
            assertEquals("cuda", opened.device().kind());
        }
    }
}
