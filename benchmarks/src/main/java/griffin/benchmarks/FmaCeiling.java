package griffin.benchmarks;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** How many float32 operations all cores do together: twelve chains of fused multiply-adds per core, in registers. */
final class FmaCeiling {

    private static final VectorSpecies<Float> F = FloatVector.SPECIES_PREFERRED;
    private static final int ACCUMULATORS = 12;
    private static final int BLOCK = 1 << 16;
    private static final int BLOCKS = 128;

    private final int threads;
    private final float[] sums;

    FmaCeiling(int threads) {
        this.threads = threads;
        sums = new float[threads * 32];
        for (int i = 0; i < 5; i++) {
            measure(); // compiles the loop
        }
    }

    /** One run, in GFLOP/s (a fused multiply-add is two operations). */
    double measure() {
        double operations = 2.0 * ACCUMULATORS * F.length() * BLOCK * BLOCKS * threads;
        return operations / 1e9 / Team.seconds(threads, id -> {
            for (int i = 0; i < BLOCKS; i++) {
                sums[id * 32] += block(0.999f, i);
            }
        });
    }

    private static float block(float factor, float start) {
        FloatVector a = FloatVector.broadcast(F, factor);
        FloatVector b = FloatVector.zero(F).addIndex(1).mul(0.001f);
        FloatVector s0 = FloatVector.broadcast(F, start);
        FloatVector s1 = s0.add(1f);
        FloatVector s2 = s0.add(2f);
        FloatVector s3 = s0.add(3f);
        FloatVector s4 = s0.add(4f);
        FloatVector s5 = s0.add(5f);
        FloatVector s6 = s0.add(6f);
        FloatVector s7 = s0.add(7f);
        FloatVector s8 = s0.add(8f);
        FloatVector s9 = s0.add(9f);
        FloatVector s10 = s0.add(10f);
        FloatVector s11 = s0.add(11f);
        for (int i = 0; i < BLOCK; i++) {
            s0 = s0.fma(a, b);
            s1 = s1.fma(a, b);
            s2 = s2.fma(a, b);
            s3 = s3.fma(a, b);
            s4 = s4.fma(a, b);
            s5 = s5.fma(a, b);
            s6 = s6.fma(a, b);
            s7 = s7.fma(a, b);
            s8 = s8.fma(a, b);
            s9 = s9.fma(a, b);
            s10 = s10.fma(a, b);
            s11 = s11.fma(a, b);
        }
        return s0.add(s1).add(s2.add(s3)).add(s4.add(s5)).add(s6.add(s7)).add(s8.add(s9)).add(s10.add(s11))
                .reduceLanes(VectorOperators.ADD);
    }
}
