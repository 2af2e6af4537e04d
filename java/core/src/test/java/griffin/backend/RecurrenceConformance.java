package griffin.backend;

import static griffin.backend.Conformance.pick;
import static griffin.backend.Conformance.sameBits;
import static griffin.backend.Side.part;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** The causal convolution and the RG-LRU against the reference: several sequences, scrambled slots, resets, extremes. */
interface RecurrenceConformance extends Conformance {

    int SLOTS = 5;

    /** What one check runs on: E = heads * block channels, C taps. */
    final class Case {
        final int width;
        final int block;
        final int taps;
        final StepPlan plan;
        final float[] xy;
        final float[][] slots;
        final TensorPart[] weights;
        final DType gateType;
        final StateLayout layout;

        Case(Conformance suite, Random random, int block, int heads, int taps, DType dtype, double size, float parameter) {
            this(suite, random, Conformance.sequences(random, SLOTS, 6, 32), block, heads, taps, dtype, size, parameter);
        }

        Case(Conformance suite, Random random, StepPlan plan, int block, int heads, int taps, DType dtype, double size,
                float parameter) {
            this.block = block;
            this.taps = taps;
            gateType = dtype;
            width = block * heads;
            layout = new StateLayout(1, 0, width, taps - 1, 1, 1, 32);
            this.plan = plan;
            xy = suite.normal(random, plan.rows() * 2 * width, size);
            xy[random.nextInt(xy.length)] = -0f;
            slots = new float[SLOTS + 1][];
            Arrays.setAll(slots, slot -> suite.normal(random, (int) layout.bytes() / 4, 1));
            float[] decay = new float[width];
            for (int e = 0; e < width; e++) {
                decay[e] = Float.isNaN(parameter) ? (float) random.nextGaussian() * 2 - 5 : parameter;
            }
            weights = new TensorPart[] {part(DType.F32, width, taps, suite.normal(random, width * taps, 0.5)),
                part(DType.BF16, 1, width, suite.normal(random, width, 0.3)),
                part(dtype, heads * block, block, suite.normal(random, width * block, 1 / Math.sqrt(block))),
                part(dtype, heads * block, block, suite.normal(random, width * block, 1 / Math.sqrt(block))),
                part(DType.F32, 1, width, suite.normal(random, width, pick(random, 1, 1, 60))),
                part(DType.F32, 1, width, suite.normal(random, width, pick(random, 1, 1, 60))), part(DType.F32, 1, width, decay)};
        }

        RgLruWeights rgLru(Side side) {
            return new RgLruWeights(side.weight(WeightRole.GATES, weights[2], weights[3]),
                    side.weight(WeightRole.BIAS, weights[4], weights[5]), side.weight(WeightRole.DECAY, weights[6]));
        }

        float[] column(int part) {
            float[] out = new float[plan.rows() * width];
            for (int m = 0; m < plan.rows(); m++) {
                System.arraycopy(xy, m * 2 * width + part * width, out, m * width, width);
            }
            return out;
        }

        /** Exported slots after an operation; those not in the plan must be bit for bit what they were. */
        float[] after(Side side, StateBuffers states, boolean convChanges, boolean hChanges) {
            float[][] out = new float[SLOTS + 1][];
            boolean[] used = new boolean[SLOTS + 1];
            for (int q = 0; q < plan.sequences(); q++) {
                used[plan.slot(q)] = true;
            }
            for (int slot = 0; slot <= SLOTS; slot++) {
                out[slot] = side.export(states, slot);
                int from = used[slot] && hChanges ? width : 0;
                int to = used[slot] && convChanges ? from : out[slot].length;
                sameBits("state of slot " + slot, Arrays.copyOfRange(slots[slot], from, to), Arrays.copyOfRange(out[slot], from, to));
            }
            return Conformance.joined(out);
        }
    }

    private Case randomCase(Random random, int i) {
        int block = pick(random, 1, 15, 16, 17, 31, 32, 33, 64, 65, 100);
        float parameter = i % 3 > 0 ? Float.NaN : pick(random, -200, -30, -12, 0, 5, 100, 10_000);
        return new Case(this, random, block, 1 + random.nextInt(3), 2 + random.nextInt(4), WEIGHT_DTYPES[i % 3],
                i % 5 == 0 ? 1000 : 1, parameter);
    }

    @Test
    default void causalConv() {
        Random random = random();
        for (int i = 0; i < 40; i++) {
            causalConv(randomCase(random, i));
        }
    }

