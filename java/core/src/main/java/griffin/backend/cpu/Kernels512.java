package griffin.backend.cpu;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * Products on 512-bit vectors: one register holds a dot product's 16 partial sums. Four rows at once hide the latency and share the loads
 * of x, which with long rows does not stay in the first-level cache. Rows that are read at once lie a quarter of the chunk apart: streams
 * in neighbouring pages confuse the prefetcher (measured: four adjacent rows 13 GB/s, four distant ones 20, one row 10 to 24).
 */
final class Kernels512 extends VectorKernels {

    private static final VectorSpecies<Float> F = FloatVector.SPECIES_512;
    private static final VectorSpecies<Integer> I = IntVector.SPECIES_512;
    private static final VectorSpecies<Short> S = ShortVector.SPECIES_256;
    /** The lower and the upper halves of groups of 16, 8, 4 and 2 lanes, of one vector and then of another. */
    private static final VectorShuffle<Float> LOW16 = halves(16, 0);
    private static final VectorShuffle<Float> HIGH16 = halves(16, 8);
    private static final VectorShuffle<Float> LOW8 = halves(8, 0);
    private static final VectorShuffle<Float> HIGH8 = halves(8, 4);
    private static final VectorShuffle<Float> LOW4 = halves(4, 0);
    private static final VectorShuffle<Float> HIGH4 = halves(4, 2);
    private static final VectorShuffle<Float> LOW2 = halves(2, 0);
    private static final VectorShuffle<Float> HIGH2 = halves(2, 1);
    private static final ByteOrder LITTLE = ByteOrder.LITTLE_ENDIAN;

    private static VectorShuffle<Float> halves(int group, int from) {
        int half = group / 2;
        return VectorShuffle.fromOp(F, lane -> lane / half * group + from + lane % half);
    }

    /** One of the halvings of {@link Kernels#reduce}, of twice as many vectors' sums as are left then. */
    private static void halve(float[] lanes, int left, VectorShuffle<Float> low, VectorShuffle<Float> high) {
        for (int i = 0; i < left; i++) {
            FloatVector a = FloatVector.fromArray(F, lanes, 2 * LANES * i);
            FloatVector b = FloatVector.fromArray(F, lanes, 2 * LANES * i + LANES);
            a.rearrange(low, b).add(a.rearrange(high, b)).intoArray(lanes, LANES * i);
        }
    }

    /** {@link Kernels#reduce} of the partial sums of 16 dot products, which the first 16 lanes become. */
    private static void reduce16(float[] lanes) {
        halve(lanes, 8, LOW16, HIGH16);
        halve(lanes, 4, LOW8, HIGH8);
        halve(lanes, 2, LOW4, HIGH4);
        halve(lanes, 1, LOW2, HIGH2);
    }

    /** At most 35 bytes of code, see {@link VectorKernels}. */
    private static FloatVector bf16(MemorySegment w, long byteAt) {
        return ShortVector.fromMemorySegment(S, w, byteAt, LITTLE).convertShape(VectorOperators.ZERO_EXTEND_S2I, I, 0)
                .lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
    }

    private static FloatVector f32(MemorySegment w, long byteAt) {
        return FloatVector.fromMemorySegment(F, w, byteAt, LITTLE);
    }

    /** Starting a tile costs more than the second-level cache does: 256 columns reach 0.6 of what 2560 do. */
    @Override
    public int panelColumns() {
        return 2560;
    }

    /** As long as the rows of x stay in the second-level cache. */
    @Override
    public int streamedFloats() {
        return 30_720;
    }

    /**
     * Where a tile of the streamed weights is slower. Measured, products of a decode step of the embedded model: 16 rows 3.8 instead of 3.3 ms, 22 rows
     * 4.8 instead of 4.7, 32 rows 5.0 instead of 6.6.
     */
    @Override
    public int rowLanesFrom() {
        return 22;
    }

