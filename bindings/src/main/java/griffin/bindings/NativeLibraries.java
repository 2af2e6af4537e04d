package griffin.bindings;

import java.lang.foreign.SymbolLookup;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * Where the functions of the generated classes come from. {@code Cuda} and {@code CublasLt} bind each function when it is first called,
 * through the lookups given here; a failure there is a linkage error for the rest of the process. So {@linkplain #probeCuda() probe}
 * first, and ask the result what is {@linkplain LibraryProbe#missing missing}.
 */
public final class NativeLibraries {

    private static final NativeLibrary CUDA = new NativeLibrary("griffin.cuda.library", "GRIFFIN_CUDA_LIBRARY", LibraryCandidates::cuda);

    private static final NativeLibrary CUBLAS_LT =
            new NativeLibrary("griffin.cublaslt.library", "GRIFFIN_CUBLASLT_LIBRARY", LibraryCandidates::cublasLt);

    private NativeLibraries() {}

    /**
     * Looks for the CUDA driver: what the system property {@code griffin.cuda.library} or the environment variable
     * {@code GRIFFIN_CUDA_LIBRARY} names and nothing else, or else the names under which Linux, WSL and Windows have it. Looks once;
     * later calls give the same result.
     */
    public static LibraryProbe probeCuda() {
        return CUDA.probe();
    }

    /**
     * Looks for cuBLASLt, likewise: {@code griffin.cublaslt.library} or {@code GRIFFIN_CUBLASLT_LIBRARY}, or else versions 13 and 12 on the
     * loader's path and in the toolkit's usual folders. It needs the driver, but is found without it.
     */
    public static LibraryProbe probeCublasLt() {
        return CUBLAS_LT.probe();
    }

    /** For the generated class {@code Cuda}: the driver's functions, none if there is no driver. Never fails itself. */
    public static SymbolLookup cuda() {
        return CUDA.symbols();
    }

    /** For the generated class {@code CublasLt}: cuBLASLt's functions, none if it is not there. Never fails itself. */
    public static SymbolLookup cublasLt() {
        return CUBLAS_LT.symbols();
    }

    /**
     * For tests: this is the driver from now on, or its absence. A function that a generated class has bound already stays bound, so
     * install before the first call.
     */
    public static void useCuda(LibraryProbe library) {
        CUDA.use(library);
    }

    /** For tests: the same for cuBLASLt. */
    public static void useCublasLt(LibraryProbe library) {
        CUBLAS_LT.use(library);
    }

    /** For tests: forgets an installed library and what was found; the next probe looks again. */
    public static void forget() {
        CUDA.forget();
        CUBLAS_LT.forget();
    }

    /** One library: its settings, its candidates, and the result of the one search. */
    private static final class NativeLibrary {

        private final String property;
        private final String variable;
        private final Candidates candidates;
        private LibraryProbe result;

        NativeLibrary(String property, String variable, Candidates candidates) {
            this.property = property;
            this.variable = variable;
            this.candidates = candidates;
        }

        synchronized LibraryProbe probe() {
            if (result == null) {
                result = search();
            }
            return result;
        }

        private LibraryProbe search() {
            Map<String, String> environment = System.getenv();
            String explicit = System.getProperty(property, environment.get(variable));
            if (explicit != null && !explicit.isBlank()) {
                return LibrarySearch.open(List.of(explicit));
            }
            return LibrarySearch.open(candidates.of(System.getProperty("os.name"), environment));
        }

        /** Asks anew at each call, so that a lookup installed after the generated class was initialised serves, too. */
        SymbolLookup symbols() {
            return name -> probe() instanceof LibraryProbe.Found found ? found.symbols().find(name) : Optional.empty();
        }

        synchronized void use(LibraryProbe library) {
            result = Objects.requireNonNull(library, "library");
        }

        synchronized void forget() {
            result = null;
        }
    }

    /** Names and paths to try, in order, on an operating system with an environment. */
    @FunctionalInterface
    private interface Candidates {
        List<String> of(String operatingSystem, Map<String, String> environment);
    }
}
