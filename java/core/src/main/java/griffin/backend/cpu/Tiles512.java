package griffin.backend.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * The innermost loops of large products on 512-bit vectors: a tile's partial sums stay in registers over n columns. 4 x 6 sums, four rows of x
 * and one of w fill 29 of the 32 registers; loads and their range checks are then spread over the most multiply-adds (measured on one core whose
 * ceiling is 115 GFLOP/s: 4 x 4 69, 6 x 4 95, 4 x 6 107, 5 x 5 70, 8 x 3 90). A row of w is used as soon as it is loaded.
 */
final class Tiles512 {

    private static final VectorSpecies<Float> F = FloatVector.SPECIES_512;

    private Tiles512() {}

    /** Adds the products of 4 rows of x and 4 rows of w; n is a multiple of 16, the sums of the next row of x are {@code stride} further on. */
    static void add4x4(float[] x, int xAt, int xStride, float[] w, int wAt, int wStride, int n, float[] sums, int at, int stride) {
        FloatVector s00 = FloatVector.fromArray(F, sums, at);
        FloatVector s01 = FloatVector.fromArray(F, sums, at + 16);
        FloatVector s02 = FloatVector.fromArray(F, sums, at + 32);
        FloatVector s03 = FloatVector.fromArray(F, sums, at + 48);
        FloatVector s10 = FloatVector.fromArray(F, sums, at + stride);
        FloatVector s11 = FloatVector.fromArray(F, sums, at + stride + 16);
        FloatVector s12 = FloatVector.fromArray(F, sums, at + stride + 32);
        FloatVector s13 = FloatVector.fromArray(F, sums, at + stride + 48);
        FloatVector s20 = FloatVector.fromArray(F, sums, at + 2 * stride);
        FloatVector s21 = FloatVector.fromArray(F, sums, at + 2 * stride + 16);
        FloatVector s22 = FloatVector.fromArray(F, sums, at + 2 * stride + 32);
        FloatVector s23 = FloatVector.fromArray(F, sums, at + 2 * stride + 48);
        FloatVector s30 = FloatVector.fromArray(F, sums, at + 3 * stride);
        FloatVector s31 = FloatVector.fromArray(F, sums, at + 3 * stride + 16);
        FloatVector s32 = FloatVector.fromArray(F, sums, at + 3 * stride + 32);
        FloatVector s33 = FloatVector.fromArray(F, sums, at + 3 * stride + 48);
        for (int k = 0; k < n; k += Kernels.LANES) {
            FloatVector x0 = FloatVector.fromArray(F, x, xAt + k);
            FloatVector x1 = FloatVector.fromArray(F, x, xAt + xStride + k);
            FloatVector x2 = FloatVector.fromArray(F, x, xAt + 2 * xStride + k);
            FloatVector x3 = FloatVector.fromArray(F, x, xAt + 3 * xStride + k);
            FloatVector w0 = FloatVector.fromArray(F, w, wAt + k);
            s00 = w0.fma(x0, s00);
            s10 = w0.fma(x1, s10);
            s20 = w0.fma(x2, s20);
            s30 = w0.fma(x3, s30);
            FloatVector w1 = FloatVector.fromArray(F, w, wAt + wStride + k);
            s01 = w1.fma(x0, s01);
            s11 = w1.fma(x1, s11);
            s21 = w1.fma(x2, s21);
            s31 = w1.fma(x3, s31);
            FloatVector w2 = FloatVector.fromArray(F, w, wAt + 2 * wStride + k);
            s02 = w2.fma(x0, s02);
            s12 = w2.fma(x1, s12);
            s22 = w2.fma(x2, s22);
            s32 = w2.fma(x3, s32);
            FloatVector w3 = FloatVector.fromArray(F, w, wAt + 3 * wStride + k);
            s03 = w3.fma(x0, s03);
            s13 = w3.fma(x1, s13);
            s23 = w3.fma(x2, s23);
            s33 = w3.fma(x3, s33);
        }
        s00.intoArray(sums, at);
        s01.intoArray(sums, at + 16);
        s02.intoArray(sums, at + 32);
        s03.intoArray(sums, at + 48);
        s10.intoArray(sums, at + stride);
        s11.intoArray(sums, at + stride + 16);
        s12.intoArray(sums, at + stride + 32);
        s13.intoArray(sums, at + stride + 48);
        s20.intoArray(sums, at + 2 * stride);
        s21.intoArray(sums, at + 2 * stride + 16);
        s22.intoArray(sums, at + 2 * stride + 32);
        s23.intoArray(sums, at + 2 * stride + 48);
        s30.intoArray(sums, at + 3 * stride);
        s31.intoArray(sums, at + 3 * stride + 16);
        s32.intoArray(sums, at + 3 * stride + 32);
        s33.intoArray(sums, at + 3 * stride + 48);
    }

