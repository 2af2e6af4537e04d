package griffin.backend.cpu;

import static griffin.backend.cpu.Elementary.C2;
import static griffin.backend.cpu.Elementary.C3;
import static griffin.backend.cpu.Elementary.C4;
import static griffin.backend.cpu.Elementary.C5;
import static griffin.backend.cpu.Elementary.C6;
import static griffin.backend.cpu.Elementary.C7;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * {@link Elementary}'s functions over arrays: step by step the same operations, so the same bits. Every n is a multiple of the vectors'
 * length.
 *
 * <p>
 * They are passes over arrays, not functions of a vector, because no method here may take or return one: whether such a call is inlined
 * is up to the compiler's profile of the moment, and a call that is not inlined makes an object of every vector, for as long as the process
 * lives (seen: 6 to 46 KB a decode step in two processes of three). The vectors' own methods are always inlined.
 */
final class VectorElementary {

    /** The width of all elementwise loops. */
    static final VectorSpecies<Float> F = VectorWidth.FLOATS;

    private static final int LENGTH = F.length();

    private VectorElementary() {}

    // Constants ready made: broadcasting them where they are used fills the compiler's budget of nodes, beyond which it no longer inlines.
    private static final FloatVector V_LOG2E = of(Elementary.LOG2E);
    private static final FloatVector V_ROUND = of(Elementary.ROUND);
    private static final FloatVector V_MINUS_LN2_HIGH = of(-Elementary.LN2_HIGH);
    private static final FloatVector V_MINUS_LN2_LOW = of(-Elementary.LN2_LOW);
    private static final FloatVector V_MIN = of(Elementary.EXP_MIN);
    private static final FloatVector V_MAX = of(Elementary.EXP_MAX);
    private static final FloatVector V7 = of(C7);
    private static final FloatVector V6 = of(C6);
    private static final FloatVector V5 = of(C5);
    private static final FloatVector V4 = of(C4);
    private static final FloatVector V3 = of(C3);
    private static final FloatVector V2 = of(C2);
    private static final FloatVector ONE = of(1f);
    private static final FloatVector TWO = of(2f);
    private static final FloatVector V_GELU_MIN = of(Elementary.GELU_MIN);
    private static final FloatVector MINUS_SERIES = of(-Elementary.SERIES);

    private static FloatVector of(float c) {
        return FloatVector.broadcast(F, c);
    }

    /** out = exp(scale x); {@code out} may be {@code x}. */
    static void exp(float[] x, int xAt, float scale, float[] out, int outAt, int n) {
        for (int i = 0; i < n; i += LENGTH) {
            FloatVector v = FloatVector.fromArray(F, x, xAt + i).mul(scale).max(V_MIN).min(V_MAX);
            FloatVector t = v.fma(V_LOG2E, V_ROUND);
            FloatVector whole = t.sub(V_ROUND);
            FloatVector r = whole.fma(V_MINUS_LN2_LOW, whole.fma(V_MINUS_LN2_HIGH, v));
            FloatVector p = V7.fma(r, V6).fma(r, V5).fma(r, V4).fma(r, V3).fma(r, V2).fma(r, ONE).fma(r, ONE);
            p.mul(t.reinterpretAsInts().add(127).lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats()).intoArray(out, outAt + i);
        }
    }

    /** z = sigmoid(z) factor. */
    static void sigmoidTimes(float[] z, int zAt, float[] factor, int factorAt, int n) {
        exp(z, zAt, -1, z, zAt, n);
        for (int i = 0; i < n; i += LENGTH) {
            ONE.div(FloatVector.fromArray(F, z, zAt + i).add(ONE)).mul(FloatVector.fromArray(F, factor, factorAt + i)).intoArray(z,
                    zAt + i);
        }
    }

    /** z = tanh(z) factor. */
    static void tanhTimes(float[] z, int at, float factor, int n) {
        exp(z, at, 2, z, at, n);
        for (int i = at; i < at + n; i += LENGTH) {
            ONE.sub(TWO.div(FloatVector.fromArray(F, z, i).add(ONE))).mul(factor).intoArray(z, i);
        }
    }

    /** out = gelu(x) factor, by way of {@code between}, of n floats that overlap none of the others; {@code out} may be x or the factor. */
    static void geluTimes(float[] x, int xAt, float[] factor, int factorAt, float[] between, float[] out, int outAt, int n) {
        for (int i = 0; i < n; i += LENGTH) {
            FloatVector v = FloatVector.fromArray(F, x, xAt + i).max(V_GELU_MIN);
            v.mul(Elementary.GELU_B).fma(v.mul(v), v).intoArray(between, i);
        }
        exp(between, 0, Elementary.GELU_A, between, 0, n);
        for (int i = 0; i < n; i += LENGTH) {
            FloatVector v = FloatVector.fromArray(F, x, xAt + i).max(V_GELU_MIN);
            v.div(FloatVector.fromArray(F, between, i).add(ONE)).mul(FloatVector.fromArray(F, factor, factorAt + i)).intoArray(out,
                    outAt + i);
        }
    }

    /** out = expm1(scale y) for scale y at most 0; {@code out} overlaps not {@code y}. */
    static void expm1(float[] y, int yAt, float scale, float[] out, int outAt, int n) {
        exp(y, yAt, scale, out, outAt, n);
        for (int i = 0; i < n; i += LENGTH) {
            FloatVector r = FloatVector.fromArray(F, y, yAt + i).mul(scale);
            FloatVector series = V7.fma(r, V6).fma(r, V5).fma(r, V4).fma(r, V3).fma(r, V2).fma(r, ONE).mul(r);
            FloatVector.fromArray(F, out, outAt + i).sub(ONE).blend(series, r.compare(VectorOperators.GT, MINUS_SERIES)).intoArray(out,
                    outAt + i);
        }
    }
}
