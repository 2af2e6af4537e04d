package griffin.backend.cpu;

import griffin.backend.LittleEndian;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/** The elementwise kernels on vectors of {@link VectorElementary#F}; products with partial sums are in the subclass per width. */
abstract class VectorKernels implements Kernels {

    private static final VectorSpecies<Float> F = VectorElementary.F;
    private static final VectorSpecies<Integer> I = F.withLanes(int.class);
    /** As many shorts as F has floats. */
    private static final VectorSpecies<Short> S = VectorSpecies.of(short.class, VectorShape.forBitSize(F.vectorBitSize() / 2));
    private static final int LENGTH = F.length();
    /** Floats of the caller's room for partial sums. */
    private static final int ROOM = 16 * LANES;
    private static final ByteOrder LITTLE = ByteOrder.LITTLE_ENDIAN;
    /** The class of memory outside the heap; that of mapped files extends it. */
    private static final Class<? extends MemorySegment> DIRECT = MemorySegment.NULL.getClass();

    /** For rows that a whole vector does not fill. */
    private final ScalarKernels scalar = new ScalarKernels();

    /**
     * The same memory, of a class from which the compiler knows every method of an access. Without it a process that has read both a mapped
     * file and other memory pays for the choice between the two at every access: measured, half of the speed from the cache.
     */
    static MemorySegment direct(MemorySegment w) {
        return w.isNative() ? DIRECT.cast(w) : w;
    }

    /**
     * LENGTH bfloat16 values at byte {@code at}: they are the upper halves of float32 values. Written so that it is at most 35 bytes of
     * code: the compiler inlines that also where a loop is rarely entered, and does not make objects of the vectors.
     */
    private static FloatVector bf16(MemorySegment w, long at) {
        return ShortVector.fromMemorySegment(S, w, at, LITTLE).convertShape(VectorOperators.ZERO_EXTEND_S2I, I, 0)
                .lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
    }

    @Override
    public void matmulBf16(MemorySegment w, long wAt, int rows, int n, float[] x, int xAt, int xStride, int m, float[] out, int outAt,
            int outStride, float[] lanes) {
        for (int i = 0; i < m; i++) { // from the second row of x on, the weights are in the second-level cache
            matvecBf16(w, wAt, rows, n, x, xAt + i * xStride, out, outAt + i * outStride, lanes);
        }
    }

    /** A vector holds LENGTH of the LANES partial sums; the others follow in further passes, since registers are few. */
    @Override
    public void addProducts(float[] x, int xAt, int xStride, int m, float[] w, int wAt, int wStride, int rows, int n, float[] sums,
            int sumsAt) {
        for (int part = 0; part < LANES; part += LENGTH) {
            int i = 0;
            for (; i + 2 <= m; i += 2) {
                int r = 0;
                for (; r + 4 <= rows; r += 4) {
                    addTile(x, xAt + i * xStride + part, xStride, w, wAt + r * wStride + part, wStride, n, sums,
                            sumsAt + (i * rows + r) * LANES + part, rows * LANES);
                }
                for (; r < rows; r++) {
                    addRow(x, xAt + i * xStride + part, w, wAt + r * wStride + part, n, sums, sumsAt + (i * rows + r) * LANES + part);
                    addRow(x, xAt + (i + 1) * xStride + part, w, wAt + r * wStride + part, n, sums,
                            sumsAt + ((i + 1) * rows + r) * LANES + part);
                }
            }
            for (int r = 0; i < m && r < rows; r++) {
                addRow(x, xAt + i * xStride + part, w, wAt + r * wStride + part, n, sums, sumsAt + (i * rows + r) * LANES + part);
            }
        }
    }

    private static void addRow(float[] x, int xAt, float[] w, int wAt, int n, float[] sums, int at) {
        FloatVector s = FloatVector.fromArray(F, sums, at);
        for (int k = 0; k < n; k += LANES) {
            s = FloatVector.fromArray(F, x, xAt + k).fma(FloatVector.fromArray(F, w, wAt + k), s);
        }
        s.intoArray(sums, at);
    }

