package griffin.backend.cuda;

import griffin.backend.DType;
import griffin.bindings.LibraryProbe;
import griffin.bindings.NativeLibraries;
import griffin.bindings.cuda.CublasLt;
import griffin.bindings.cuda.cublasLtMatmulHeuristicResult_t;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.function.Consumer;

/**
 * Products of many rows by cuBLASLt. Its matrices are column-major, so a row-major out [M, O] = x [M, I] w [O, I]^T is its
 * D [O, M] = A^T B with A = w [I, O] and B = x [I, M]. The algorithm for each shape is chosen once; the workspace is fixed. Where it has
 * none for a shape the caller takes Griffin's own kernel, and the user is told once.
 */
final class CublasLtProducts implements AutoCloseable {

    static final long WORKSPACE_BYTES = 32 << 20;
    private static final int CACHED_SHAPES = 512;
    private static final List<String> FUNCTIONS = List.of("cublasLtCreate", "cublasLtMatmul", "cublasLtMatmulAlgoGetHeuristic");

    /** All that a choice depends on. Leading dimensions in elements; {@code count} products side by side, stride apart. */
    private record Shape(int outputs, int rows, int inputs, int xStride, int outStride, boolean floatOut, boolean biased, int count) {}

    /** A chosen algorithm with its descriptions. */
    private final class Choice {
        final Arena arena = Arena.ofShared();
        final MemorySegment description;
        final MemorySegment a;
        final MemorySegment b;
        final MemorySegment d;
        MemorySegment algorithm;

        Choice(Shape s) {
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            check(CublasLt.cublasLtMatmulDescCreate(out, CublasLt.CUBLAS_COMPUTE_32F(), CublasLt.CUDA_R_32F()), "MatmulDescCreate");
            description = out.get(ValueLayout.ADDRESS, 0);
            set(CublasLt.CUBLASLT_MATMUL_DESC_TRANSA(), CublasLt.CUBLAS_OP_T());
            if (s.biased) {
                set(CublasLt.CUBLASLT_MATMUL_DESC_EPILOGUE(), CublasLt.CUBLASLT_EPILOGUE_BIAS());
                set(CublasLt.CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE(), s.floatOut ? CublasLt.CUDA_R_32F() : type);
            }
            boolean batched = s.count > 1;
            a = matrix(out, type, s.inputs, s.outputs, s.inputs, batched ? s.count : 1, (long) s.inputs * s.outputs);
            b = matrix(out, type, s.inputs, s.rows, s.xStride, batched ? s.count : 1, s.inputs);
            d = matrix(out, s.floatOut ? CublasLt.CUDA_R_32F() : type, s.outputs, s.rows, s.outStride, batched ? s.count : 1, s.outputs);
        }

        private void set(int attribute, int value) {
            check(CublasLt.cublasLtMatmulDescSetAttribute(description, attribute, arena.allocateFrom(ValueLayout.JAVA_INT, value), 4),
                    "MatmulDescSetAttribute");
        }

        private MemorySegment matrix(MemorySegment out, int elements, long rows, long columns, long leading, int count, long stride) {
            check(CublasLt.cublasLtMatrixLayoutCreate(out, elements, rows, columns, leading), "MatrixLayoutCreate");
            MemorySegment layout = out.get(ValueLayout.ADDRESS, 0);
            if (count > 1) {
                check(CublasLt.cublasLtMatrixLayoutSetAttribute(layout, CublasLt.CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT(),
                        arena.allocateFrom(ValueLayout.JAVA_INT, count), 4), "MatrixLayoutSetAttribute");
                check(CublasLt.cublasLtMatrixLayoutSetAttribute(layout, CublasLt.CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET(),
                        arena.allocateFrom(ValueLayout.JAVA_LONG, stride), 8), "MatrixLayoutSetAttribute");
            }
            return layout;
        }

        /** Asks for the best algorithm, and remembers null where there is none; the bias pointer, if any, must be set. */
        void choose(Shape s) {
            MemorySegment result = cublasLtMatmulHeuristicResult_t.allocate(arena);
            MemorySegment found = arena.allocate(ValueLayout.JAVA_INT);
            int status = CublasLt.cublasLtMatmulAlgoGetHeuristic(handle, description, a, b, d, d, preference, 1, result, found);
            if (status == CublasLt.CUBLAS_STATUS_SUCCESS() && found.get(ValueLayout.JAVA_INT, 0) > 0) {
                algorithm = cublasLtMatmulHeuristicResult_t.algo(result);
            } else {
                refused(s, status);
            }
        }

        void free() {
            CublasLt.cublasLtMatmulDescDestroy(description);
            CublasLt.cublasLtMatrixLayoutDestroy(a);
            CublasLt.cublasLtMatrixLayoutDestroy(b);
            CublasLt.cublasLtMatrixLayoutDestroy(d);
            arena.close();
        }
    }

    private final CudaContext context;
    private final DType operands;
    private final int type;
    private final MemorySegment handle;
    private final MemorySegment preference;
    private final MemorySegment workspace;
    private final MemorySegment one;
    private final MemorySegment zero;
    private final MemorySegment pointer;
    private final Consumer<String> notices;
    private boolean refused;
    private final LinkedHashMap<Shape, Choice> choices = new LinkedHashMap<>(16, 0.75f, true);

    /** Whether there is a library with all that is needed; else the reason. */
    static String missing() {
        LibraryProbe probe = NativeLibraries.probeCublasLt();
        if (probe instanceof LibraryProbe.NotFound none) {
            int others = none.attempts().size() - 1;
            return "tried " + none.attempts().getFirst().candidate() + (others == 0 ? "" : " and " + others + " other names");
        }
        List<String> functions = probe.missing(FUNCTIONS);
        return functions.isEmpty() ? null : "the one found lacks " + String.join(", ", functions);
    }