    private void causalConv(Case c) {
        float largest = largest(c.xy, c.slots);
        float[] magnitudes = Conformance.filled((c.plan.rows() * c.width) + (SLOTS + 1) * c.slots[0].length, largest * c.taps);
        compare("causalConv of " + c.width + " channels, " + c.taps + " taps", tolerances().causalConv(c.taps), magnitudes, side -> {
            StateBuffers states = side.states(c.layout, c.slots);
            Side.Framed out = side.operandOutput(c.plan.rows() + 1, c.width);
            side.backend.causalConv(side.step(c.plan, SLOTS), side.operandInput(c.xy, 2 * c.width).view.columns(0, c.width),
                    side.weight(WeightRole.CONV_TAPS, c.weights[0]), side.weight(WeightRole.BIAS, c.weights[1]), states.conv().get(0),
                    out.view);
            return Conformance.joined(out.written(c.plan.rows()), c.after(side, states, true, false));
        });
    }

    @Test
    default void rgLru() {
        Random random = random();
        for (int i = 0; i < 60; i++) {
            rgLru(randomCase(random, i));
        }
    }

    /** The released 2B model's widths; together with the fused form against its own default body this is all of its recurrence. */
    @Test
    default void recurrenceOfTheReleasedModel() {
        Case c = new Case(this, random(), 256, 10, 4, DType.BF16, 1, Float.NaN);
        causalConv(c);
        rgLru(c);
        recurrenceAgainstDefaultBody(c);
    }

    /** Decode steps: one row each, at the beginning and later on, in slots of another order. */
    @Test
    default void recurrenceOfSequencesOfOneRow() {
        Random random = random();
        for (int i = 0; i < 12; i++) {
            StepPlan plan = new StepPlan(SLOTS, SLOTS);
            int count = 1 + i % SLOTS;
            for (int q = 0; q < count; q++) {
                plan.add((q + i) % SLOTS, pick(random, 0, 1, 2, 3, 4, 5000), new int[1], 0, 1, StepPlan.Outputs.LAST);
            }
            recurrenceAgainstDefaultBody(new Case(this, random, plan, i % 3 == 0 ? 33 : 256, 1 + i % 3, i % 4 == 0 ? 3 : 4, DType.BF16, 1,
                    Float.NaN));
        }
    }

    private void rgLru(Case c) {
        float[] x = c.column(0);
        float largest = largest(x, c.slots);
        int rows = c.plan.rows();
        float[] magnitudes = Conformance.filled(rows * c.width + (SLOTS + 1) * c.slots[0].length, largest);
        compare("rgLru of blocks of " + c.block + " " + c.gateType + ", largest " + largest,
                tolerances().rgLru(c.gateType, c.block, rows, largest), magnitudes, side -> {
                    StateBuffers states = side.states(c.layout, c.slots);
                    Side.Framed out = side.operandOutput(rows + 1, c.width);
                    side.backend.rgLru(side.step(c.plan, SLOTS), side.operandInput(x, c.width).view, c.rgLru(side), states.h().get(0),
                            out.view);
                    return Conformance.joined(out.written(rows), c.after(side, states, false, true));
                });
    }

    @Test
    default void recurrenceEqualsItsDefaultBody() {
        Random random = random();
        for (int i = 0; i < 20; i++) {
            recurrenceAgainstDefaultBody(randomCase(random, i));
        }
    }

    private void recurrenceAgainstDefaultBody(Case c) {
        double largest = Math.max(1, largest(c.xy, c.slots));
        float[] magnitudes = Conformance.filled(c.plan.rows() * c.width + (SLOTS + 1) * c.slots[0].length,
                (float) (largest * largest * c.taps));
        Conformance.close("recurrence", tolerances().fusion(tolerances().rgLru(c.gateType, c.block, c.plan.rows(), largest * c.taps)),
                magnitudes, recurrence(c, new DefaultFusions(device().backend)),
                recurrence(c, device().backend));
    }

    private static float[] recurrence(Case c, Backend backend) {
        Side side = new Side(backend, 4);
        StateBuffers states = side.states(c.layout, c.slots);
        Side.Framed out = side.operandOutput(c.plan.rows() + 1, c.width);
        backend.recurrence(side.step(c.plan, SLOTS), side.operandInput(c.xy, 2 * c.width).view,
                new RecurrenceWeights(side.weight(WeightRole.CONV_TAPS, c.weights[0]), side.weight(WeightRole.BIAS, c.weights[1]),
                        c.rgLru(side)),
                states.conv().get(0), states.h().get(0), side.operandOutput(c.plan.rows() + 1, c.width).view, out.view);
        return Conformance.joined(out.written(c.plan.rows()), c.after(side, states, true, true));
    }

    private static float largest(float[] x, float[][] slots) {
        float largest = 0;
        for (float v : x) {
            largest = Math.max(largest, Math.abs(v));
        }
        for (float v : Conformance.joined(slots)) {
            largest = Math.max(largest, Math.abs(v));
        }
        return largest;
    }
}