    @Override
    public float dot(float[] a, int aAt, float[] b, int bAt, int n, float[] lanes) {
        FloatVector s0 = FloatVector.zero(F);
        int k = 0;
        for (int whole = n - n % LANES; k < whole; k += LANES) {
            s0 = FloatVector.fromArray(F, a, aAt + k).fma(FloatVector.fromArray(F, b, bAt + k), s0);
        }
        s0.intoArray(lanes, 0);
        return finish(a, aAt + k, b, bAt + k, n - k, lanes, 0);
    }

    @Override
    public void matvecBf16(MemorySegment w, long wAt, int rows, int n, float[] x, int xAt, float[] out, int outAt, float[] lanes) {
        int quarter = rows / 4;
        for (int r = 0; r < quarter; r++) {
            rowsBf16(w, wAt + (long) r * n, quarter, n, x, xAt, out, outAt + r, lanes);
        }
        for (int r = 4 * quarter; r < rows; r++) {
            rowBf16(w, wAt + (long) r * n, n, x, xAt, out, outAt + r, lanes);
        }
    }

    private static void rowsBf16(MemorySegment weights, long wAt, int apart, int n, float[] x, int xAt, float[] out, int outAt,
            float[] lanes) {
        MemorySegment w = direct(weights);
        FloatVector s00 = FloatVector.zero(F);
        FloatVector s10 = FloatVector.zero(F);
        FloatVector s20 = FloatVector.zero(F);
        FloatVector s30 = FloatVector.zero(F);
        long at0 = wAt * 2;
        long at1 = (wAt + 1L * apart * n) * 2;
        long at2 = (wAt + 2L * apart * n) * 2;
        long at3 = (wAt + 3L * apart * n) * 2;
        int k = 0;
        for (int whole = n - n % LANES; k < whole; k += LANES) {
            FloatVector x0 = FloatVector.fromArray(F, x, xAt + k);
            s00 = bf16(w, at0 + 2L * k).fma(x0, s00);
            s10 = bf16(w, at1 + 2L * k).fma(x0, s10);
            s20 = bf16(w, at2 + 2L * k).fma(x0, s20);
            s30 = bf16(w, at3 + 2L * k).fma(x0, s30);
        }
        s00.intoArray(lanes, 0);
        s10.intoArray(lanes, 16);
        s20.intoArray(lanes, 32);
        s30.intoArray(lanes, 48);
        out[outAt] = finishBf16(w, wAt + k, x, xAt + k, n - k, lanes, 0);
        out[outAt + apart] = finishBf16(w, wAt + 1L * apart * n + k, x, xAt + k, n - k, lanes, 16);
        out[outAt + 2 * apart] = finishBf16(w, wAt + 2L * apart * n + k, x, xAt + k, n - k, lanes, 32);
        out[outAt + 3 * apart] = finishBf16(w, wAt + 3L * apart * n + k, x, xAt + k, n - k, lanes, 48);
    }

    private static void rowBf16(MemorySegment weights, long wAt, int n, float[] x, int xAt, float[] out, int outAt, float[] lanes) {
        MemorySegment w = direct(weights);
        FloatVector s00 = FloatVector.zero(F);
        long at0 = wAt * 2;
        int k = 0;
        for (int whole = n - n % LANES; k < whole; k += LANES) {
            FloatVector x0 = FloatVector.fromArray(F, x, xAt + k);
            s00 = bf16(w, at0 + 2L * k).fma(x0, s00);
        }
        s00.intoArray(lanes, 0);
        out[outAt] = finishBf16(w, wAt + k, x, xAt + k, n - k, lanes, 0);
    }

    @Override
    public void matvecF32(MemorySegment w, long wAt, int rows, int n, float[] x, int xAt, float[] out, int outAt, float[] lanes) {
        int quarter = rows / 4;
        for (int r = 0; r < quarter; r++) {
            rowsF32(w, wAt + (long) r * n, quarter, n, x, xAt, out, outAt + r, lanes);
        }
        for (int r = 4 * quarter; r < rows; r++) {
            rowF32(w, wAt + (long) r * n, n, x, xAt, out, outAt + r, lanes);
        }
    }

