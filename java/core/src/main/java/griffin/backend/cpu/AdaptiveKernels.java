package griffin.backend.cpu;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * Scalar kernels at first, and each vector kernel from the moment it is known to be compiled. Both give the same bits, so a kernel may
 * change between two calls. One instance serves the whole process, as its compiled code does.
 */
final class AdaptiveKernels implements Kernels {

    /** Index of each kernel. */
    static final int DOT = 0, MATVEC_BF16 = 1, MATVEC_F32 = 2, MATMUL_BF16 = 3, ADD_PRODUCTS = 4, MATMUL = 5, WIDEN_BF16 = 6,
            ADD = 7, SCALE = 8, GATED_GELU = 9, SOFT_CAP = 10, CONV = 11, GATE_BF16 = 12, GATE_F32 = 13, LRU = 14,
            EXP_SCALED = 15, WEIGHTED_SUM = 16, MAX = 17, MATMUL_ROW_LANES = 18, TRANSPOSE = 19, WIDEN_ROWS = 20;
    static final int COUNT = 21;

    /**
     * Multiply-adds after which compiling the vector kernels begins: about a tenth of a second. Before that, it would only take the
     * processor from the first token; a short prompt of a small model is through by then, and a large model gets there at once.
     */
    private static final long SCALAR_WORK = 1L << 28;

    private static AdaptiveKernels shared;

    private final Kernels vector;
    private final AtomicReferenceArray<Kernels> use = new AtomicReferenceArray<>(COUNT);

    /** Of the process, like the kernels: the warm-up takes a processor from every backend, also from one with kernels of another choice. */
    private static volatile boolean warming;

    private final AtomicLong scalarWork = new AtomicLong();

    private AdaptiveKernels(Kernels vector) {
        this.vector = vector;
        Kernels scalar = new ScalarKernels();
        for (int i = 0; i < COUNT; i++) {
            use.set(i, scalar);
        }
    }

    /** The process's instance, with the vectors of its machine. */
    static synchronized AdaptiveKernels shared() {
        if (shared == null) {
            shared = new AdaptiveKernels(KernelChoice.vectors(VectorWidth.FLOATS.vectorBitSize()));
        }
        return shared;
    }

    /** The kernel of a product in its present form; counts the work until there is enough to start the compilation. */
    private Kernels product(int kernel, long work) {
        if (scalarWork.get() < SCALAR_WORK) {
            long before = scalarWork.getAndAdd(work);
            if (before < SCALAR_WORK && before + work >= SCALAR_WORK) {
                startWarmup();
            }
        }
        return use.get(kernel);
    }

    @Override
    public int panelColumns() {
        return vector.panelColumns();
    }

    @Override
    public int streamedFloats() {
        return vector.streamedFloats();
    }

    @Override
    public int rowLanes() {
        return vector.rowLanes();
    }

    @Override
    public int rowLanesColumns() {
        return vector.rowLanesColumns();
    }

    @Override
    public int rowLanesFrom() {
        return vector.rowLanesFrom();
    }

    /** Whether the warm-up and the compiler want processors just now; no two warm-ups run, since the process has one instance. */
    static boolean warming() {
        return warming;
    }

    private void startWarmup() {
        warming = true;
        Thread thread = new Thread(() -> {
            try {
                new KernelWarmup(this, vector).run();
            } finally {
                warming = false;
            }
        }, "griffin-cpu-warmup");
        thread.setDaemon(true);
        try {
            thread.start();
        } catch (OutOfMemoryError e) {
            warming = false; // there can be no more threads: the scalar kernels, which are as right, stay
        }
    }

    /** From now on the vector form of this kernel is used. */
    void ready(int kernel) {
        use.set(kernel, vector);
    }

    @Override
    public float dot(float[] a, int aAt, float[] b, int bAt, int n, float[] lanes) {
        return use.get(DOT).dot(a, aAt, b, bAt, n, lanes);
    }

    @Override
    public void matvecBf16(MemorySegment w, long wAt, int rows, int n, float[] x, int xAt, float[] out, int outAt, float[] lanes) {
        product(MATVEC_BF16, (long) rows * n).matvecBf16(w, wAt, rows, n, x, xAt, out, outAt, lanes);
    }

    @Override
    public void matvecF32(MemorySegment w, long wAt, int rows, int n, float[] x, int xAt, float[] out, int outAt, float[] lanes) {
        product(MATVEC_F32, (long) rows * n).matvecF32(w, wAt, rows, n, x, xAt, out, outAt, lanes);
    }

