package griffin.backend;

import static griffin.backend.Conformance.pick;
import static griffin.backend.Conformance.sameBits;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Rotation, window attention and the ring against the reference: every ring offset, packed documents, scrambled slots. */
interface AttentionConformance extends Conformance {

    int SLOTS = 4;

    private static StateLayout layout(AttentionShape shape) {
        return new StateLayout(0, 1, 1, 1, shape.window(), shape.headDim(), 32);
    }

    private float[][] ring(Random random, AttentionShape shape, int count) {
        float[][] slots = new float[count + 1][];
        Arrays.setAll(slots, slot -> normal(random, (int) layout(shape).bytes() / 4, 1));
        return slots;
    }

    private static AttentionShape shape(Random random) {
        int headDim = pick(random, 2, 4, 16, 30, 32, 34, 64, 66);
        int rotary = Math.max(2, headDim / pick(random, 1, 2, 3) / 2 * 2);
        return new AttentionShape(1 + random.nextInt(4), headDim, pick(random, 2, 3, 7, 8, 33, 40), rotary, 10_000);
    }

    /** Untouched rings of slots that are not in the plan. */
    private static float[] rings(Side side, StepPlan plan, StateBuffers states, float[][] before, boolean changes) {
        float[][] out = new float[before.length][];
        for (int slot = 0; slot < before.length; slot++) {
            out[slot] = side.export(states, slot);
            int wanted = slot;
            if (!changes || java.util.stream.IntStream.range(0, plan.sequences()).noneMatch(q -> plan.slot(q) == wanted)) {
                sameBits("ring of slot " + slot, before[slot], out[slot]);
            }
        }
        return Conformance.joined(out);
    }

    @Test
    default void rotate() {
        Random random = random();
        for (int i = 0; i < 40; i++) {
            AttentionShape shape = i == 0 ? new AttentionShape(10, 256, 2048, 128, 10_000) : shape(random);
            StepPlan plan = Conformance.sequences(random, SLOTS, Math.min(9, shape.window()), 32);
            float[] qkv = normal(random, plan.rows() * shape.qkvWidth(), pick(random, 1, 1, 1000));
            float[] magnitude = new float[qkv.length];
            Arrays.fill(magnitude, largest(qkv));
            compare("rotate " + shape, tolerances().rotate(), magnitude, side -> {
                Side.Framed x = side.operandInput(qkv, shape.qkvWidth());
                side.backend.rotate(side.step(plan, SLOTS), shape, x.view);
                return x.written(plan.rows());
            });
        }
    }

    @Test
    default void windowAttention() {
        Random random = random();
        for (int i = 0; i < 60; i++) {
            AttentionShape shape = shape(random);
            attend(random, shape, Conformance.sequences(random, SLOTS, shape.window(), 32), i % 4 == 0 ? 5 : 1);
        }
    }

    /** Continuing at every position of the ring, one token and a few at a time; and sizes at which a backend may split the work. */
    @Test
    default void windowAttentionAtEveryRingOffset() {
        Random random = random();
        AttentionShape shape = new AttentionShape(2, 16, 7, 8, 10_000);
        for (int position = 0; position < 3 * shape.window(); position++) {
            for (int length : new int[] {1, 2, 7, 8, 9}) {
                StepPlan plan = new StepPlan(length, 1);
                plan.add(2, position, new int[length], 0, length, StepPlan.Outputs.LAST);
                attend(random, shape, plan, 1);
            }
        }
        AttentionShape real = new AttentionShape(10, 256, 300, 128, 10_000);
        StepPlan decode = new StepPlan(3, 3);
        for (int q = 0; q < 3; q++) {
            decode.add(2 - q, new int[] {299, 5000, 17}[q], new int[1], 0, 1, StepPlan.Outputs.LAST);
        }
        attend(random, real, decode, 1);
    }

    /** The released models' attention on either side of the place where the window is full and the ring begins anew. */
    @Test
    default void windowAttentionOfTheReleasedModelsAroundTheWrap() {
        Random random = random();
        AttentionShape real = new AttentionShape(10, 256, 2048, 128, 10_000);
        float[][] ring = ring(random, real, 2);
        StepPlan across = new StepPlan(4, 2);
        across.add(1, 2046, new int[3], 0, 3, StepPlan.Outputs.LAST);
        across.add(0, 3 * 2048, new int[1], 0, 1, StepPlan.Outputs.LAST);
        attend(random, real, across, 1, ring);
        StepPlan after = new StepPlan(3, 2);
        after.add(0, 2048, new int[1], 0, 1, StepPlan.Outputs.LAST);
        after.add(1, 2 * 2048 - 1, new int[2], 0, 2, StepPlan.Outputs.LAST);
        attend(random, real, after, 1, ring);
    }