    private static void rowsF32(MemorySegment weights, long wAt, int apart, int n, float[] x, int xAt, float[] out, int outAt,
            float[] lanes) {
        MemorySegment w = direct(weights);
        FloatVector s00 = FloatVector.zero(F);
        FloatVector s10 = FloatVector.zero(F);
        FloatVector s20 = FloatVector.zero(F);
        FloatVector s30 = FloatVector.zero(F);
        long at0 = wAt * 4;
        long at1 = (wAt + 1L * apart * n) * 4;
        long at2 = (wAt + 2L * apart * n) * 4;
        long at3 = (wAt + 3L * apart * n) * 4;
        int k = 0;
        for (int whole = n - n % LANES; k < whole; k += LANES) {
            FloatVector x0 = FloatVector.fromArray(F, x, xAt + k);
            s00 = f32(w, at0 + 4L * k).fma(x0, s00);
            s10 = f32(w, at1 + 4L * k).fma(x0, s10);
            s20 = f32(w, at2 + 4L * k).fma(x0, s20);
            s30 = f32(w, at3 + 4L * k).fma(x0, s30);
        }
        s00.intoArray(lanes, 0);
        s10.intoArray(lanes, 16);
        s20.intoArray(lanes, 32);
        s30.intoArray(lanes, 48);
        out[outAt] = finishF32(w, wAt + k, x, xAt + k, n - k, lanes, 0);
        out[outAt + apart] = finishF32(w, wAt + 1L * apart * n + k, x, xAt + k, n - k, lanes, 16);
        out[outAt + 2 * apart] = finishF32(w, wAt + 2L * apart * n + k, x, xAt + k, n - k, lanes, 32);
        out[outAt + 3 * apart] = finishF32(w, wAt + 3L * apart * n + k, x, xAt + k, n - k, lanes, 48);
    }

    private static void rowF32(MemorySegment weights, long wAt, int n, float[] x, int xAt, float[] out, int outAt, float[] lanes) {
        MemorySegment w = direct(weights);
        FloatVector s00 = FloatVector.zero(F);
        long at0 = wAt * 4;
        int k = 0;
        for (int whole = n - n % LANES; k < whole; k += LANES) {
            FloatVector x0 = FloatVector.fromArray(F, x, xAt + k);
            s00 = f32(w, at0 + 4L * k).fma(x0, s00);
        }
        s00.intoArray(lanes, 0);
        out[outAt] = finishF32(w, wAt + k, x, xAt + k, n - k, lanes, 0);
    }

    @Override
    public void matmulBf16(MemorySegment w, long wAt, int rows, int n, float[] x, int xAt, int xStride, int m, float[] out, int outAt,
            int outStride, float[] lanes) {
        int quarter = rows / 4;
        for (int r = 0; r < quarter; r++) {
            for (int i = 0; i < m; i += 4) { // the second tile finds the four rows in the cache
                tileBf16(w, wAt + (long) r * n, quarter, n, x, xAt + i * xStride, xStride, Math.min(4, m - i), lanes);
                if (n % LANES == 0) {
                    reduce16(lanes);
                    for (int t = 0; t < Math.min(4, m - i); t++) {
                        int to = outAt + (i + t) * outStride + r;
                        out[to] = lanes[4 * t];
                        out[to + quarter] = lanes[4 * t + 1];
                        out[to + 2 * quarter] = lanes[4 * t + 2];
                        out[to + 3 * quarter] = lanes[4 * t + 3];
                    }
                    continue;
                }
                for (int t = 0; t < 4 * Math.min(4, m - i); t++) {
                    long row = wAt + (r + (long) (t % 4) * quarter) * n;
                    int k = n / LANES * LANES;
                    out[outAt + (i + t / 4) * outStride + r + t % 4 * quarter] = finishBf16(w, row + k, x, xAt + (i + t / 4) * xStride + k,
                            n - k, lanes, t * LANES);
                }
            }
        }
        for (int r = 4 * quarter; r < rows; r++) {
            for (int i = 0; i < m; i++) {
                rowBf16(w, wAt + (long) r * n, n, x, xAt + i * xStride, out, outAt + i * outStride + r, lanes);
            }
        }
    }

