package griffin.bindings.fake;

import griffin.bindings.LibraryProbe;
import griffin.bindings.NativeLibraries;
import griffin.bindings.cuda.Cuda;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;

/**
 * A CUDA driver in Java, for tests on machines without a GPU: every function of {@link Cuda} as an upcall. Device memory is host memory,
 * work runs at once on the calling thread, a kernel is a line in {@link #launches()} and runs the Java code given to {@link #kernel}, if
 * any. Like the real one it wants {@code cuInit} first and a current context on the calling thread, refuses pointers it did not hand
 * out, and knows which work a stream captures. Fresh device memory holds NaN.
 *
 * <p>One is installed at a time; installing another starts from nothing. The generated class stays bound to the same upcalls.
 */
public final class FakeDriver {

    /** What the fake reports until told otherwise: a driver of CUDA 13.0 and one card of compute capability 9.0 with 1 GiB. */
    private static final int VERSION = 13000;

    private static final long MEMORY = 1L << 30;

    private static volatile FakeDriver current = new FakeDriver();

    final FakeMemory memory = new FakeMemory();
    final FakeStreams streams = new FakeStreams();
    final Map<Integer, Integer> attributes = new ConcurrentHashMap<>();
    final Map<String, FakeKernel> kernels = new ConcurrentHashMap<>();
    final Set<String> missingKernels = ConcurrentHashMap.newKeySet();
    /** All names that modules have; null for any. */
    volatile Set<String> knownKernels;
    final ThreadLocal<MemorySegment> context = ThreadLocal.withInitial(() -> MemorySegment.NULL);
    volatile int devices = 1;
    volatile int version = VERSION;
    volatile String name = "Fake GPU";
    volatile boolean initialised;

    private final Set<String> hidden = ConcurrentHashMap.newKeySet();
    private final List<Failure> failures = new CopyOnWriteArrayList<>();
    private final Map<String, Integer> calls = new ConcurrentHashMap<>();
    private final List<Launch> launches = new CopyOnWriteArrayList<>();
    private final List<Throwable> errors = new CopyOnWriteArrayList<>();

    /** A driver with the defaults. */
    public FakeDriver() {
        memory.total = MEMORY;
        computeCapability(9, 0);
        attributes.put(Cuda.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT(), 132);
        attributes.put(Cuda.CU_DEVICE_ATTRIBUTE_WARP_SIZE(), 32);
        attributes.put(Cuda.CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK(), 1024);
        attributes.put(Cuda.CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR(), 2048);
        attributes.put(Cuda.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK(), 48 << 10);
        attributes.put(Cuda.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN(), 227 << 10);
        attributes.put(Cuda.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR(), 228 << 10);
        attributes.put(Cuda.CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE(), 50 << 20);
        attributes.put(Cuda.CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE(), 2_619_000);
        attributes.put(Cuda.CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH(), 5120);
        attributes.put(Cuda.CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH(), 1);
        attributes.put(Cuda.CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY(), 1);
        attributes.put(Cuda.CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING(), 1);
        attributes.put(Cuda.CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED(), 1);
    }

    /** The installed one, or one with the defaults. */
    static FakeDriver current() {
        return current;
    }

    /** Makes this the process's CUDA driver, until another is installed. */
    public FakeDriver install() {
        current = this;
        NativeLibraries.useCuda(probe());
        return this;
    }

    /** The fake as a library that was found; looks up functions of whichever fake is installed. */
    public static LibraryProbe probe() {
        return new LibraryProbe.Found("fake driver", name -> FakeSymbols.find(name).filter(address -> !current.hidden.contains(name)));
    }

    /** The driver's version as {@code cuDriverGetVersion} has it: 12040 is CUDA 12.4. */
    public FakeDriver version(int driverVersion) {
        version = driverVersion;
        return this;
    }

    /** How many devices there are. */
    public FakeDriver devices(int count) {
        devices = count;
        return this;
    }

    /** The name of every device. */
    public FakeDriver name(String deviceName) {
        name = deviceName;
        return this;
    }

    /** What the device can do, such as 9, 0. */
    public FakeDriver computeCapability(int major, int minor) {
        attribute(Cuda.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR(), major);
        return attribute(Cuda.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR(), minor);
    }

    /** Any other attribute; those never set are 0. */
    public FakeDriver attribute(int attribute, int value) {
        attributes.put(attribute, value);
        return this;
    }

