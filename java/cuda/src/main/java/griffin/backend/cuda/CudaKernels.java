package griffin.backend.cuda;

import griffin.bindings.cuda.Cuda;
import griffin.error.BackendUnavailableException;
import griffin.error.DeviceException;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** The compiled kernels: fatbins from the kernels' jar, or from a folder; each function is looked up once. */
final class CudaKernels implements AutoCloseable {

    private static final String FOLDER = "/griffin/cuda/kernels/";
    private static final Pattern OUTPUT = Pattern.compile("\"(\\w+\\.fatbin)\"\\s*:");
    /** Every program ends with it. */
    private static final String LAST = "publish_result";
    /** What loading gives when the files are not for this card, too new for this driver, or damaged. */
    private static final Set<Integer> UNFIT = Set.of(Cuda.CUDA_ERROR_NO_BINARY_FOR_GPU(), Cuda.CUDA_ERROR_INVALID_IMAGE(),
            Cuda.CUDA_ERROR_INVALID_PTX(), Cuda.CUDA_ERROR_UNSUPPORTED_PTX_VERSION(), Cuda.CUDA_ERROR_JIT_COMPILER_NOT_FOUND());
    private static final String MAKE = "; make them with cuda-kernels/build (wants nvcc 13.0) and build again";
    /** What every launch may use without asking. */
    private static final int PLAIN_SHARED = 48 << 10;
    /** Percent of a multiprocessor's memory that can be either. */
    private static final int ALL_SHARED = 100;

    /** A function on the device. */
    static final class Kernel {
        private final String name;
        private final MemorySegment handle;
        private int shared = PLAIN_SHARED;

        private Kernel(String name, MemorySegment handle) {
            this.name = name;
            this.handle = handle;
            // Blocks of two kernels share a multiprocessor only if both split its memory into cache and shared memory alike.
            CudaErrors.check(
                    Cuda.cuFuncSetAttribute(handle, Cuda.CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT(), ALL_SHARED),
                    "cuFuncSetAttribute of " + name + " to prefer shared memory");
        }

        String name() {
            return name;
        }

        MemorySegment handle() {
            return handle;
        }

        /** More than the ordinary 48 KiB of dynamic shared memory must be asked for, kernel by kernel. */
        void allowShared(int bytes) {
            if (bytes > shared) {
                CudaErrors.check(Cuda.cuFuncSetAttribute(handle, Cuda.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES(), bytes),
                        "cuFuncSetAttribute of " + name + " to " + bytes + " bytes of shared memory");
                shared = bytes;
            }
        }
    }

    private final Path folder;
    private final List<MemorySegment> modules = new ArrayList<>();
    private final Map<String, Kernel> kernels = new HashMap<>();

    /**
     * Loads all of them.
     *
     * @param folder of fatbins, or null for those of the jar
     * @throws BackendUnavailableException when they are missing or not for this card
     */
    CudaKernels(Path folder) {
        this.folder = folder;
        try {
            List<String> files = files(folder);
            if (files.isEmpty()) {
                throw unavailable("are not in " + source(folder), null);
            }
            for (String file : files) {
                load(file);
            }
            if (!has(LAST)) {
                throw unavailable("in " + source(folder) + " lack " + LAST + ": they belong to another version of Griffin", null);
            }
        } catch (IOException e) {
            throw unavailable("cannot be read from " + source(folder) + " (" + e.getMessage() + ")", e);
        } catch (Throwable e) {
            close();
            throw e;
        }
    }

    /**
     * What is wrong with the files before any is loaded, or null.
     *
     * @param folder of fatbins, or null for those of the jar
     */
    static String missing(Path folder) {
        try {
            return files(folder).isEmpty() ? "the compiled CUDA kernels are not in " + source(folder) + MAKE : null;
        } catch (IOException e) {
            return "the compiled CUDA kernels cannot be read from " + source(folder) + " (" + e.getMessage() + ")" + MAKE;
        }
    }

    private static BackendUnavailableException unavailable(String what, Throwable cause) {
        return new BackendUnavailableException("the compiled CUDA kernels " + what + MAKE + ", or use --device cpu", cause);
    }

    private static String source(Path folder) {
        return folder == null ? "the class path (" + FOLDER + ", in griffin-cuda-kernels)" : folder.toString();
    }

    private static List<String> files(Path folder) throws IOException {
        if (folder != null) {
            try (Stream<Path> all = Files.list(folder)) {
                return all.map(file -> file.getFileName().toString()).filter(name -> name.endsWith(".fatbin")).sorted().toList();
            }
        }
        List<String> names = new ArrayList<>();
        try (InputStream manifest = open(folder, "manifest.json")) {
            Matcher outputs = OUTPUT.matcher(new String(manifest.readAllBytes(), StandardCharsets.UTF_8));
            while (outputs.find()) {
                names.add(outputs.group(1));
            }
        }
        return names;
    }

    private static InputStream open(Path folder, String file) throws IOException {
        if (folder != null) {
            return Files.newInputStream(folder.resolve(file));
        }
        // Not encapsulated: the kernels' jar is no module of its own kind, and its folder's name is no package.
        InputStream in = CudaKernels.class.getResourceAsStream(FOLDER + file);
        if (in == null) {
            in = ClassLoader.getSystemResourceAsStream(FOLDER.substring(1) + file);
        }
        if (in == null) {
            throw new IOException(FOLDER + file + " is missing in griffin-cuda-kernels");
        }
        return in;
    }

    private void load(String file) throws IOException {
        byte[] image;
        try (InputStream in = open(folder, file)) {
            image = in.readAllBytes();
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            MemorySegment data = arena.allocate(image.length, 64);
            MemorySegment.copy(image, 0, data, ValueLayout.JAVA_BYTE, 0, image.length);
            int result = Cuda.cuModuleLoadData(out, data);
            if (UNFIT.contains(result)) {
                throw unavailable("do not fit this card or driver: cuModuleLoadData of " + file + " gave " + CudaErrors.text(result), null);
            }
            CudaErrors.check(result, "cuModuleLoadData of " + file);
            modules.add(out.get(ValueLayout.ADDRESS, 0));
        }
    }

    /** Whether there is such a kernel. */
    boolean has(String name) {
        return find(name) != null;
    }

    /**
     * The kernel of that name.
     *
     * @throws DeviceException when no module has it
     */
    Kernel get(String name) {
        Kernel kernel = find(name);
        if (kernel == null) {
            throw new DeviceException("the compiled CUDA kernels from " + source(folder) + " lack " + name
                    + ": they belong to another version of Griffin; rebuild with cuda-kernels/build");
        }
        return kernel;
    }

    private Kernel find(String name) {
        Kernel known = kernels.get(name);
        if (known != null) {
            return known;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            MemorySegment text = arena.allocateFrom(name);
            for (MemorySegment module : modules) {
                int result = Cuda.cuModuleGetFunction(out, module, text);
                if (result == Cuda.CUDA_SUCCESS()) {
                    Kernel kernel = new Kernel(name, out.get(ValueLayout.ADDRESS, 0));
                    kernels.put(name, kernel);
                    return kernel;
                }
                if (result != Cuda.CUDA_ERROR_NOT_FOUND()) {
                    CudaErrors.check(result, "cuModuleGetFunction of " + name);
                }
            }
            return null;
        }
    }

    @Override
    public void close() {
        modules.forEach(Cuda::cuModuleUnload);
        modules.clear();
    }
}