    /** 2 rows of x by 4 rows of w; the sums of the second row of x are {@code stride} further on. */
    private static void addTile(float[] x, int xAt, int xStride, float[] w, int wAt, int wStride, int n, float[] sums, int at, int stride) {
        FloatVector s00 = FloatVector.fromArray(F, sums, at);
        FloatVector s01 = FloatVector.fromArray(F, sums, at + 16);
        FloatVector s02 = FloatVector.fromArray(F, sums, at + 32);
        FloatVector s03 = FloatVector.fromArray(F, sums, at + 48);
        FloatVector s10 = FloatVector.fromArray(F, sums, at + stride);
        FloatVector s11 = FloatVector.fromArray(F, sums, at + stride + 16);
        FloatVector s12 = FloatVector.fromArray(F, sums, at + stride + 32);
        FloatVector s13 = FloatVector.fromArray(F, sums, at + stride + 48);
        for (int k = 0; k < n; k += LANES) {
            FloatVector x0 = FloatVector.fromArray(F, x, xAt + k);
            FloatVector x1 = FloatVector.fromArray(F, x, xAt + xStride + k);
            FloatVector w0 = FloatVector.fromArray(F, w, wAt + k);
            s00 = w0.fma(x0, s00);
            s10 = w0.fma(x1, s10);
            FloatVector w1 = FloatVector.fromArray(F, w, wAt + wStride + k);
            s01 = w1.fma(x0, s01);
            s11 = w1.fma(x1, s11);
            FloatVector w2 = FloatVector.fromArray(F, w, wAt + 2 * wStride + k);
            s02 = w2.fma(x0, s02);
            s12 = w2.fma(x1, s12);
            FloatVector w3 = FloatVector.fromArray(F, w, wAt + 3 * wStride + k);
            s03 = w3.fma(x0, s03);
            s13 = w3.fma(x1, s13);
        }
        s00.intoArray(sums, at);
        s01.intoArray(sums, at + 16);
        s02.intoArray(sums, at + 32);
        s03.intoArray(sums, at + 48);
        s10.intoArray(sums, at + stride);
        s11.intoArray(sums, at + stride + 16);
        s12.intoArray(sums, at + stride + 32);
        s13.intoArray(sums, at + stride + 48);
    }

    @Override
    public final int rowLanes() {
        return RowLanes.WIDTH;
    }

    @Override
    public final int rowLanesColumns() {
        return ROW_LANES_STRIDE;
    }

    /** Measured with 128 bits, products of a decode step of the embedded model: 4 rows 3.4 instead of 4.2 ms, 32 rows 12.6 instead of 22.8. */
    @Override
    public int rowLanesFrom() {
        return 4;
    }

    @Override
    public final void matmulRowLanes(float[] x, int xAt, int width, int m, float[] w, int n, float[] bias, int biasAt, float[] out,
            int outAt,
            int apart, float[] sums) {
        RowLanes.matmul(x, xAt, m, w, n, bias, biasAt, out, outAt, apart, sums);
    }

    @Override
    public final void widenRows(MemorySegment w, long wAt, int apart, int n, float[] out, int outAt) {
        RowLanes.widenRows(w, wAt, apart, n, out, outAt);
    }

    @Override
    public final void transpose(float[] in, int inAt, int inStride, int rows, int columns, float[] out, int outAt, int outStride,
            float[] room) {
        RowLanes.transpose(in, inAt, inStride, rows, columns, out, outAt, outStride, room);
    }

    @Override
    public final void widenBf16(MemorySegment weights, long at, int n, float[] out, int outAt) {
        MemorySegment w = direct(weights);
        int i = 0;
        for (; i + LENGTH <= n; i += LENGTH) {
            bf16(w, (at + i) * 2).intoArray(out, outAt + i);
        }
        scalar.widenBf16(w, at + i, n - i, out, outAt + i);
    }

    @Override
    public final void add(float[] x, int xAt, float[] delta, int deltaAt, int n) {
        int i = 0;
        for (; i + LENGTH <= n; i += LENGTH) {
            FloatVector.fromArray(F, x, xAt + i).add(FloatVector.fromArray(F, delta, deltaAt + i)).intoArray(x, xAt + i);
        }
        scalar.add(x, xAt + i, delta, deltaAt + i, n - i);
    }

