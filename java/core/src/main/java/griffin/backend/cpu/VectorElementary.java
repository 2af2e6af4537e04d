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

/** {@link Elementary}'s functions on a vector: step by step the same operations, so the same bits. */
final class VectorElementary {

    /** The width of all elementwise loops. */
    static final VectorSpecies<Float> F = VectorWidth.FLOATS;

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
    private static final FloatVector V_GELU_MIN = of(Elementary.GELU_MIN);
    static final FloatVector TWO = of(2f);
    private static final FloatVector MINUS_SERIES = of(-Elementary.SERIES);

    private static FloatVector of(float c) {
        return FloatVector.broadcast(F, c);
    }

    private static FloatVector polynomial(FloatVector r) {
        return V7.fma(r, V6).fma(r, V5).fma(r, V4).fma(r, V3).fma(r, V2).fma(r, ONE);
    }

    static FloatVector exp(FloatVector x) {
        FloatVector v = x.max(V_MIN).min(V_MAX);
        FloatVector t = v.fma(V_LOG2E, V_ROUND);
        FloatVector n = t.sub(V_ROUND);
        FloatVector r = n.fma(V_MINUS_LN2_LOW, n.fma(V_MINUS_LN2_HIGH, v));
        FloatVector p = polynomial(r).fma(r, ONE);
        return p.mul(t.reinterpretAsInts().add(127).lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats());
    }

    static FloatVector sigmoid(FloatVector x) {
        return ONE.div(exp(x.neg()).add(ONE));
    }

    static FloatVector tanh(FloatVector x) {
        return ONE.sub(TWO.div(exp(x.mul(TWO)).add(ONE)));
    }

    static FloatVector gelu(FloatVector x) {
        FloatVector v = x.max(V_GELU_MIN);
        FloatVector u = v.mul(Elementary.GELU_B).fma(v.mul(v), v);
        return v.div(exp(u.mul(Elementary.GELU_A)).add(ONE));
    }

    static FloatVector expm1(FloatVector y) {
        FloatVector far = exp(y).sub(ONE);
        return far.blend(polynomial(y).mul(y), y.compare(VectorOperators.GT, MINUS_SERIES));
    }
}
