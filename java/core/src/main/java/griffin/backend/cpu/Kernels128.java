package griffin.backend.cpu;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** Products on 128-bit vectors: four registers hold a dot product's 16 partial sums. */
final class Kernels128 extends VectorKernels {

    private static final VectorSpecies<Float> F = FloatVector.SPECIES_128;
    private static final VectorSpecies<Integer> I = IntVector.SPECIES_128;
    private static final VectorSpecies<Short> S = ShortVector.SPECIES_64;
    private static final ByteOrder LITTLE = ByteOrder.LITTLE_ENDIAN;

    /** At most 35 bytes of code, see {@link VectorKernels}. */
    private static FloatVector bf16(MemorySegment w, long byteAt) {
        return ShortVector.fromMemorySegment(S, w, byteAt, LITTLE).convertShape(VectorOperators.ZERO_EXTEND_S2I, I, 0)
                .lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
    }

    private static FloatVector f32(MemorySegment w, long byteAt) {
        return FloatVector.fromMemorySegment(F, w, byteAt, LITTLE);
    }

    @Override
    public float dot(float[] a, int aAt, float[] b, int bAt, int n, float[] lanes) {
        FloatVector s0 = FloatVector.zero(F);
        FloatVector s1 = FloatVector.zero(F);
        FloatVector s2 = FloatVector.zero(F);
        FloatVector s3 = FloatVector.zero(F);
        int k = 0;
        for (; k + LANES <= n; k += LANES) {
            s0 = FloatVector.fromArray(F, a, aAt + k).fma(FloatVector.fromArray(F, b, bAt + k), s0);
            s1 = FloatVector.fromArray(F, a, aAt + k + 4).fma(FloatVector.fromArray(F, b, bAt + k + 4), s1);
            s2 = FloatVector.fromArray(F, a, aAt + k + 8).fma(FloatVector.fromArray(F, b, bAt + k + 8), s2);
            s3 = FloatVector.fromArray(F, a, aAt + k + 12).fma(FloatVector.fromArray(F, b, bAt + k + 12), s3);
        }
        s0.intoArray(lanes, 0);
        s1.intoArray(lanes, 4);
        s2.intoArray(lanes, 8);
        s3.intoArray(lanes, 12);
        return finish(a, aAt + k, b, bAt + k, n - k, lanes, 0);
    }

    @Override
    public void matvecBf16(MemorySegment w, long wAt, int rows, int n, float[] x, int xAt, float[] out, int outAt, float[] lanes) {
        int r = 0;
        for (; r < rows; r++) {
            rowBf16(w, wAt + (long) r * n, n, x, xAt, out, outAt + r, lanes);
        }
    }

    private static void rowBf16(MemorySegment weights, long wAt, int n, float[] x, int xAt, float[] out, int outAt, float[] lanes) {
        MemorySegment w = direct(weights);
        FloatVector s00 = FloatVector.zero(F);
        FloatVector s01 = FloatVector.zero(F);
        FloatVector s02 = FloatVector.zero(F);
        FloatVector s03 = FloatVector.zero(F);
        long at0 = wAt * 2;
        int k = 0;
        for (; k + LANES <= n; k += LANES) {
            FloatVector x0 = FloatVector.fromArray(F, x, xAt + k);
            FloatVector x1 = FloatVector.fromArray(F, x, xAt + k + 4);
            FloatVector x2 = FloatVector.fromArray(F, x, xAt + k + 8);
            FloatVector x3 = FloatVector.fromArray(F, x, xAt + k + 12);
            s00 = bf16(w, at0 + 2L * k).fma(x0, s00);
            s01 = bf16(w, at0 + 2L * k + 8).fma(x1, s01);
            s02 = bf16(w, at0 + 2L * k + 16).fma(x2, s02);
            s03 = bf16(w, at0 + 2L * k + 24).fma(x3, s03);
        }
        s00.intoArray(lanes, 0);
        s01.intoArray(lanes, 4);
        s02.intoArray(lanes, 8);
        s03.intoArray(lanes, 12);
        out[outAt] = finishBf16(w, wAt + k, x, xAt + k, n - k, lanes, 0);
    }

    @Override
    public void matvecF32(MemorySegment w, long wAt, int rows, int n, float[] x, int xAt, float[] out, int outAt, float[] lanes) {
        int r = 0;
        for (; r < rows; r++) {
            rowF32(w, wAt + (long) r * n, n, x, xAt, out, outAt + r, lanes);
        }
    }

    private static void rowF32(MemorySegment weights, long wAt, int n, float[] x, int xAt, float[] out, int outAt, float[] lanes) {
        MemorySegment w = direct(weights);
        FloatVector s00 = FloatVector.zero(F);
        FloatVector s01 = FloatVector.zero(F);
        FloatVector s02 = FloatVector.zero(F);
        FloatVector s03 = FloatVector.zero(F);
        long at0 = wAt * 4;
        int k = 0;
        for (; k + LANES <= n; k += LANES) {
            FloatVector x0 = FloatVector.fromArray(F, x, xAt + k);
            FloatVector x1 = FloatVector.fromArray(F, x, xAt + k + 4);
            FloatVector x2 = FloatVector.fromArray(F, x, xAt + k + 8);
            FloatVector x3 = FloatVector.fromArray(F, x, xAt + k + 12);
            s00 = f32(w, at0 + 4L * k).fma(x0, s00);
            s01 = f32(w, at0 + 4L * k + 16).fma(x1, s01);
            s02 = f32(w, at0 + 4L * k + 32).fma(x2, s02);
            s03 = f32(w, at0 + 4L * k + 48).fma(x3, s03);
        }
        s00.intoArray(lanes, 0);
        s01.intoArray(lanes, 4);
        s02.intoArray(lanes, 8);
        s03.intoArray(lanes, 12);
        out[outAt] = finishF32(w, wAt + k, x, xAt + k, n - k, lanes, 0);
    }

    @Override
    public void matmul(float[] x, int xAt, int xStride, int m, float[] w, int wAt, int wStride, int rows, int n, float[] out, int outAt,
            int outStride, float[] lanes) {
        for (int i = 0; i < m; i++) {
            for (int r = 0; r < rows; r++) {
                out[outAt + i * outStride + r] = dot(w, wAt + r * wStride, x, xAt + i * xStride, n, lanes);
            }
        }
    }
}