    /**
     * Up to 4 rows of x by 4 rows of weights; where x has fewer rows the last is multiplied again. Leaves the 16 sums, or where the
     * columns are no multiple of {@code LANES} the partial sums of each.
     */
    private static void tileBf16(MemorySegment weights, long wAt, int apart, int n, float[] x, int xAt, int xStride, int m, float[] lanes) {
        MemorySegment w = direct(weights);
        FloatVector s00 = FloatVector.zero(F);
        FloatVector s01 = FloatVector.zero(F);
        FloatVector s02 = FloatVector.zero(F);
        FloatVector s03 = FloatVector.zero(F);
        FloatVector s10 = FloatVector.zero(F);
        FloatVector s11 = FloatVector.zero(F);
        FloatVector s12 = FloatVector.zero(F);
        FloatVector s13 = FloatVector.zero(F);
        FloatVector s20 = FloatVector.zero(F);
        FloatVector s21 = FloatVector.zero(F);
        FloatVector s22 = FloatVector.zero(F);
        FloatVector s23 = FloatVector.zero(F);
        FloatVector s30 = FloatVector.zero(F);
        FloatVector s31 = FloatVector.zero(F);
        FloatVector s32 = FloatVector.zero(F);
        FloatVector s33 = FloatVector.zero(F);
        long at0 = wAt * 2;
        long at1 = (wAt + 1L * apart * n) * 2;
        long at2 = (wAt + 2L * apart * n) * 2;
        long at3 = (wAt + 3L * apart * n) * 2;
        int x1At = xAt + Math.min(1, m - 1) * xStride;
        int x2At = xAt + Math.min(2, m - 1) * xStride;
        int x3At = xAt + Math.min(3, m - 1) * xStride;
        for (int k = 0, whole = n - n % LANES; k < whole; k += LANES) {
            FloatVector w0 = bf16(w, at0 + 2L * k);
            FloatVector w1 = bf16(w, at1 + 2L * k);
            FloatVector w2 = bf16(w, at2 + 2L * k);
            FloatVector w3 = bf16(w, at3 + 2L * k);
            FloatVector x0 = FloatVector.fromArray(F, x, xAt + k);
            s00 = w0.fma(x0, s00);
            s01 = w1.fma(x0, s01);
            s02 = w2.fma(x0, s02);
            s03 = w3.fma(x0, s03);
            FloatVector x1 = FloatVector.fromArray(F, x, x1At + k);
            s10 = w0.fma(x1, s10);
            s11 = w1.fma(x1, s11);
            s12 = w2.fma(x1, s12);
            s13 = w3.fma(x1, s13);
            FloatVector x2 = FloatVector.fromArray(F, x, x2At + k);
            s20 = w0.fma(x2, s20);
            s21 = w1.fma(x2, s21);
            s22 = w2.fma(x2, s22);
            s23 = w3.fma(x2, s23);
            FloatVector x3 = FloatVector.fromArray(F, x, x3At + k);
            s30 = w0.fma(x3, s30);
            s31 = w1.fma(x3, s31);
            s32 = w2.fma(x3, s32);
            s33 = w3.fma(x3, s33);
        }
        s00.intoArray(lanes, 0);
        s01.intoArray(lanes, 16);
        s02.intoArray(lanes, 32);
        s03.intoArray(lanes, 48);
        s10.intoArray(lanes, 64);
        s11.intoArray(lanes, 80);
        s12.intoArray(lanes, 96);
        s13.intoArray(lanes, 112);
        s20.intoArray(lanes, 128);
        s21.intoArray(lanes, 144);
        s22.intoArray(lanes, 160);
        s23.intoArray(lanes, 176);
        s30.intoArray(lanes, 192);
        s31.intoArray(lanes, 208);
        s32.intoArray(lanes, 224);
        s33.intoArray(lanes, 240);
    }

