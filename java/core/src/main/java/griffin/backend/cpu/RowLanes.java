package griffin.backend.cpu;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * Products of short rows: the lanes of a vector lie across rows of x, not across columns. So nothing is added across lanes at the end of a dot
 * product, which with 320 columns costs as much as its multiply-adds do. Each of the {@link Kernels#LANES} partial sums of a dot product
 * is a pass over the columns that belong to it, and the sums of all passes are added in the order of {@link Kernels#reduce}.
 *
 * <p>A pass reads columns p, p + 16, ...; they lie one after the other. Measured from the cache on one core whose ceiling is 235 GFLOP/s, 32 rows of 320
 * and of 960 columns: 167 and 159; lanes across columns 75 and 135. With 2560 columns what the passes read again and again leaves
 * the first-level cache: 90 against 155.
 */
final class RowLanes {

    private static final VectorSpecies<Float> F = VectorElementary.F;
    private static final VectorSpecies<Integer> I = F.withLanes(int.class);
    private static final VectorSpecies<Short> S = VectorSpecies.of(short.class, VectorShape.forBitSize(F.vectorBitSize() / 2));
    private static final ByteOrder LITTLE = ByteOrder.LITTLE_ENDIAN;
    private static final int LENGTH = F.length();
    private static final int STRIDE = Kernels.ROW_LANES_STRIDE;
    /** Rows of x side by side: two vectors, which share the loads of a weight. */
    static final int WIDTH = 2 * LENGTH;
    /** Floats of one partial sum of a tile. */
    private static final int TILE_SUMS = Kernels.ROW_LANES_TILE * WIDTH;
    /** Narrower vectors have 16 registers at most, which hold the sums of 4 rows of weights. */
    private static final boolean MANY_REGISTERS = LENGTH == 16;
    /** For what fills no vector. */
    private static final ScalarKernels SCALAR = new ScalarKernels();
    /** The elements of the lower, and of the upper halves of two vectors in turns. */
    private static final VectorShuffle<Float> ZIP_LOW = zip(0);
    private static final VectorShuffle<Float> ZIP_HIGH = zip(LENGTH / 2);

    private RowLanes() {}

    private static VectorShuffle<Float> zip(int from) {
        return VectorShuffle.fromOp(F, lane -> from + lane / 2 + lane % 2 * LENGTH);
    }

    /** See {@link Kernels#matmulRowLanes}. */
    static void matmul(float[] x, int xAt, int m, float[] w, int n, float[] bias, int biasAt, float[] out, int outAt,
            int outApart, float[] sums) {
        int apart = (n + Kernels.LANES - 1) / Kernels.LANES * WIDTH;
        for (int p = 0; p < Kernels.LANES; p++) {
            int to = p * TILE_SUMS;
            int from = xAt + p * apart;
            int count = (n - p + Kernels.LANES - 1) / Kernels.LANES;
            if (m <= LENGTH) {
                tile8x1(x, from, w, p, count, sums, to);
            } else if (MANY_REGISTERS) {
                tile8x2(x, from, w, p, count, sums, to);
            } else {
                tile4x2(x, from, w, p, count, sums, to);
                tile4x2(x, from, w, p + 4 * STRIDE, count, sums, to + 4 * WIDTH);
            }
        }
        for (int r = 0; r < Kernels.ROW_LANES_TILE; r++) {
            int row = r % 4 * outApart + r / 4;
            reduce(sums, r * WIDTH, bias[biasAt + row], out, outAt + row * WIDTH);
        }
    }

    /** {@link Kernels#reduce} of the sums of a row of a tile, which are TILE_SUMS apart, and the bias. */
    private static void reduce(float[] s, int at, float bias, float[] out, int outAt) {
        for (int i = at, to = outAt; i < at + WIDTH; i += LENGTH, to += LENGTH) {
            FloatVector a0 = FloatVector.fromArray(F, s, i).add(FloatVector.fromArray(F, s, i + 8 * TILE_SUMS));
            FloatVector a4 = FloatVector.fromArray(F, s, i + 4 * TILE_SUMS).add(FloatVector.fromArray(F, s, i + 12 * TILE_SUMS));
            FloatVector a2 = FloatVector.fromArray(F, s, i + 2 * TILE_SUMS).add(FloatVector.fromArray(F, s, i + 10 * TILE_SUMS));
            FloatVector a6 = FloatVector.fromArray(F, s, i + 6 * TILE_SUMS).add(FloatVector.fromArray(F, s, i + 14 * TILE_SUMS));
            FloatVector even = a0.add(a4).add(a2.add(a6));
            FloatVector a1 = FloatVector.fromArray(F, s, i + TILE_SUMS).add(FloatVector.fromArray(F, s, i + 9 * TILE_SUMS));
            FloatVector a5 = FloatVector.fromArray(F, s, i + 5 * TILE_SUMS).add(FloatVector.fromArray(F, s, i + 13 * TILE_SUMS));
            FloatVector a3 = FloatVector.fromArray(F, s, i + 3 * TILE_SUMS).add(FloatVector.fromArray(F, s, i + 11 * TILE_SUMS));
            FloatVector a7 = FloatVector.fromArray(F, s, i + 7 * TILE_SUMS).add(FloatVector.fromArray(F, s, i + 15 * TILE_SUMS));
            even.add(a1.add(a5).add(a3.add(a7))).add(bias).intoArray(out, to);
        }
    }

    /** One partial sum of 8 rows of w and two vectors of rows of x: n of their columns, which in x lie side by side, in w LANES apart. */
    private static void tile8x2(float[] x, int xAt, float[] w, int wAt, int n, float[] sums, int at) {
        FloatVector s00 = FloatVector.zero(F);
        FloatVector s01 = FloatVector.zero(F);
        FloatVector s10 = FloatVector.zero(F);
        FloatVector s11 = FloatVector.zero(F);
        FloatVector s20 = FloatVector.zero(F);
        FloatVector s21 = FloatVector.zero(F);
        FloatVector s30 = FloatVector.zero(F);
        FloatVector s31 = FloatVector.zero(F);
        FloatVector s40 = FloatVector.zero(F);
        FloatVector s41 = FloatVector.zero(F);
        FloatVector s50 = FloatVector.zero(F);
        FloatVector s51 = FloatVector.zero(F);
        FloatVector s60 = FloatVector.zero(F);
        FloatVector s61 = FloatVector.zero(F);
        FloatVector s70 = FloatVector.zero(F);
        FloatVector s71 = FloatVector.zero(F);
        for (int k = 0; k < n; k++) {
            FloatVector x0 = FloatVector.fromArray(F, x, xAt + k * WIDTH);
            FloatVector x1 = FloatVector.fromArray(F, x, xAt + k * WIDTH + LENGTH);
            FloatVector w0 = FloatVector.broadcast(F, w[wAt + Kernels.LANES * k]);
            s00 = w0.fma(x0, s00);
            s01 = w0.fma(x1, s01);
            FloatVector w1 = FloatVector.broadcast(F, w[wAt + STRIDE + Kernels.LANES * k]);
            s10 = w1.fma(x0, s10);
            s11 = w1.fma(x1, s11);
            FloatVector w2 = FloatVector.broadcast(F, w[wAt + 2 * STRIDE + Kernels.LANES * k]);
            s20 = w2.fma(x0, s20);
            s21 = w2.fma(x1, s21);
            FloatVector w3 = FloatVector.broadcast(F, w[wAt + 3 * STRIDE + Kernels.LANES * k]);
            s30 = w3.fma(x0, s30);
            s31 = w3.fma(x1, s31);
            FloatVector w4 = FloatVector.broadcast(F, w[wAt + 4 * STRIDE + Kernels.LANES * k]);
            s40 = w4.fma(x0, s40);
            s41 = w4.fma(x1, s41);
            FloatVector w5 = FloatVector.broadcast(F, w[wAt + 5 * STRIDE + Kernels.LANES * k]);
            s50 = w5.fma(x0, s50);
            s51 = w5.fma(x1, s51);
            FloatVector w6 = FloatVector.broadcast(F, w[wAt + 6 * STRIDE + Kernels.LANES * k]);
            s60 = w6.fma(x0, s60);
            s61 = w6.fma(x1, s61);
            FloatVector w7 = FloatVector.broadcast(F, w[wAt + 7 * STRIDE + Kernels.LANES * k]);
            s70 = w7.fma(x0, s70);
            s71 = w7.fma(x1, s71);
        }
        s00.intoArray(sums, at);
        s01.intoArray(sums, at + LENGTH);
        s10.intoArray(sums, at + WIDTH);
        s11.intoArray(sums, at + WIDTH + LENGTH);
        s20.intoArray(sums, at + 2 * WIDTH);
        s21.intoArray(sums, at + 2 * WIDTH + LENGTH);
        s30.intoArray(sums, at + 3 * WIDTH);
        s31.intoArray(sums, at + 3 * WIDTH + LENGTH);
        s40.intoArray(sums, at + 4 * WIDTH);
        s41.intoArray(sums, at + 4 * WIDTH + LENGTH);
        s50.intoArray(sums, at + 5 * WIDTH);
        s51.intoArray(sums, at + 5 * WIDTH + LENGTH);
        s60.intoArray(sums, at + 6 * WIDTH);
        s61.intoArray(sums, at + 6 * WIDTH + LENGTH);
        s70.intoArray(sums, at + 7 * WIDTH);
        s71.intoArray(sums, at + 7 * WIDTH + LENGTH);
    }

    /** The same with one vector of rows of x. */
    private static void tile8x1(float[] x, int xAt, float[] w, int wAt, int n, float[] sums, int at) {
        FloatVector s00 = FloatVector.zero(F);
        FloatVector s10 = FloatVector.zero(F);
        FloatVector s20 = FloatVector.zero(F);
        FloatVector s30 = FloatVector.zero(F);
        FloatVector s40 = FloatVector.zero(F);
        FloatVector s50 = FloatVector.zero(F);
        FloatVector s60 = FloatVector.zero(F);
        FloatVector s70 = FloatVector.zero(F);
        for (int k = 0; k < n; k++) {
            FloatVector x0 = FloatVector.fromArray(F, x, xAt + k * WIDTH);
            FloatVector w0 = FloatVector.broadcast(F, w[wAt + Kernels.LANES * k]);
            s00 = w0.fma(x0, s00);
            FloatVector w1 = FloatVector.broadcast(F, w[wAt + STRIDE + Kernels.LANES * k]);
            s10 = w1.fma(x0, s10);
            FloatVector w2 = FloatVector.broadcast(F, w[wAt + 2 * STRIDE + Kernels.LANES * k]);
            s20 = w2.fma(x0, s20);
            FloatVector w3 = FloatVector.broadcast(F, w[wAt + 3 * STRIDE + Kernels.LANES * k]);
            s30 = w3.fma(x0, s30);
            FloatVector w4 = FloatVector.broadcast(F, w[wAt + 4 * STRIDE + Kernels.LANES * k]);
            s40 = w4.fma(x0, s40);
            FloatVector w5 = FloatVector.broadcast(F, w[wAt + 5 * STRIDE + Kernels.LANES * k]);
            s50 = w5.fma(x0, s50);
            FloatVector w6 = FloatVector.broadcast(F, w[wAt + 6 * STRIDE + Kernels.LANES * k]);
            s60 = w6.fma(x0, s60);
            FloatVector w7 = FloatVector.broadcast(F, w[wAt + 7 * STRIDE + Kernels.LANES * k]);
            s70 = w7.fma(x0, s70);
        }
        s00.intoArray(sums, at);
        s10.intoArray(sums, at + WIDTH);
        s20.intoArray(sums, at + 2 * WIDTH);
        s30.intoArray(sums, at + 3 * WIDTH);
        s40.intoArray(sums, at + 4 * WIDTH);
        s50.intoArray(sums, at + 5 * WIDTH);
        s60.intoArray(sums, at + 6 * WIDTH);
        s70.intoArray(sums, at + 7 * WIDTH);
    }

    /** The same with 4 rows of w. */
    private static void tile4x2(float[] x, int xAt, float[] w, int wAt, int n, float[] sums, int at) {
        FloatVector s00 = FloatVector.zero(F);
        FloatVector s01 = FloatVector.zero(F);
        FloatVector s10 = FloatVector.zero(F);
        FloatVector s11 = FloatVector.zero(F);
        FloatVector s20 = FloatVector.zero(F);
        FloatVector s21 = FloatVector.zero(F);
        FloatVector s30 = FloatVector.zero(F);
        FloatVector s31 = FloatVector.zero(F);
        for (int k = 0; k < n; k++) {
            FloatVector x0 = FloatVector.fromArray(F, x, xAt + k * WIDTH);
            FloatVector x1 = FloatVector.fromArray(F, x, xAt + k * WIDTH + LENGTH);
            FloatVector w0 = FloatVector.broadcast(F, w[wAt + Kernels.LANES * k]);
            s00 = w0.fma(x0, s00);
            s01 = w0.fma(x1, s01);
            FloatVector w1 = FloatVector.broadcast(F, w[wAt + STRIDE + Kernels.LANES * k]);
            s10 = w1.fma(x0, s10);
            s11 = w1.fma(x1, s11);
            FloatVector w2 = FloatVector.broadcast(F, w[wAt + 2 * STRIDE + Kernels.LANES * k]);
            s20 = w2.fma(x0, s20);
            s21 = w2.fma(x1, s21);
            FloatVector w3 = FloatVector.broadcast(F, w[wAt + 3 * STRIDE + Kernels.LANES * k]);
            s30 = w3.fma(x0, s30);
            s31 = w3.fma(x1, s31);
        }
        s00.intoArray(sums, at);
        s01.intoArray(sums, at + LENGTH);
        s10.intoArray(sums, at + WIDTH);
        s11.intoArray(sums, at + WIDTH + LENGTH);
        s20.intoArray(sums, at + 2 * WIDTH);
        s21.intoArray(sums, at + 2 * WIDTH + LENGTH);
        s30.intoArray(sums, at + 3 * WIDTH);
        s31.intoArray(sums, at + 3 * WIDTH + LENGTH);
    }

    /**
     * See {@link Kernels#transpose}. Squares of LENGTH x LENGTH: interleaving the rows of the upper half with those of the lower one turns the bits of
     * an element's place by one, so as many times as there are bits in LENGTH makes columns of rows.
     */
    static void transpose(float[] in, int inAt, int inStride, int rows, int columns, float[] out, int outAt, int outStride, float[] room) {
        int r = 0;
        for (; r + LENGTH <= rows; r += LENGTH) {
            int at = inAt + r * inStride;
            int c = 0;
            for (; c + LENGTH <= columns; c += LENGTH) {
                square(in, at + c, inStride, out, outAt + c * outStride + r, outStride, room);
            }
            SCALAR.transpose(in, at + c, inStride, LENGTH, columns - c, out, outAt + c * outStride + r, outStride, room);
        }
        SCALAR.transpose(in, inAt + r * inStride, inStride, rows - r, columns, out, outAt + r, outStride, room);
    }

    private static void square(float[] in, int inAt, int inStride, float[] out, int outAt, int outStride, float[] room) {
        int behind = LENGTH * LENGTH;
        int from = 0;
        zip(in, inAt, inStride, room, 0, LENGTH);
        for (int left = LENGTH / 2; left > 2; left /= 2) {
            zip(room, from, LENGTH, room, behind - from, LENGTH);
            from = behind - from;
        }
        zip(room, from, LENGTH, out, outAt, outStride);
    }

    private static void zip(float[] in, int inAt, int inStride, float[] out, int outAt, int outStride) {
        for (int i = 0; i < LENGTH / 2; i++) {
            FloatVector a = FloatVector.fromArray(F, in, inAt + i * inStride);
            FloatVector b = FloatVector.fromArray(F, in, inAt + (i + LENGTH / 2) * inStride);
            a.rearrange(ZIP_LOW, b).intoArray(out, outAt + 2 * i * outStride);
            a.rearrange(ZIP_HIGH, b).intoArray(out, outAt + (2 * i + 1) * outStride);
        }
    }

    /** See {@link Kernels#widenRows}. */
    static void widenRows(MemorySegment weights, long wAt, int apart, int n, float[] out, int outAt) {
        MemorySegment w = VectorKernels.direct(weights);
        long at0 = wAt * 2;
        long at1 = (wAt + 1L * apart * n) * 2;
        long at2 = (wAt + 2L * apart * n) * 2;
        long at3 = (wAt + 3L * apart * n) * 2;
        int whole = n - n % LENGTH;
        for (int k = 0; k < whole; k += LENGTH) {
            bf16(w, at0 + 2L * k).intoArray(out, outAt + k);
            bf16(w, at1 + 2L * k).intoArray(out, outAt + STRIDE + k);
            bf16(w, at2 + 2L * k).intoArray(out, outAt + 2 * STRIDE + k);
            bf16(w, at3 + 2L * k).intoArray(out, outAt + 3 * STRIDE + k);
        }
        for (int r = 0; r < 4 && whole < n; r++) {
            SCALAR.widenBf16(w, wAt + (long) r * apart * n + whole, n - whole, out, outAt + r * STRIDE + whole);
        }
    }

    /** At most 35 bytes of code, see {@link VectorKernels}. */
    private static FloatVector bf16(MemorySegment w, long byteAt) {
        return ShortVector.fromMemorySegment(S, w, byteAt, LITTLE).convertShape(VectorOperators.ZERO_EXTEND_S2I, I, 0)
                .lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
    }
}