    /** Device memory, in bytes; an allocation beyond it is out of memory. */
    public FakeDriver memory(long bytes) {
        memory.total = bytes;
        return this;
    }

    /** Leaves functions out, as an older driver does. A function called earlier in this process stays callable. */
    public FakeDriver without(String... functions) {
        hidden.addAll(List.of(functions));
        return this;
    }

    /** Makes modules have these kernels alone, instead of any that is asked for. */
    public FakeDriver withKernels(Set<String> names) {
        knownKernels = Set.copyOf(names);
        return this;
    }

    /** Makes every module lack kernels. */
    public FakeDriver withoutKernels(String... names) {
        missingKernels.addAll(List.of(names));
        return this;
    }

    /**
     * Lets one call of a function fail.
     *
     * @param call  which one, counted from 1 since this driver was made
     * @param error a value of {@code CUresult}
     */
    public FakeDriver fail(String function, int call, int error) {
        failures.add(new Failure(function, call, call, error));
        return this;
    }

    /** Lets a function fail at its n-th call and for ever after, as after a failed launch. */
    public FakeDriver failFrom(String function, int call, int error) {
        failures.add(new Failure(function, call, Integer.MAX_VALUE, error));
        return this;
    }

    /**
     * Runs Java code for a kernel, whenever it is launched or a graph with it is.
     *
     * @param sizes bytes of each argument, in order; the code gets copies made when the launch was issued, as the real driver makes them.
     *              A launch with packed arguments gives the code the one packed block.
     */
    public FakeDriver kernel(String kernel, List<Long> sizes, Consumer<List<MemorySegment>> code) {
        kernels.put(kernel, new FakeKernel(sizes, code));
        return this;
    }

    /** How often a function was called, failed calls included. */
    public int calls(String function) {
        return calls.getOrDefault(function, 0);
    }

    /** All launches that ran, in order; those of graphs each time the graph is launched. */
    public List<Launch> launches() {
        return List.copyOf(launches);
    }

    /** Device memory in use, in bytes. */
    public long allocatedBytes() {
        return memory.allocatedBytes();
    }

    /** Handles and memory not given back: empty when a program has cleaned up. */
    public List<String> leaks() {
        List<String> leaks = new ArrayList<>(memory.leaks());
        leaks.addAll(streams.leaks());
        return leaks;
    }

    /** Exceptions out of the fake itself or a kernel's code; the call that met one returned CUDA_ERROR_UNKNOWN. */
    public List<Throwable> errors() {
        return List.copyOf(errors);
    }

    void launched(Launch launch) {
        launches.add(launch);
    }

    void broke(Throwable error) {
        errors.add(error);
    }

    /** Counts a call and decides whether it is to fail before anything happens. */
    int before(String function) {
        int call = calls.merge(function, 1, Integer::sum);
        for (Failure failure : failures) {
            if (failure.function.equals(function) && call >= failure.first && call <= failure.last) {
                return failure.error;
            }
        }
        if (!initialised && !function.equals("cuInit") && !function.startsWith("cuGetError") && !function.equals("cuDriverGetVersion")) {
            return Cuda.CUDA_ERROR_NOT_INITIALIZED();
        }
        return needsContext(function) && context.get().address() == 0 ? Cuda.CUDA_ERROR_INVALID_CONTEXT() : Cuda.CUDA_SUCCESS();
    }

    private static boolean needsContext(String function) {
        return !function.equals("cuInit") && !function.startsWith("cuGetError") && !function.startsWith("cuD")
                && !function.equals("cuCtxSetCurrent");
    }

    private record Failure(String function, int first, int last, int error) {}

    /**
     * One launch of a kernel. Sizes are those of the launch: blocks, threads, bytes of dynamic shared memory.
     *
     * @param graph        whether a graph launched it
     * @param programmatic whether it may start before its predecessor has ended (programmatic dependent launch)
     * @param cooperative  whether all its blocks must be on the device at once
     * @param cluster      blocks of a thread block cluster, along x; 1 without clusters
     */
    public record Launch(String kernel, int gridX, int gridY, int gridZ, int blockX, int blockY, int blockZ, int sharedBytes,
            boolean graph, boolean programmatic, boolean cooperative, int cluster) {}

    record FakeKernel(List<Long> sizes, Consumer<List<MemorySegment>> code) {}
}
