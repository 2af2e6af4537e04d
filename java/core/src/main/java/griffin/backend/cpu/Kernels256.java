package griffin.backend.cpu;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * Products on 256-bit vectors: two registers hold a dot product's 16 partial sums; there are only 16. Rows are
 * read several at once, far apart (see {@link Kernels512}). Widening 8 bfloat16 costs a shuffle and a shift, so bfloat16 is read in
 * pairs, which become floats by shifts: one register has the sums of the even elements, the other those of the odd ones.
 */
final class Kernels256 extends VectorKernels {

    private static final VectorSpecies<Float> F = FloatVector.SPECIES_256;
    private static final VectorSpecies<Integer> I = IntVector.SPECIES_256;
    private static final VectorShuffle<Float> EVEN_ODD = VectorShuffle.fromValues(F, 0, 2, 4, 6, 1, 3, 5, 7);
    private static final VectorShuffle<Float> ODD_EVEN = VectorShuffle.fromValues(F, 1, 3, 5, 7, 0, 2, 4, 6);
    /** Behind the sums of four rows and those of one in order: x, even and odd elements apart. */
    private static final int SPLIT_AT = 5 * LANES;
    /** float32 rows up to this length are read one by one: x stays in the first-level cache, and a single stream suits the prefetcher best. */
    private static final int SHORT_ROW = 3072;
    private static final ByteOrder LITTLE = ByteOrder.LITTLE_ENDIAN;

    private static FloatVector f32(MemorySegment w, long byteAt) {
        return FloatVector.fromMemorySegment(F, w, byteAt, LITTLE);
    }

    /** Measured, products of a decode step of the embedded model: 4 rows 3.3 instead of 2.5 ms, 8 rows 3.3 instead of 4.6, 32 rows 8.3 instead of 17. */
    @Override
    public int rowLanesFrom() {
        return 6;
    }

    @Override
    public float dot(float[] a, int aAt, float[] b, int bAt, int n, float[] lanes) {
        FloatVector s0 = FloatVector.zero(F);
        FloatVector s1 = FloatVector.zero(F);
        int k = 0;
        for (int whole = n - n % LANES; k < whole; k += LANES) {
            s0 = FloatVector.fromArray(F, a, aAt + k).fma(FloatVector.fromArray(F, b, bAt + k), s0);
            s1 = FloatVector.fromArray(F, a, aAt + k + 8).fma(FloatVector.fromArray(F, b, bAt + k + 8), s1);
        }
        s0.intoArray(lanes, 0);
        s1.intoArray(lanes, 8);
        return finish(a, aAt + k, b, bAt + k, n - k, lanes, 0);
    }

    @Override
    public void matvecBf16(MemorySegment w, long wAt, int rows, int n, float[] x, int xAt, float[] out, int outAt, float[] lanes) {
        split(x, xAt, n, lanes);
        int quarter = rows / 4;
        for (int r = 0; r < quarter; r++) {
            rowsBf16(w, wAt + (long) r * n, quarter, n, x, xAt, out, outAt + r, lanes);
        }
        for (int r = 4 * quarter; r < rows; r++) {
            rowBf16(w, wAt + (long) r * n, n, x, xAt, out, outAt + r, lanes);
        }
    }

    /** Every 16 elements of x become the 8 even ones and the 8 odd ones, at SPLIT_AT; each store's upper half is overwritten by the next. */
    private static void split(float[] x, int xAt, int n, float[] lanes) {
        for (int k = 0, whole = n - n % LANES; k < whole; k += LANES) {
            FloatVector low = FloatVector.fromArray(F, x, xAt + k);
            FloatVector high = FloatVector.fromArray(F, x, xAt + k + 8);
            low.rearrange(EVEN_ODD).intoArray(lanes, SPLIT_AT + k);
            high.rearrange(EVEN_ODD).intoArray(lanes, SPLIT_AT + k + 4);
            low.rearrange(ODD_EVEN).intoArray(lanes, SPLIT_AT + k + 8);
            high.rearrange(ODD_EVEN).intoArray(lanes, SPLIT_AT + k + 12);
        }
    }

    /** The partial sums of the even elements, 8 at {@code from}, and of the odd ones behind them, in the order of all 16 at {@code to}. */
    private static void join(float[] lanes, int from, int to) {
        for (int j = 0; j < 8; j++) {
            lanes[to + 2 * j] = lanes[from + j];
            lanes[to + 2 * j + 1] = lanes[from + 8 + j];
        }
    }

    private static IntVector pairs(MemorySegment w, long byteAt) {
        return IntVector.fromMemorySegment(I, w, byteAt, LITTLE);
    }

    /** The even elements of 8 pairs: each is the lower half of an int, and the upper half of a float32. */
    private static FloatVector even(IntVector pairs) {
        return pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
    }

    /** By two shifts: a mask would want a register of its own. */
    private static FloatVector odd(IntVector pairs) {
        return pairs.lanewise(VectorOperators.LSHR, 16).lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
    }

