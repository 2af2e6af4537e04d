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

    private static FloatVector of(float c) {
        return FloatVector.broadcast(F, c);
    }

    private static FloatVector polynomial(FloatVector r) {
        FloatVector p = of(C7).fma(r, of(C6));
        p = p.fma(r, of(C5));
        p = p.fma(r, of(C4));
        p = p.fma(r, of(C3));
        p = p.fma(r, of(C2));
        return p.fma(r, of(1f));
    }

    static FloatVector exp(FloatVector x) {
        FloatVector v = x.max(Elementary.EXP_MIN).min(Elementary.EXP_MAX);
        FloatVector t = v.fma(of(Elementary.LOG2E), of(Elementary.ROUND));
        FloatVector n = t.sub(Elementary.ROUND);
        FloatVector r = n.fma(of(-Elementary.LN2_HIGH), v);
        r = n.fma(of(-Elementary.LN2_LOW), r);
        FloatVector p = polynomial(r).fma(r, of(1f));
        return p.mul(t.reinterpretAsInts().add(127).lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats());
    }

    static FloatVector sigmoid(FloatVector x) {
        return of(1f).div(exp(x.neg()).add(1f));
    }

    static FloatVector tanh(FloatVector x) {
        return of(1f).sub(of(2f).div(exp(x.mul(2f)).add(1f)));
    }

    static FloatVector gelu(FloatVector v) {
        FloatVector u = v.mul(Elementary.GELU_B).fma(v.mul(v), v);
        return v.div(exp(u.mul(Elementary.GELU_A)).add(1f));
    }

    static FloatVector expm1(FloatVector y) {
        FloatVector far = exp(y).sub(1f);
        return far.blend(polynomial(y).mul(y), y.compare(VectorOperators.GT, -Elementary.SERIES));
    }
}