    /** @param notices is told once when cuBLASLt cannot do a product */
    CublasLtProducts(CudaContext context, CudaMemory memory, DType operands, Consumer<String> notices) {
        this.context = context;
        this.notices = notices;
        this.operands = operands;
        type = operands == DType.BF16 ? CublasLt.CUDA_R_16BF() : CublasLt.CUDA_R_32F();
        MemorySegment out = context.arena.allocate(ValueLayout.ADDRESS);
        check(CublasLt.cublasLtCreate(out), "Create");
        handle = out.get(ValueLayout.ADDRESS, 0);
        check(CublasLt.cublasLtMatmulPreferenceCreate(out), "MatmulPreferenceCreate");
        preference = out.get(ValueLayout.ADDRESS, 0);
        check(CublasLt.cublasLtMatmulPreferenceSetAttribute(preference, CublasLt.CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES(),
                context.arena.allocateFrom(ValueLayout.JAVA_LONG, WORKSPACE_BYTES), 8), "MatmulPreferenceSetAttribute");
        for (int attribute : new int[] {CublasLt.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES(),
            CublasLt.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES(), CublasLt.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES(),
            CublasLt.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES()}) {
            check(CublasLt.cublasLtMatmulPreferenceSetAttribute(preference, attribute,
                    context.arena.allocateFrom(ValueLayout.JAVA_INT, 16), 4), "MatmulPreferenceSetAttribute");
        }
        workspace = MemorySegment.ofAddress(memory.allocate(WORKSPACE_BYTES, "cuBLASLt"));
        one = context.arena.allocateFrom(ValueLayout.JAVA_FLOAT, 1);
        zero = context.arena.allocateFrom(ValueLayout.JAVA_FLOAT, 0);
        pointer = context.arena.allocate(ValueLayout.JAVA_LONG);
    }

    private static void check(int status, String call) {
        CudaErrors.checkCublas(status, "cublasLt" + call);
    }

    /** Whether it can do this product exactly as it is meant: rows of whole 16 bytes, and a bias in the type of the result. */
    boolean serves(CudaBuffer in, CudaWeight w, CudaWeight bias, CudaBuffer out) {
        boolean biasFits = bias == null || out.isFloat() || operands == DType.F32 || bias.operands() != 0;
        return biasFits && in.aligned() && out.aligned() && w.address() % 16 == 0 && (long) w.columns() * operands.bytes() % 16 == 0;
    }

    boolean servesGates(CudaBuffer x, CudaWeight gates) {
        return x.aligned() && gates.address() % 16 == 0 && (long) gates.columns() * operands.bytes() % 16 == 0;
    }

    /**
     * out = in w^T + bias for the first {@code rows} rows, or out += that.
     *
     * @return whether it could; if not, nothing was done
     */
    boolean multiply(CudaBuffer in, CudaWeight w, CudaWeight bias, CudaBuffer out, int rows, boolean add) {
        Shape shape = new Shape(w.rows(), rows, w.columns(), in.stride(), out.stride(), out.isFloat(), bias != null, 1);
        long biasAddress = bias == null ? 0 : out.isFloat() || operands == DType.F32 ? bias.address() : bias.operands();
        return run(shape, w.address(), in.address(), biasAddress, out.address(), add);
    }

    /** gates[z][m, h G + o] = sum_i x[m, h G + i] w[z, h, o, i]: one product per gate, batched over the heads; false where it cannot. */
    boolean multiplyGates(CudaBuffer x, CudaWeight w, long gates, int stride, long plane, int rows) {
        int block = w.columns();
        Shape shape = new Shape(block, rows, block, x.stride(), stride, operands == DType.F32, false, x.columns() / block);
        long matrix = (long) x.columns() * block * operands.bytes();
        return run(shape, w.address(), x.address(), 0, gates, false)
                && run(shape, w.address() + matrix, x.address(), 0, gates + plane * operands.bytes(), false);
    }

    private boolean run(Shape shape, long w, long x, long bias, long out, boolean add) {
        Choice choice = choices.get(shape);
        boolean fresh = choice == null;
        if (fresh) {
            choice = new Choice(shape);
            choices.put(shape, choice);
        }
        if (bias != 0) {
            pointer.set(ValueLayout.JAVA_LONG, 0, bias);
            check(CublasLt.cublasLtMatmulDescSetAttribute(choice.description, CublasLt.CUBLASLT_MATMUL_DESC_BIAS_POINTER(), pointer, 8),
                    "MatmulDescSetAttribute");
        }
        if (fresh) {
            choice.choose(shape);
            forgetOldest();
        }
        if (choice.algorithm == null) {
            return false;
        }
        MemorySegment d = MemorySegment.ofAddress(out);
        check(CublasLt.cublasLtMatmul(handle, choice.description, one, MemorySegment.ofAddress(w), choice.a, MemorySegment.ofAddress(x),
                choice.b, add ? one : zero, d, choice.d, d, choice.d, choice.algorithm, workspace, WORKSPACE_BYTES, context.stream),
                "Matmul of " + shape);
        return true;
    }

    private void refused(Shape shape, int status) {
        if (!refused) {
            refused = true;
            notices.accept("cuBLASLt has no algorithm for " + shape + " (status " + status + "): such products run on Griffin's own matrix "
                    + "kernels, which are slower; another version of libcublas may have one");
        }
    }

    private void forgetOldest() {
        if (choices.size() > CACHED_SHAPES) {
            choices.pollFirstEntry().getValue().free();
        }
    }

    @Override
    public void close() {
        choices.values().forEach(Choice::free);
        choices.clear();
        CublasLt.cublasLtMatmulPreferenceDestroy(preference);
        CublasLt.cublasLtDestroy(handle);
    }
}