    @Override
    public void matmul(float[] x, int xAt, int xStride, int m, float[] w, int wAt, int wStride, int rows, int n, float[] out, int outAt,
            int outStride, float[] lanes) {
        if (m < 4 || rows < 4) {
            for (int i = 0; i < m; i++) {
                for (int r = 0; r < rows; r++) {
                    out[outAt + i * outStride + r] = dot(w, wAt + r * wStride, x, xAt + i * xStride, n, lanes);
                }
            }
            return;
        }
        for (int i = 0; i < m; i += 4) {
            int i4 = Math.min(i, m - 4); // the last tile repeats rows of the one before, which is faster than row by row
            for (int r = 0; r < rows; r += 4) {
                int r4 = Math.min(r, rows - 4);
                tile(x, xAt + i4 * xStride, xStride, w, wAt + r4 * wStride, wStride, n, out, outAt + i4 * outStride + r4, outStride, lanes);
            }
        }
    }

    /** 4 rows of x by 4 rows of w. */
    private static void tile(float[] x, int xAt, int xStride, float[] w, int wAt, int wStride, int n, float[] out, int outAt, int outStride,
            float[] lanes) {
        Arrays.fill(lanes, 0, 16 * LANES, 0);
        Tiles512.add4x4(x, xAt, xStride, w, wAt, wStride, n / LANES * LANES, lanes, 0, 4 * LANES);
        int k = n / LANES * LANES;
        if (k == n) {
            reduce16(lanes);
            for (int t = 0; t < 4; t++) {
                System.arraycopy(lanes, 4 * t, out, outAt + t * outStride, 4);
            }
            return;
        }
        for (int t = 0; t < 4; t++) {
            for (int r = 0; r < 4; r++) {
                out[outAt + t * outStride + r] =
                        finish(w, wAt + r * wStride + k, x, xAt + t * xStride + k, n - k, lanes, (4 * t + r) * LANES);
            }
        }
    }

    @Override
    public void addProducts(float[] x, int xAt, int xStride, int m, float[] w, int wAt, int wStride, int rows, int n, float[] sums,
            int sumsAt) {
        int i = 0;
        for (; i + 4 <= m; i += 4) {
            int r = 0;
            for (; r + 6 <= rows; r += 6) {
                Tiles512.add4x6(x, xAt + i * xStride, xStride, w, wAt + r * wStride, wStride, n, sums, sumsAt + (i * rows + r) * LANES,
                        rows * LANES);
            }
            for (; r + 4 <= rows; r += 4) {
                Tiles512.add4x4(x, xAt + i * xStride, xStride, w, wAt + r * wStride, wStride, n, sums, sumsAt + (i * rows + r) * LANES,
                        rows * LANES);
            }
            for (; r < rows; r++) {
                for (int t = i; t < i + 4; t++) {
                    addRow16(x, xAt + t * xStride, w, wAt + r * wStride, n, sums, sumsAt + (t * rows + r) * LANES);
                }
            }
        }
        for (; i < m; i++) {
            for (int r = 0; r < rows; r++) {
                addRow16(x, xAt + i * xStride, w, wAt + r * wStride, n, sums, sumsAt + (i * rows + r) * LANES);
            }
        }
    }

    private static void addRow16(float[] x, int xAt, float[] w, int wAt, int n, float[] sums, int at) {
        FloatVector s = FloatVector.fromArray(F, sums, at);
        for (int k = 0; k < n; k += LANES) {
            s = FloatVector.fromArray(F, x, xAt + k).fma(FloatVector.fromArray(F, w, wAt + k), s);
        }
        s.intoArray(sums, at);
    }
}