    private void attend(Random random, AttentionShape shape, StepPlan plan, double size) {
        attend(random, shape, plan, size, ring(random, shape, SLOTS));
    }

    private void attend(Random random, AttentionShape shape, StepPlan plan, double size, float[][] ring) {
        int scrap = ring.length - 1;
        float[] qkv = normal(random, plan.rows() * shape.qkvWidth(), size);
        float[] magnitude = Conformance.filled(plan.rows() * shape.heads() * shape.headDim() + ring.length * ring[0].length,
                Math.max(largest(qkv), largest(Conformance.joined(ring))));
        double score = largest(qkv) * magnitude[0] * Math.sqrt(shape.headDim());
        compare("windowAttention " + shape, tolerances().windowAttention(shape.headDim(), shape.window(), score), magnitude, side -> {
            StateBuffers states = side.states(layout(shape), ring);
            Side.Framed out = side.operandOutput(plan.rows() + 1, shape.heads() * shape.headDim());
            Side.Framed in = side.operandInput(qkv, shape.qkvWidth());
            side.backend.windowAttention(side.step(plan, scrap), shape, in.view, states.keys().get(0), states.values().get(0), out.view);
            sameBits("qkv", qkv, in.written(plan.rows()));
            return Conformance.joined(out.written(plan.rows()), rings(side, plan, states, ring, false));
        });
    }

    @Test
    default void storeKeys() {
        Random random = random();
        for (int i = 0; i < 40; i++) {
            AttentionShape shape = shape(random);
            StepPlan plan = Conformance.sequences(random, SLOTS, shape.window(), 32);
            float[] qkv = normal(random, plan.rows() * shape.qkvWidth(), 1);
            float[][] ring = ring(random, shape, SLOTS);
            same("storeKeys " + shape, side -> {
                StateBuffers states = side.states(layout(shape), ring);
                side.backend.storeKeys(side.step(plan, SLOTS), shape, side.operandInput(qkv, shape.qkvWidth()).view, states.keys().get(0),
                        states.values().get(0));
                return rings(side, plan, states, ring, true);
            });
        }
    }

    @Test
    default void attentionEqualsItsDefaultBody() {
        Random random = random();
        for (int i = 0; i < 20; i++) {
            AttentionShape shape = shape(random);
            StepPlan plan = Conformance.sequences(random, SLOTS, shape.window(), 32);
            float[] qkv = normal(random, plan.rows() * shape.qkvWidth(), 1);
            float[][] ring = ring(random, shape, SLOTS);
            double largest = Math.max(largest(qkv), largest(Conformance.joined(ring)));
            float[] magnitudes = Conformance.filled(plan.rows() * shape.heads() * shape.headDim() + (SLOTS + 1) * ring[0].length,
                    (float) largest);
            Conformance.close("attention " + shape, tolerances().fusion(tolerances().windowAttention(shape.headDim(), shape.window(),
                    largest * largest * Math.sqrt(shape.headDim()))), magnitudes,
                    attention(new DefaultFusions(device().backend), shape, plan, qkv, ring),
                    attention(device().backend, shape, plan, qkv, ring));
        }
    }

    private static float[] attention(Backend backend, AttentionShape shape, StepPlan plan, float[] qkv, float[][] ring) {
        Side side = new Side(backend, 4);
        StateBuffers states = side.states(layout(shape), ring);
        Side.Framed out = side.operandOutput(plan.rows() + 1, shape.heads() * shape.headDim());
        backend.attention(side.step(plan, SLOTS), shape, side.operandInput(qkv, shape.qkvWidth()).view, states.keys().get(0),
                states.values().get(0), out.view);
        return Conformance.joined(out.written(plan.rows()), rings(side, plan, states, ring, true));
    }

    private static float largest(float[] values) {
        float largest = 0;
        for (float v : values) {
            largest = Math.max(largest, Math.abs(v));
        }
        return largest;
    }
}
