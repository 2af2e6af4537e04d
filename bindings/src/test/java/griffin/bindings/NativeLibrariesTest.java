package griffin.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.bindings.LibraryProbe.Attempt;
import griffin.bindings.LibraryProbe.Found;
import griffin.bindings.LibraryProbe.NotFound;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NativeLibrariesTest {

    private static final String PROPERTY = "griffin.cuda.library";

    @TempDir
    Path folder;

    @AfterEach
    void restore() {
        System.clearProperty(PROPERTY);
        NativeLibraries.forget();
    }

    @Test
    void anExplicitSettingIsTheOnlyCandidateAndItsAbsenceAValue() {
        String path = folder.resolve("libcuda.so.1").toString();
        NotFound missing = assertInstanceOf(NotFound.class, probe(path));
        assertEquals(List.of(new Attempt(path, "no such file")), missing.attempts());
        assertEquals(path + ": no such file", missing.reasons());
        assertEquals(List.of("cuInit"), missing.missing(List.of("cuInit")));
        assertTrue(NativeLibraries.cuda().find("cuInit").isEmpty());
    }

    @Test
    void aFileThatIsNoLibrarySaysSo() throws Exception {
        String path = Files.writeString(folder.resolve("libcuda.so.1"), "text").toString();
        NotFound missing = assertInstanceOf(NotFound.class, probe(path));
        assertTrue(missing.reasons().contains("could not be loaded"), missing.reasons());
        assertTrue(assertInstanceOf(NotFound.class, probe(folder.toString())).reasons().endsWith("not a file"));
    }

    @Test
    void aNameThatTheLoaderDoesNotKnowSaysSo() {
        NotFound missing = assertInstanceOf(NotFound.class, probe("libgriffin-no-such-library.so.1"));
        assertTrue(missing.reasons().contains("not found by the system's loader"), missing.reasons());
    }

    /** Any shared library will do as a driver that has none of the functions: the JDK's own is on every machine. */
    @Test
    void aLibraryWithoutTheFunctionsIsFoundAndNamesThem() {
        String library = System.mapLibraryName("java");
        Path home = Path.of(System.getProperty("java.home"));
        Path path = Files.exists(home.resolve("lib").resolve(library)) ? home.resolve("lib").resolve(library)
                : home.resolve("bin").resolve(library);
        Found found = assertInstanceOf(Found.class, probe(path.toString()));
        assertEquals(path.toString(), found.library());
        assertEquals(List.of("cuInit", "cuLaunchKernelEx"), found.missing(List.of("cuInit", "JNI_OnLoad", "cuLaunchKernelEx")));
        assertTrue(NativeLibraries.cuda().find("JNI_OnLoad").isPresent());
    }

    @Test
    void theSearchHappensOnceAndCanBeForgotten() {
        LibraryProbe first = probe("no-such");
        System.setProperty(PROPERTY, "another");
        assertSame(first, NativeLibraries.probeCuda());
        NativeLibraries.forget();
        assertEquals("another", assertInstanceOf(NotFound.class, NativeLibraries.probeCuda()).attempts().getFirst().candidate());
    }

    /** The generated class keeps the lookup that it got at its first use, maybe before a test installs its own. */
    @Test
    void aLookupHandedOutEarlierSeesWhatIsInstalledLater() {
        probe("no-such");
        var lookup = NativeLibraries.cuda();
        var blas = NativeLibraries.cublasLt();
        MemorySegment address = MemorySegment.ofAddress(1);
        NativeLibraries.useCuda(new Found("test", name -> name.equals("cuInit") ? Optional.of(address) : Optional.empty()));
        NativeLibraries.useCublasLt(new NotFound(List.of(new Attempt("libcublasLt.so.13", "test"))));
        assertEquals(Optional.of(address), lookup.find("cuInit"));
        assertEquals(Optional.empty(), lookup.find("cuCtxCreate_v4"));
        assertEquals(Optional.empty(), blas.find("cublasLtCreate"));
        assertInstanceOf(NotFound.class, NativeLibraries.probeCublasLt());
    }

    @Test
    void candidatesFollowTheOperatingSystem() {
        assertEquals(List.of("libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"), LibraryCandidates.cuda("Linux", Map.of()));
        assertEquals(List.of("nvcuda.dll"), LibraryCandidates.cuda("Windows 11", Map.of()));
        assertEquals(List.of(), LibraryCandidates.cuda("Mac OS X", Map.of()));
        List<String> linux = LibraryCandidates.cublasLt("Linux", Map.of("CUDA_HOME", "/opt/toolkit"));
        assertEquals(List.of("libcublasLt.so.13", "libcublasLt.so.12", "/opt/toolkit/lib64/libcublasLt.so.13"), linux.subList(0, 3));
        assertTrue(linux.contains("/usr/local/cuda/lib64/libcublasLt.so.12"));
        List<String> windows = LibraryCandidates.cublasLt("Windows Server 2025", Map.of("CUDA_PATH", "C:\\CUDA"));
        assertEquals(List.of("cublasLt64_13.dll", "cublasLt64_12.dll", "C:\\CUDA\\bin\\x64\\cublasLt64_13.dll"), windows.subList(0, 3));
        assertEquals(List.of(), LibraryCandidates.cublasLt("Mac OS X", Map.of("CUDA_HOME", "/opt/toolkit")));
    }

    @Test
    void whereCudaDoesNotExistTheReasonIsTheSystem() {
        NotFound missing = assertInstanceOf(NotFound.class, LibrarySearch.open(List.of()));
        assertTrue(missing.reasons().startsWith("CUDA: exists on Linux and Windows only"), missing.reasons());
    }

    private static LibraryProbe probe(String library) {
        NativeLibraries.forget();
        System.setProperty(PROPERTY, library);
        return NativeLibraries.probeCuda();
    }
}