    @Override
    public final void scale(float[] x, int xAt, float s, float[] factor, int n, float[] out, int outAt) {
        int i = 0;
        for (; i + LENGTH <= n; i += LENGTH) {
            FloatVector.fromArray(F, x, xAt + i).mul(s).mul(FloatVector.fromArray(F, factor, i)).intoArray(out, outAt + i);
        }
        for (; i < n; i++) {
            out[outAt + i] = x[xAt + i] * s * factor[i];
        }
    }

    @Override
    public final void gatedGelu(float[] gate, int gateAt, float[] up, int upAt, float[] out, int outAt, int n, float[] lanes) {
        int i = 0;
        for (int whole = n - n % LENGTH; i < whole; i += Math.min(whole - i, ROOM)) {
            VectorElementary.geluTimes(gate, gateAt + i, up, upAt + i, lanes, out, outAt + i, Math.min(whole - i, ROOM));
        }
        scalar.gatedGelu(gate, gateAt + i, up, upAt + i, out, outAt + i, n - i, lanes);
    }

    @Override
    public final void softCap(float[] z, int at, int n, float cap) {
        int whole = n - n % LENGTH;
        for (int i = at; i < at + whole; i += LENGTH) {
            FloatVector.fromArray(F, z, i).div(cap).intoArray(z, i);
        }
        VectorElementary.tanhTimes(z, at, cap, whole);
        scalar.softCap(z, at + whole, n - whole, cap);
    }

    @Override
    public final void conv(float[][] rows, int[] at, int tapCount, float[] taps, int width, float[] bias, int e0, int n, float[] out,
            int outAt) {
        int e = 0;
        for (; e + LENGTH <= n; e += LENGTH) {
            FloatVector sum = FloatVector.fromArray(F, bias, e0 + e);
            for (int k = 0; k < tapCount; k++) {
                sum = FloatVector.fromArray(F, rows[k], at[k] + e).fma(FloatVector.fromArray(F, taps, k * width + e0 + e), sum);
            }
            sum.intoArray(out, outAt + e);
        }
        for (; e < n; e++) {
            float sum = bias[e0 + e];
            for (int k = 0; k < tapCount; k++) {
                sum = Math.fma(rows[k][at[k] + e], taps[k * width + e0 + e], sum);
            }
            out[outAt + e] = sum;
        }
    }

    @Override
    public final void gateBf16(float[] x, int xAt, MemorySegment weights, long wAt, int block, int j0, int n, float[] bias, int biasAt,
            float[] z, int zAt) {
        MemorySegment w = direct(weights);
        int j = 0;
        for (; j + 4 * LENGTH <= n; j += 4 * LENGTH) {
            FloatVector z0 = FloatVector.fromArray(F, bias, biasAt + j);
            FloatVector z1 = FloatVector.fromArray(F, bias, biasAt + j + LENGTH);
            FloatVector z2 = FloatVector.fromArray(F, bias, biasAt + j + 2 * LENGTH);
            FloatVector z3 = FloatVector.fromArray(F, bias, biasAt + j + 3 * LENGTH);
            for (int i = 0; i < block; i++) {
                FloatVector xi = FloatVector.broadcast(F, x[xAt + i]);
                long row = (wAt + (long) i * block + j0 + j) * 2;
                z0 = xi.fma(bf16(w, row), z0);
                z1 = xi.fma(bf16(w, row + 2 * LENGTH), z1);
                z2 = xi.fma(bf16(w, row + 4 * LENGTH), z2);
                z3 = xi.fma(bf16(w, row + 6 * LENGTH), z3);
            }
            z0.intoArray(z, zAt + j);
            z1.intoArray(z, zAt + j + LENGTH);
            z2.intoArray(z, zAt + j + 2 * LENGTH);
            z3.intoArray(z, zAt + j + 3 * LENGTH);
        }
        for (; j + LENGTH <= n; j += LENGTH) {
            FloatVector sum = FloatVector.fromArray(F, bias, biasAt + j);
            for (int i = 0; i < block; i++) {
                sum = FloatVector.broadcast(F, x[xAt + i]).fma(bf16(w, (wAt + (long) i * block + j0 + j) * 2), sum);
            }
            sum.intoArray(z, zAt + j);
        }
        scalar.gateBf16(x, xAt, w, wAt, block, j0 + j, n - j, bias, biasAt + j, z, zAt + j);
    }

