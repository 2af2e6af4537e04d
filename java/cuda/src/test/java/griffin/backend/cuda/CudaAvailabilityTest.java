package griffin.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.Backend;
import griffin.backend.BackendProvider;
import griffin.backend.DType;
import griffin.bindings.LibraryProbe;
import griffin.bindings.NativeLibraries;
import griffin.bindings.cuda.Cuda;
import griffin.bindings.fake.FakeDriver;
import griffin.error.BackendUnavailableException;
import java.util.ArrayList;
import java.util.List;
import java.util.ServiceLoader;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Whatever a machine lacks is said in one sentence with a remedy, by the list of devices and by an explicit wish alike. */
class CudaAvailabilityTest {

    private final BackendProvider provider = new CudaProvider();

    @AfterEach
    void forget() {
        NativeLibraries.forget();
    }

    private void assertUnavailable(int index, String... words) {
        var e = assertThrows(BackendUnavailableException.class,
                () -> provider.open(new BackendProvider.Options(index, DType.BF16, notice -> {})));
        for (String word : words) {
            assertTrue(e.getMessage().contains(word), e::getMessage);
        }
    }

    @Test
    void isFoundAsAService() {
        List<String> kinds = new ArrayList<>();
        ServiceLoader.load(BackendProvider.class).forEach(found -> kinds.add(found.kind()));
        assertEquals(List.of("cuda"), kinds);
    }

    @Test
    void noDriver() {
        NativeLibraries.useCuda(new LibraryProbe.NotFound(List.of(new LibraryProbe.Attempt("libcuda.so.1", "cannot open"))));
        assertFalse(provider.probe().getFirst().usable());
        assertEquals(-1, provider.probe().getFirst().index());
        assertUnavailable(0, "no NVIDIA driver", "libcuda.so.1: cannot open", "install", "--device cpu");
    }

    @Test
    void oldDriver() {
        new FakeDriver().version(12020).install();
        assertUnavailable(0, "too old", "CUDA 12.2", "13.0", "compute capability 8.0", "update the driver");
        new FakeDriver().without("cuLaunchKernelEx").install();
        assertUnavailable(0, "too old", "lacks cuLaunchKernelEx", "update the driver");
    }

    @Test
    void noDevice() {
        new FakeDriver().devices(0).install();
        assertUnavailable(0, "has no device", "nvidia-smi");
    }

    @Test
    void driverThatDoesNotStart() {
        new FakeDriver().fail("cuInit", 1, Cuda.CUDA_ERROR_SYSTEM_DRIVER_MISMATCH()).install();
        assertUnavailable(0, "does not start", "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "reboot");
    }

    @Test
    void oldCard() {
        new FakeDriver().computeCapability(7, 5).name("Old Card").install();
        BackendProvider.Found found = provider.probe().getFirst();
        assertFalse(found.usable());
        assertTrue(found.detail().contains("Old Card") && found.detail().contains("7.5") && found.detail().contains("8.0"), found::detail);
        assertUnavailable(0, "Old Card", "compute capability 7.5", "8.0 or newer", "another card");
    }

    @Test
    void everyCardIsListedAndNumbered() {
        new FakeDriver().devices(2).name("Fake GPU").install();
        List<BackendProvider.Found> found = provider.probe();
        assertEquals(List.of(0, 1), found.stream().map(BackendProvider.Found::index).toList());
        assertTrue(found.get(1).usable() && found.get(1).detail().contains("Fake GPU, 132 multiprocessors"), found.get(1)::detail);
        assertUnavailable(2, "cuda:2", "2 CUDA devices", "cuda:1", "griffin-run devices");
    }

    @Test
    void aFailureWhileOpeningGivesEverythingBack(@org.junit.jupiter.api.io.TempDir java.nio.file.Path folder) {
        FakeDriver driver = new FakeDriver().fail("cuStreamCreate", 1, Cuda.CUDA_ERROR_UNKNOWN());
        assertThrows(griffin.error.DeviceException.class, () -> Fake.open(driver, folder, DType.BF16, true, true));
        assertEquals(List.of(), driver.leaks());
    }

    @Test
    void kernelsThatDoNotFit(@org.junit.jupiter.api.io.TempDir java.nio.file.Path folder) {
        FakeDriver driver = new FakeDriver().fail("cuModuleLoadData", 1, Cuda.CUDA_ERROR_NO_BINARY_FOR_GPU());
        var e = assertThrows(BackendUnavailableException.class, () -> Fake.open(driver, folder, DType.BF16, true, true));
        for (String word : List.of("cuModuleLoadData of all.fatbin", "CUDA_ERROR_NO_BINARY_FOR_GPU", "cuda-kernels/build",
                "--device cpu")) {
            assertTrue(e.getMessage().contains(word), e::getMessage);
        }
        assertEquals(List.of(), driver.leaks());
        FakeDriver other = new FakeDriver().withoutKernels("publish_result");
        e = assertThrows(BackendUnavailableException.class, () -> Fake.open(other, folder, DType.BF16, true, true));
        assertTrue(e.getMessage().contains("publish_result") && e.getMessage().contains("another version"), e::getMessage);
        assertEquals(List.of(), other.leaks());
    }

    @Test
    void anOpenedBackendGivesEverythingBack(@org.junit.jupiter.api.io.TempDir java.nio.file.Path folder) {
        FakeDriver driver = Fake.publishing();
        try (Backend backend = Fake.open(driver, folder, DType.F32, true, true)) {
            backend.allocate(DType.F32, 3, 5);
            backend.allocateStep(4, 2, 0);
            assertEquals("cuda", backend.device().kind());
        }
        assertEquals(List.of(), driver.leaks());
        assertEquals(List.of(), driver.errors());
    }
}