    /**
     * Four rows: as each sum waits for its last product, two rows leave the processor idle half of the time. The loop's condition keeps the
     * compiler from unrolling it; unrolled, it loads all of x first and spills it (measured from memory on one core: two rows 17 to 20 GB/s,
     * four 26 to 28, four unrolled 24 to 28 and from the cache half as fast, six rows 8).
     */
    private static void rowsBf16(MemorySegment weights, long wAt, int apart, int n, float[] x, int xAt, float[] out, int outAt,
            float[] lanes) {
        MemorySegment w = direct(weights);
        FloatVector even0 = FloatVector.zero(F);
        FloatVector odd0 = FloatVector.zero(F);
        FloatVector even1 = FloatVector.zero(F);
        FloatVector odd1 = FloatVector.zero(F);
        FloatVector even2 = FloatVector.zero(F);
        FloatVector odd2 = FloatVector.zero(F);
        FloatVector even3 = FloatVector.zero(F);
        FloatVector odd3 = FloatVector.zero(F);
        long at0 = wAt * 2;
        long at1 = (wAt + 1L * apart * n) * 2;
        long at2 = (wAt + 2L * apart * n) * 2;
        long at3 = (wAt + 3L * apart * n) * 2;
        int k = 0;
        for (; k + LANES <= n; k += LANES) {
            FloatVector evenX = FloatVector.fromArray(F, lanes, SPLIT_AT + k);
            FloatVector oddX = FloatVector.fromArray(F, lanes, SPLIT_AT + k + 8);
            IntVector w0 = pairs(w, at0 + 2L * k);
            even0 = even(w0).fma(evenX, even0);
            odd0 = odd(w0).fma(oddX, odd0);
            IntVector w1 = pairs(w, at1 + 2L * k);
            even1 = even(w1).fma(evenX, even1);
            odd1 = odd(w1).fma(oddX, odd1);
            IntVector w2 = pairs(w, at2 + 2L * k);
            even2 = even(w2).fma(evenX, even2);
            odd2 = odd(w2).fma(oddX, odd2);
            IntVector w3 = pairs(w, at3 + 2L * k);
            even3 = even(w3).fma(evenX, even3);
            odd3 = odd(w3).fma(oddX, odd3);
        }
        even0.intoArray(lanes, 0);
        odd0.intoArray(lanes, 8);
        even1.intoArray(lanes, 16);
        odd1.intoArray(lanes, 24);
        even2.intoArray(lanes, 32);
        odd2.intoArray(lanes, 40);
        even3.intoArray(lanes, 48);
        odd3.intoArray(lanes, 56);
        for (int r = 0; r < 4; r++) {
            join(lanes, r * LANES, 4 * LANES);
            out[outAt + r * apart] = finishBf16(w, wAt + (long) r * apart * n + k, x, xAt + k, n - k, lanes, 4 * LANES);
        }
    }

    private static void rowBf16(MemorySegment weights, long wAt, int n, float[] x, int xAt, float[] out, int outAt, float[] lanes) {
        MemorySegment w = direct(weights);
        FloatVector even = FloatVector.zero(F);
        FloatVector odd = FloatVector.zero(F);
        int k = 0;
        for (int whole = n - n % LANES; k < whole; k += LANES) {
            IntVector both = pairs(w, (wAt + k) * 2);
            even = even(both).fma(FloatVector.fromArray(F, lanes, SPLIT_AT + k), even);
            odd = odd(both).fma(FloatVector.fromArray(F, lanes, SPLIT_AT + k + 8), odd);
        }
        even.intoArray(lanes, 0);
        odd.intoArray(lanes, 8);
        join(lanes, 0, 32);
        out[outAt] = finishBf16(w, wAt + k, x, xAt + k, n - k, lanes, 32);
    }

    @Override
    public void matvecF32(MemorySegment w, long wAt, int rows, int n, float[] x, int xAt, float[] out, int outAt, float[] lanes) {
        int half = n > SHORT_ROW ? rows / 2 : 0;
        for (int r = 0; r < half; r++) {
            rowsF32(w, wAt + (long) r * n, half, n, x, xAt, out, outAt + r, lanes);
        }
        for (int r = 2 * half; r < rows; r++) {
            rowF32(w, wAt + (long) r * n, n, x, xAt, out, outAt + r, lanes);
        }
    }

    private static void rowsF32(MemorySegment weights, long wAt, int apart, int n, float[] x, int xAt, float[] out, int outAt,
            float[] lanes) {
        MemorySegment w = direct(weights);
        FloatVector s00 = FloatVector.zero(F);
        FloatVector s01 = FloatVector.zero(F);
        FloatVector s10 = FloatVector.zero(F);
        FloatVector s11 = FloatVector.zero(F);
        long at0 = wAt * 4;
        long at1 = (wAt + 1L * apart * n) * 4;
        int k = 0;
        for (; k + LANES <= n; k += LANES) {
            FloatVector x0 = FloatVector.fromArray(F, x, xAt + k);
            FloatVector x1 = FloatVector.fromArray(F, x, xAt + k + 8);
            s00 = f32(w, at0 + 4L * k).fma(x0, s00);
            s01 = f32(w, at0 + 4L * k + 32).fma(x1, s01);
            s10 = f32(w, at1 + 4L * k).fma(x0, s10);
            s11 = f32(w, at1 + 4L * k + 32).fma(x1, s11);
        }
        s00.intoArray(lanes, 0);
        s01.intoArray(lanes, 8);
        s10.intoArray(lanes, 16);
        s11.intoArray(lanes, 24);
        out[outAt] = finishF32(w, wAt + k, x, xAt + k, n - k, lanes, 0);
        out[outAt + apart] = finishF32(w, wAt + 1L * apart * n + k, x, xAt + k, n - k, lanes, 16);
    }