    @Override
    public final void gateF32(float[] x, int xAt, float[] w, int wAt, int block, int j0, int n, float[] bias, int biasAt, float[] z,
            int zAt) {
        int j = 0;
        for (; j + LENGTH <= n; j += LENGTH) {
            FloatVector sum = FloatVector.fromArray(F, bias, biasAt + j);
            for (int i = 0; i < block; i++) {
                sum = FloatVector.broadcast(F, x[xAt + i]).fma(FloatVector.fromArray(F, w, wAt + i * block + j0 + j), sum);
            }
            sum.intoArray(z, zAt + j);
        }
        scalar.gateF32(x, xAt, w, wAt, block, j0 + j, n - j, bias, biasAt + j, z, zAt + j);
    }

    /** A step of the RG-LRU over all channels; see {@link #LRU_PASSES}. */
    private interface LruPass {
        void run(float[] zi, int ziAt, float[] zr, int zrAt, float[] decay, int decayAt, float[] x, int xAt, float[] h, int hAt,
                float[] out, int outAt, int n);
    }

    /**
     * The RG-LRU in passes that are each compiled by themselves: one call site for four receivers cannot be inlined. Inlined together
     * they exceed the compiler's budget of nodes, and what it then calls instead of inlining passes vectors as objects on the heap.
     */
    private static final LruPass[] LRU_PASSES = {
        (zi, ziAt, zr, zrAt, decay, decayAt, x, xAt, h, hAt, out, outAt, n) -> VectorElementary.sigmoidTimes(zi, ziAt, x, xAt, n),
        (zi, ziAt, zr, zrAt, decay, decayAt, x, xAt, h, hAt, out, outAt, n) -> VectorElementary.sigmoidTimes(zr, zrAt, decay, decayAt, n),
        (zi, ziAt, zr, zrAt, decay, decayAt, x, xAt, h, hAt, out, outAt, n) -> normaliseInput(zi, ziAt, zr, zrAt, out, outAt, n),
        (zi, ziAt, zr, zrAt, decay, decayAt, x, xAt, h, hAt, out, outAt, n) -> decayAndAdd(zi, ziAt, zr, zrAt, h, hAt, n)};

    @Override
    public final void lru(float[] zi, int ziAt, float[] zr, int zrAt, float[] decay, int decayAt, float[] x, int xAt, boolean reset,
            float[] h, int hAt, float[] out, int outAt, int n) {
        int whole = n - n % LENGTH;
        int passes = reset ? 1 : LRU_PASSES.length;
        for (int i = 0; i < passes; i++) {
            LRU_PASSES[i].run(zi, ziAt, zr, zrAt, decay, decayAt, x, xAt, h, hAt, out, outAt, whole);
        }
        if (reset) {
            System.arraycopy(zi, ziAt, h, hAt, whole);
        }
        System.arraycopy(h, hAt, out, outAt, whole);
        scalar.lru(zi, ziAt + whole, zr, zrAt + whole, decay, decayAt + whole, x, xAt + whole, reset, h, hAt + whole, out, outAt + whole,
                n - whole);
    }

    /** gated *= sqrt(-expm1(2 log a)), by way of {@code between}. */
    private static void normaliseInput(float[] gated, int gatedAt, float[] logA, int logAAt, float[] between, int betweenAt, int n) {
        VectorElementary.expm1(logA, logAAt, 2, between, betweenAt, n);
        for (int e = 0; e < n; e += LENGTH) {
            FloatVector g = FloatVector.fromArray(F, between, betweenAt + e).neg().sqrt();
            g.mul(FloatVector.fromArray(F, gated, gatedAt + e)).intoArray(gated, gatedAt + e);
        }
    }

    /** h = a h + gated; log a becomes a. */
    private static void decayAndAdd(float[] gated, int gatedAt, float[] logA, int logAAt, float[] h, int hAt, int n) {
        VectorElementary.exp(logA, logAAt, 1, logA, logAAt, n);
        for (int e = 0; e < n; e += LENGTH) {
            FloatVector.fromArray(F, logA, logAAt + e)
                    .fma(FloatVector.fromArray(F, h, hAt + e), FloatVector.fromArray(F, gated, gatedAt + e)).intoArray(h, hAt + e);
        }
    }

