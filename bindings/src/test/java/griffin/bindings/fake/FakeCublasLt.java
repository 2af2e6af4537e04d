package griffin.bindings.fake;

import griffin.bindings.LibraryProbe;
import griffin.bindings.NativeLibraries;
import griffin.bindings.cuda.CublasLt;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * cuBLASLt in Java, for tests on machines without a GPU: it computes nothing, and each product is a line in
 * {@link FakeDriver#launches()} of the installed driver, named by {@link #product}, with its rows as {@code gridX} and the number of
 * batched products as {@code gridY}. One is installed at a time.
 */
public final class FakeCublasLt {

    private static final Map<String, MemorySegment> STUBS = new ConcurrentHashMap<>();
    private static final MemorySegment TEXT = Arena.global().allocateFrom("fake");

    private static volatile FakeCublasLt current = new FakeCublasLt();

    private final Map<Long, Map<Integer, Long>> handles = new HashMap<>();
    private final List<Throwable> errors = new ArrayList<>();
    private final AtomicInteger heuristics = new AtomicInteger();
    private volatile boolean refuses;
    private long nextHandle = 0x20000;

    /** Makes this the process's cuBLASLt, until another is installed. */
    public FakeCublasLt install() {
        current = this;
        NativeLibraries.useCublasLt(new LibraryProbe.Found("fake cuBLASLt", FakeCublasLt::find));
        return this;
    }

    /** Lets it find no algorithm for any product. */
    public FakeCublasLt refusing() {
        refuses = true;
        return this;
    }

    /** How often an algorithm was asked for. */
    public int heuristics() {
        return heuristics.get();
    }

    /** Handles not given back. */
    public int leaks() {
        return handles.size();
    }

    /**
     * The name under which a product is listed.
     *
     * @param outputs O
     * @param inputs  I
     * @param result  type of the result, bf16 or f32
     * @param biased  whether its epilogue adds a bias
     * @param added   whether the result is added to what is there
     */
    public static String product(int outputs, int inputs, String result, boolean biased, boolean added) {
        return "cublasLt " + outputs + " x " + inputs + " " + result + (biased ? " + bias" : "") + (added ? " added" : "");
    }

    private static Optional<MemorySegment> find(String name) {
        for (Method method : FakeCublasLt.class.getDeclaredMethods()) {
            if (method.getName().equals(name) && Modifier.isStatic(method.getModifiers())) {
                return Optional.of(STUBS.computeIfAbsent(name, key -> FakeSymbols.upcall(method, FakeCublasLt::broke)));
            }
        }
        return Optional.empty();
    }

    private static int broke(Throwable error) {
        current.errors.add(error);
        return CublasLt.CUBLAS_STATUS_INVALID_VALUE();
    }

    private int add(MemorySegment out, Map<Integer, Long> attributes) {
        handles.put(nextHandle, new HashMap<>(attributes));
        out.reinterpret(Long.BYTES).set(ValueLayout.JAVA_LONG, 0, nextHandle);
        nextHandle += 16;
        return CublasLt.CUBLAS_STATUS_SUCCESS();
    }

    private int set(MemorySegment handle, int attribute, MemorySegment value, long bytes) {
        MemorySegment v = value.reinterpret(bytes);
        handles.get(handle.address()).put(attribute,
                bytes == Integer.BYTES ? v.get(ValueLayout.JAVA_INT, 0) : v.get(ValueLayout.JAVA_LONG, 0));
        return CublasLt.CUBLAS_STATUS_SUCCESS();
    }

    private int remove(MemorySegment handle) {
        return handles.remove(handle.address()) != null ? CublasLt.CUBLAS_STATUS_SUCCESS() : CublasLt.CUBLAS_STATUS_INVALID_VALUE();
    }

    // ---- the functions, named and typed like the library's

    static MemorySegment cublasLtGetStatusName(int status) {
        return TEXT;
    }

    static MemorySegment cublasLtGetStatusString(int status) {
        return TEXT;
    }

    static int cublasLtCreate(MemorySegment handle) {
        return current.add(handle, Map.of());
    }

    static int cublasLtDestroy(MemorySegment handle) {
        return current.remove(handle);
    }

    static int cublasLtMatmulDescCreate(MemorySegment description, int compute, int scale) {
        return current.add(description, Map.of());
    }

    static int cublasLtMatmulDescSetAttribute(MemorySegment description, int attribute, MemorySegment value, long bytes) {
        return current.set(description, attribute, value, bytes);
    }

    static int cublasLtMatmulDescDestroy(MemorySegment description) {
        return current.remove(description);
    }

    private static final int TYPE = -1;
    private static final int ROWS = -2;
    private static final int COLUMNS = -3;

    static int cublasLtMatrixLayoutCreate(MemorySegment layout, int type, long rows, long columns, long leading) {
        return current.add(layout, Map.of(TYPE, (long) type, ROWS, rows, COLUMNS, columns));
    }

    static int cublasLtMatrixLayoutSetAttribute(MemorySegment layout, int attribute, MemorySegment value, long bytes) {
        return current.set(layout, attribute, value, bytes);
    }

    static int cublasLtMatrixLayoutDestroy(MemorySegment layout) {
        return current.remove(layout);
    }

    static int cublasLtMatmulPreferenceCreate(MemorySegment preference) {
        return current.add(preference, Map.of());
    }

    static int cublasLtMatmulPreferenceSetAttribute(MemorySegment preference, int attribute, MemorySegment value, long bytes) {
        return current.set(preference, attribute, value, bytes);
    }

    static int cublasLtMatmulPreferenceDestroy(MemorySegment preference) {
        return current.remove(preference);
    }

    static int cublasLtMatmulAlgoGetHeuristic(MemorySegment handle, MemorySegment description, MemorySegment a, MemorySegment b,
            MemorySegment c, MemorySegment d, MemorySegment preference, int requested, MemorySegment results, MemorySegment returned) {
        current.heuristics.incrementAndGet();
        returned.reinterpret(Integer.BYTES).set(ValueLayout.JAVA_INT, 0, current.refuses ? 0 : 1);
        return CublasLt.CUBLAS_STATUS_SUCCESS();
    }

    static int cublasLtMatmul(MemorySegment handle, MemorySegment description, MemorySegment alpha, MemorySegment a, MemorySegment aLayout,
            MemorySegment b, MemorySegment bLayout, MemorySegment beta, MemorySegment c, MemorySegment cLayout, MemorySegment d,
            MemorySegment dLayout, MemorySegment algorithm, MemorySegment workspace, long workspaceBytes, MemorySegment stream) {
        Map<Integer, Long> w = current.handles.get(aLayout.address());
        Map<Integer, Long> out = current.handles.get(dLayout.address());
        boolean biased = current.handles.get(description.address()).containsKey(CublasLt.CUBLASLT_MATMUL_DESC_EPILOGUE());
        boolean added = beta.reinterpret(Float.BYTES).get(ValueLayout.JAVA_FLOAT, 0) != 0;
        String result = out.get(TYPE) == CublasLt.CUDA_R_32F() ? "f32" : "bf16";
        String name = product(Math.toIntExact(w.get(COLUMNS)), Math.toIntExact(w.get(ROWS)), result, biased, added);
        int rows = Math.toIntExact(out.get(COLUMNS));
        int count = Math.toIntExact(out.getOrDefault(CublasLt.CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT(), 1L));
        FakeDriver driver = FakeDriver.current();
        return driver.streams.issue(stream, graph -> {
            driver.launched(new FakeDriver.Launch(name, rows, count, 1, 1, 1, 1, 0, graph, false, false, 1));
            return CublasLt.CUBLAS_STATUS_SUCCESS();
        });
    }
}