    private static void rowF32(MemorySegment weights, long wAt, int n, float[] x, int xAt, float[] out, int outAt, float[] lanes) {
        MemorySegment w = direct(weights);
        FloatVector s00 = FloatVector.zero(F);
        FloatVector s01 = FloatVector.zero(F);
        long at0 = wAt * 4;
        int k = 0;
        for (int whole = n - n % LANES; k < whole; k += LANES) {
            FloatVector x0 = FloatVector.fromArray(F, x, xAt + k);
            FloatVector x1 = FloatVector.fromArray(F, x, xAt + k + 8);
            s00 = f32(w, at0 + 4L * k).fma(x0, s00);
            s01 = f32(w, at0 + 4L * k + 32).fma(x1, s01);
        }
        s00.intoArray(lanes, 0);
        s01.intoArray(lanes, 8);
        out[outAt] = finishF32(w, wAt + k, x, xAt + k, n - k, lanes, 0);
    }

    @Override
    public void matmul(float[] x, int xAt, int xStride, int m, float[] w, int wAt, int wStride, int rows, int n, float[] out, int outAt,
            int outStride, float[] lanes) {
        int i = 0;
        for (; i + 2 <= m; i += 2) {
            int r = 0;
            for (; r + 2 <= rows; r += 2) {
                tile(x, xAt + i * xStride, xStride, w, wAt + r * wStride, wStride, n, out, outAt + i * outStride + r, outStride, lanes);
            }
            for (; r < rows; r++) {
                for (int t = i; t < i + 2; t++) {
                    out[outAt + t * outStride + r] = dot(w, wAt + r * wStride, x, xAt + t * xStride, n, lanes);
                }
            }
        }
        for (; i < m; i++) {
            for (int r = 0; r < rows; r++) {
                out[outAt + i * outStride + r] = dot(w, wAt + r * wStride, x, xAt + i * xStride, n, lanes);
            }
        }
    }

    /** 2 rows of x by 2 rows of w, all partial sums in registers. */
    private static void tile(float[] x, int xAt, int xStride, float[] w, int wAt, int wStride, int n, float[] out, int outAt, int outStride,
            float[] lanes) {
        FloatVector s000 = FloatVector.zero(F);
        FloatVector s001 = FloatVector.zero(F);
        FloatVector s010 = FloatVector.zero(F);
        FloatVector s011 = FloatVector.zero(F);
        FloatVector s100 = FloatVector.zero(F);
        FloatVector s101 = FloatVector.zero(F);
        FloatVector s110 = FloatVector.zero(F);
        FloatVector s111 = FloatVector.zero(F);
        int k = 0;
        for (int whole = n - n % LANES; k < whole; k += LANES) {
            FloatVector w00 = FloatVector.fromArray(F, w, wAt + k);
            FloatVector w10 = FloatVector.fromArray(F, w, wAt + wStride + k);
            FloatVector x00 = FloatVector.fromArray(F, x, xAt + k);
            s000 = w00.fma(x00, s000);
            s010 = w10.fma(x00, s010);
            FloatVector x10 = FloatVector.fromArray(F, x, xAt + xStride + k);
            s100 = w00.fma(x10, s100);
            s110 = w10.fma(x10, s110);
            FloatVector w01 = FloatVector.fromArray(F, w, wAt + k + 8);
            FloatVector w11 = FloatVector.fromArray(F, w, wAt + wStride + k + 8);
            FloatVector x01 = FloatVector.fromArray(F, x, xAt + k + 8);
            s001 = w01.fma(x01, s001);
            s011 = w11.fma(x01, s011);
            FloatVector x11 = FloatVector.fromArray(F, x, xAt + xStride + k + 8);
            s101 = w01.fma(x11, s101);
            s111 = w11.fma(x11, s111);
        }
        s000.intoArray(lanes, 0);
        s001.intoArray(lanes, 8);
        s010.intoArray(lanes, 16);
        s011.intoArray(lanes, 24);
        s100.intoArray(lanes, 32);
        s101.intoArray(lanes, 40);
        s110.intoArray(lanes, 48);
        s111.intoArray(lanes, 56);
        for (int t = 0; t < 2; t++) {
            for (int r = 0; r < 2; r++) {
                out[outAt + t * outStride + r] =
                        finish(w, wAt + r * wStride + k, x, xAt + t * xStride + k, n - k, lanes, (2 * t + r) * LANES);
            }
        }
    }
}