    @Override
    public final void expScaled(float[] s, int at, int n, float max, float scale) {
        int whole = n - n % LENGTH;
        for (int i = at; i < at + whole; i += LENGTH) {
            FloatVector.fromArray(F, s, i).sub(max).intoArray(s, i);
        }
        VectorElementary.exp(s, at, scale, s, at, whole);
        scalar.expScaled(s, at + whole, n - whole, max, scale);
    }

    @Override
    public final void weightedSum(float[] p, int pAt, float[] v, int vAt, int vStride, int count, float[] out, int outAt, int n) {
        int d = 0;
        for (; d + 4 * LENGTH <= n; d += 4 * LENGTH) {
            FloatVector s0 = FloatVector.fromArray(F, out, outAt + d);
            FloatVector s1 = FloatVector.fromArray(F, out, outAt + d + LENGTH);
            FloatVector s2 = FloatVector.fromArray(F, out, outAt + d + 2 * LENGTH);
            FloatVector s3 = FloatVector.fromArray(F, out, outAt + d + 3 * LENGTH);
            for (int j = 0; j < count; j++) {
                FloatVector pj = FloatVector.broadcast(F, p[pAt + j]);
                int row = vAt + j * vStride + d;
                s0 = pj.fma(FloatVector.fromArray(F, v, row), s0);
                s1 = pj.fma(FloatVector.fromArray(F, v, row + LENGTH), s1);
                s2 = pj.fma(FloatVector.fromArray(F, v, row + 2 * LENGTH), s2);
                s3 = pj.fma(FloatVector.fromArray(F, v, row + 3 * LENGTH), s3);
            }
            s0.intoArray(out, outAt + d);
            s1.intoArray(out, outAt + d + LENGTH);
            s2.intoArray(out, outAt + d + 2 * LENGTH);
            s3.intoArray(out, outAt + d + 3 * LENGTH);
        }
        for (; d + LENGTH <= n; d += LENGTH) {
            FloatVector sum = FloatVector.fromArray(F, out, outAt + d);
            for (int j = 0; j < count; j++) {
                sum = FloatVector.broadcast(F, p[pAt + j]).fma(FloatVector.fromArray(F, v, vAt + j * vStride + d), sum);
            }
            sum.intoArray(out, outAt + d);
        }
        scalar.weightedSum(p, pAt, v, vAt + d, vStride, count, out, outAt + d, n - d);
    }

    /** A plain loop, which the compiler turns into vectors itself: with ours, one process in thirty made an object of the first. */
    @Override
    public final float max(float[] s, int at, int n) {
        return scalar.max(s, at, n);
    }

    /** Adds the last n mod LANES products of a dot product to its stored lanes. */
    static float finish(float[] a, int aAt, float[] b, int bAt, int tail, float[] lanes, int at) {
        for (int j = 0; j < tail; j++) {
            lanes[at + j] = Math.fma(a[aAt + j], b[bAt + j], lanes[at + j]);
        }
        return Kernels.reduce(lanes, at);
    }

    /** The same for bfloat16 weights at element {@code wAt}. */
    static float finishBf16(MemorySegment w, long wAt, float[] x, int xAt, int tail, float[] lanes, int at) {
        for (int j = 0; j < tail; j++) {
            float weight = Float.intBitsToFloat(w.get(LittleEndian.SHORT, (wAt + j) * 2) << 16);
            lanes[at + j] = Math.fma(weight, x[xAt + j], lanes[at + j]);
        }
        return Kernels.reduce(lanes, at);
    }

    /** The same for float32 weights at element {@code wAt}. */
    static float finishF32(MemorySegment w, long wAt, float[] x, int xAt, int tail, float[] lanes, int at) {
        for (int j = 0; j < tail; j++) {
            float weight = w.get(LittleEndian.FLOAT, (wAt + j) * 4);
            lanes[at + j] = Math.fma(weight, x[xAt + j], lanes[at + j]);
        }
        return Kernels.reduce(lanes, at);
    }
}