    /** The same with 6 rows of w. */
    static void add4x6(float[] x, int xAt, int xStride, float[] w, int wAt, int wStride, int n, float[] sums, int at, int stride) {
        FloatVector s00 = FloatVector.fromArray(F, sums, at);
        FloatVector s01 = FloatVector.fromArray(F, sums, at + 16);
        FloatVector s02 = FloatVector.fromArray(F, sums, at + 32);
        FloatVector s03 = FloatVector.fromArray(F, sums, at + 48);
        FloatVector s04 = FloatVector.fromArray(F, sums, at + 64);
        FloatVector s05 = FloatVector.fromArray(F, sums, at + 80);
        FloatVector s10 = FloatVector.fromArray(F, sums, at + stride);
        FloatVector s11 = FloatVector.fromArray(F, sums, at + stride + 16);
        FloatVector s12 = FloatVector.fromArray(F, sums, at + stride + 32);
        FloatVector s13 = FloatVector.fromArray(F, sums, at + stride + 48);
        FloatVector s14 = FloatVector.fromArray(F, sums, at + stride + 64);
        FloatVector s15 = FloatVector.fromArray(F, sums, at + stride + 80);
        FloatVector s20 = FloatVector.fromArray(F, sums, at + 2 * stride);
        FloatVector s21 = FloatVector.fromArray(F, sums, at + 2 * stride + 16);
        FloatVector s22 = FloatVector.fromArray(F, sums, at + 2 * stride + 32);
        FloatVector s23 = FloatVector.fromArray(F, sums, at + 2 * stride + 48);
        FloatVector s24 = FloatVector.fromArray(F, sums, at + 2 * stride + 64);
        FloatVector s25 = FloatVector.fromArray(F, sums, at + 2 * stride + 80);
        FloatVector s30 = FloatVector.fromArray(F, sums, at + 3 * stride);
        FloatVector s31 = FloatVector.fromArray(F, sums, at + 3 * stride + 16);
        FloatVector s32 = FloatVector.fromArray(F, sums, at + 3 * stride + 32);
        FloatVector s33 = FloatVector.fromArray(F, sums, at + 3 * stride + 48);
        FloatVector s34 = FloatVector.fromArray(F, sums, at + 3 * stride + 64);
        FloatVector s35 = FloatVector.fromArray(F, sums, at + 3 * stride + 80);
        for (int k = 0; k < n; k += Kernels.LANES) {
            FloatVector x0 = FloatVector.fromArray(F, x, xAt + k);
            FloatVector x1 = FloatVector.fromArray(F, x, xAt + xStride + k);
            FloatVector x2 = FloatVector.fromArray(F, x, xAt + 2 * xStride + k);
            FloatVector x3 = FloatVector.fromArray(F, x, xAt + 3 * xStride + k);
            FloatVector w0 = FloatVector.fromArray(F, w, wAt + k);
            s00 = w0.fma(x0, s00);
            s10 = w0.fma(x1, s10);
            s20 = w0.fma(x2, s20);
            s30 = w0.fma(x3, s30);
            FloatVector w1 = FloatVector.fromArray(F, w, wAt + wStride + k);
            s01 = w1.fma(x0, s01);
            s11 = w1.fma(x1, s11);
            s21 = w1.fma(x2, s21);
            s31 = w1.fma(x3, s31);
            FloatVector w2 = FloatVector.fromArray(F, w, wAt + 2 * wStride + k);
            s02 = w2.fma(x0, s02);
            s12 = w2.fma(x1, s12);
            s22 = w2.fma(x2, s22);
            s32 = w2.fma(x3, s32);
            FloatVector w3 = FloatVector.fromArray(F, w, wAt + 3 * wStride + k);
            s03 = w3.fma(x0, s03);
            s13 = w3.fma(x1, s13);
            s23 = w3.fma(x2, s23);
            s33 = w3.fma(x3, s33);
            FloatVector w4 = FloatVector.fromArray(F, w, wAt + 4 * wStride + k);
            s04 = w4.fma(x0, s04);
            s14 = w4.fma(x1, s14);
            s24 = w4.fma(x2, s24);
            s34 = w4.fma(x3, s34);
            FloatVector w5 = FloatVector.fromArray(F, w, wAt + 5 * wStride + k);
            s05 = w5.fma(x0, s05);
            s15 = w5.fma(x1, s15);
            s25 = w5.fma(x2, s25);
            s35 = w5.fma(x3, s35);
        }
        s00.intoArray(sums, at);
        s01.intoArray(sums, at + 16);
        s02.intoArray(sums, at + 32);
        s03.intoArray(sums, at + 48);
        s04.intoArray(sums, at + 64);
        s05.intoArray(sums, at + 80);
        s10.intoArray(sums, at + stride);
        s11.intoArray(sums, at + stride + 16);
        s12.intoArray(sums, at + stride + 32);
        s13.intoArray(sums, at + stride + 48);
        s14.intoArray(sums, at + stride + 64);
        s15.intoArray(sums, at + stride + 80);
        s20.intoArray(sums, at + 2 * stride);
        s21.intoArray(sums, at + 2 * stride + 16);
        s22.intoArray(sums, at + 2 * stride + 32);
        s23.intoArray(sums, at + 2 * stride + 48);
        s24.intoArray(sums, at + 2 * stride + 64);
        s25.intoArray(sums, at + 2 * stride + 80);
        s30.intoArray(sums, at + 3 * stride);
        s31.intoArray(sums, at + 3 * stride + 16);
        s32.intoArray(sums, at + 3 * stride + 32);
        s33.intoArray(sums, at + 3 * stride + 48);
        s34.intoArray(sums, at + 3 * stride + 64);
        s35.intoArray(sums, at + 3 * stride + 80);
    }
}