    @Override
    public void matmulBf16(MemorySegment w, long wAt, int rows, int n, float[] x, int xAt, int xStride, int m, float[] out, int outAt,
            int outStride, float[] lanes) {
        product(MATMUL_BF16, (long) m * rows * n).matmulBf16(w, wAt, rows, n, x, xAt, xStride, m, out, outAt, outStride, lanes);
    }

    @Override
    public void addProducts(float[] x, int xAt, int xStride, int m, float[] w, int wAt, int wStride, int rows, int n, float[] sums,
            int sumsAt) {
        product(ADD_PRODUCTS, (long) m * rows * n).addProducts(x, xAt, xStride, m, w, wAt, wStride, rows, n, sums, sumsAt);
    }

    @Override
    public void matmul(float[] x, int xAt, int xStride, int m, float[] w, int wAt, int wStride, int rows, int n, float[] out, int outAt,
            int outStride, float[] lanes) {
        product(MATMUL, (long) m * rows * n).matmul(x, xAt, xStride, m, w, wAt, wStride, rows, n, out, outAt, outStride, lanes);
    }

    @Override
    public void matmulRowLanes(float[] x, int xAt, int width, int m, float[] w, int n, float[] bias, int biasAt, float[] out, int outAt,
            int apart, float[] sums) {
        product(MATMUL_ROW_LANES, (long) m * ROW_LANES_TILE * n).matmulRowLanes(x, xAt, width, m, w, n, bias, biasAt, out, outAt, apart,
                sums);
    }

    @Override
    public void widenRows(MemorySegment w, long wAt, int apart, int n, float[] out, int outAt) {
        use.get(WIDEN_ROWS).widenRows(w, wAt, apart, n, out, outAt);
    }

    @Override
    public void transpose(float[] in, int inAt, int inStride, int rows, int columns, float[] out, int outAt, int outStride, float[] room) {
        use.get(TRANSPOSE).transpose(in, inAt, inStride, rows, columns, out, outAt, outStride, room);
    }

    @Override
    public void widenBf16(MemorySegment w, long at, int n, float[] out, int outAt) {
        use.get(WIDEN_BF16).widenBf16(w, at, n, out, outAt);
    }

    @Override
    public void add(float[] x, int xAt, float[] delta, int deltaAt, int n) {
        use.get(ADD).add(x, xAt, delta, deltaAt, n);
    }

    @Override
    public void scale(float[] x, int xAt, float s, float[] factor, int n, float[] out, int outAt) {
        use.get(SCALE).scale(x, xAt, s, factor, n, out, outAt);
    }

    @Override
    public void gatedGelu(float[] gate, int gateAt, float[] up, int upAt, float[] out, int outAt, int n, float[] lanes) {
        use.get(GATED_GELU).gatedGelu(gate, gateAt, up, upAt, out, outAt, n, lanes);
    }

    @Override
    public void softCap(float[] z, int at, int n, float cap) {
        use.get(SOFT_CAP).softCap(z, at, n, cap);
    }

    @Override
    public void conv(float[][] rows, int[] at, int tapCount, float[] taps, int width, float[] bias, int e0, int n, float[] out, int outAt) {
        use.get(CONV).conv(rows, at, tapCount, taps, width, bias, e0, n, out, outAt);
    }

    @Override
    public void gateBf16(float[] x, int xAt, MemorySegment w, long wAt, int block, int j0, int n, float[] bias, int biasAt, float[] z,
            int zAt) {
        use.get(GATE_BF16).gateBf16(x, xAt, w, wAt, block, j0, n, bias, biasAt, z, zAt);
    }

    @Override
    public void gateF32(float[] x, int xAt, float[] w, int wAt, int block, int j0, int n, float[] bias, int biasAt, float[] z, int zAt) {
        use.get(GATE_F32).gateF32(x, xAt, w, wAt, block, j0, n, bias, biasAt, z, zAt);
    }

    @Override
    public void lru(float[] zi, int ziAt, float[] zr, int zrAt, float[] decay, int decayAt, float[] x, int xAt, boolean reset, float[] h,
            int hAt, float[] out, int outAt, int n) {
        use.get(LRU).lru(zi, ziAt, zr, zrAt, decay, decayAt, x, xAt, reset, h, hAt, out, outAt, n);
    }

    @Override
    public void expScaled(float[] s, int at, int n, float max, float scale) {
        use.get(EXP_SCALED).expScaled(s, at, n, max, scale);
    }

    @Override
    public void weightedSum(float[] p, int pAt, float[] v, int vAt, int vStride, int count, float[] out, int outAt, int n) {
        use.get(WEIGHTED_SUM).weightedSum(p, pAt, v, vAt, vStride, count, out, outAt, n);
    }

    @Override
    public float max(float[] s, int at, int n) {
        return use.get(MAX).max(s, at, n);
    }
}
