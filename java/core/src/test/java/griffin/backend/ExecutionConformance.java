package griffin.backend;

import static griffin.backend.Conformance.sameBits;
import static griffin.backend.Side.part;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import griffin.sampling.SamplingParams;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Memory, state slots, recorded programs, and the rules by which a sequence ends. */
interface ExecutionConformance extends Conformance {

    StateLayout LAYOUT = new StateLayout(3, 2, 33, 3, 7, 5, 70);

    @Test
    default void slotsAreCopiedClearedExportedAndImported() {
        Random random = random();
        float[][] slots = new float[5][];
        Arrays.setAll(slots, slot -> normal(random, (int) LAYOUT.bytes() / 4, 1));
        StateBuffers states = device().states(LAYOUT, slots);
        for (int slot = 0; slot < 5; slot++) {
            sameBits("import and export of slot " + slot, slots[slot], device().export(states, slot));
        }
        device().backend.copySlot(states, 3, 1);
        device().backend.clearSlot(states, 2);
        slots[1] = slots[3];
        slots[2] = new float[slots[2].length];
        for (int slot = 0; slot < 5; slot++) {
            sameBits("slot " + slot, slots[slot], device().export(states, slot));
        }
    }

    /** The order that snapshots rely on. */
    @Test
    default void exportHasTheLayoutsOrder() {
        Random random = random();
        float[][] slots = new float[3][];
        Arrays.setAll(slots, slot -> normal(random, (int) LAYOUT.bytes() / 4, 1));
        StateBuffers states = device().states(LAYOUT, slots);
        int at = 0;
        for (int layer = 0; layer < 3; layer++, at += 33) {
            sameBits("h " + layer, Arrays.copyOfRange(slots[1], at, at + 33), device().read(states.h().get(layer).rows(1, 1)));
        }
        for (int layer = 0; layer < 3; layer++, at += 99) {
            sameBits("conv " + layer, Arrays.copyOfRange(slots[1], at, at + 99), device().read(states.conv().get(layer).rows(3, 3)));
        }
        for (int layer = 0; layer < 2; layer++, at += 70) {
            sameBits("keys " + layer, Arrays.copyOfRange(slots[1], at, at + 35), device().read(states.keys().get(layer).rows(7, 7)));
            sameBits("values " + layer, Arrays.copyOfRange(slots[1], at + 35, at + 70),
                    device().read(states.values().get(layer).rows(7, 7)));
        }
        assertEquals(LAYOUT.bytes(), 4L * (at + 3));
    }

    @Test
    default void viewsShareTheirMemory() {
        Random random = random();
        float[] data = normal(random, 6 * 9, 1);
        Buffer whole = device().backend.allocate(DType.F32, 6, 9);
        sameBits("new buffers are zero", new float[54], device().read(whole));
        device().write(whole, data);
        float[] found = device().read(whole.columns(2, 5).rows(1, 3).columns(1, 2));
        for (int i = 0; i < 6; i++) {
            assertEquals(data[(1 + i / 2) * 9 + 3 + i % 2], found[i]);
        }
        device().write(whole.rows(5, 1).columns(8, 1), new float[] {42});
        data[53] = 42;
        sameBits("write through a view", data, device().read(whole));
    }

    @Test
    default void selectRows() {
        Random random = random();
        for (int i = 0; i < 20; i++) {
            int width = Conformance.pick(random, SIZES);
            StepPlan plan = Conformance.sequences(random, 4, 5, 32);
            float[] in = normal(random, plan.rows() * width, 1);
            boolean operand = i % 2 == 0;
            same("selectRows", side -> {
                Side.Framed out = operand ? side.operandOutput(plan.rows(), width) : side.output(plan.rows(), width);
                Side.Framed from = operand ? side.operandInput(in, width) : side.input(in, width);
                side.backend.selectRows(side.step(plan, 4), from.view, out.view);
                return out.written(plan.outputs());
            });
        }
    }

    @Test
    default void recordedProgramsRunOnlyWhenToldAndEqualEagerOperations() {
        Random random = random();
        Side side = device();
        Weight table = side.weight(WeightRole.EMBEDDING, part(DType.F32, 32, 33, normal(random, 32 * 33, 1)));
        Weight norm = side.weight(WeightRole.NORM, part(DType.F32, 1, 33, normal(random, 33, 1)));
        Step step = side.backend.allocateStep(40, 4, 4);
        Side.Framed x = side.output(40, 33);
        Side.Framed y = side.operandOutput(40, 33);
        Runnable operations = () -> {
            side.backend.embed(step, table, 2, x.view);
            side.backend.addRmsNorm(step.rows(), x.view, null, norm, 1e-6f, y.view);
        };
        Program program = side.backend.record(step, operations);
        y.written(0);
        for (int i = 0; i < 10; i++) {
            StepPlan plan = new StepPlan(40, 4);
            plan.add(1, 3, random.ints(30, 0, 32).toArray(), 0, 1 + random.nextInt(30), StepPlan.Outputs.LAST);
            side.backend.submit(step, plan);
            operations.run();
            float[] eager = side.read(y.whole);
            side.write(y.whole, Conformance.filled(eager.length, Float.intBitsToFloat(Side.POISON)));
            side.backend.await(side.backend.run(program), new StepResult(4));
            float[] recorded = side.read(y.whole);
            int live = (plan.rows() + 1) * y.whole.columns();
            sameBits("recorded", Arrays.copyOf(eager, live), Arrays.copyOf(recorded, live));
        }
    }

    @Test
    default void onlyTheLastResultsCanBeAskedFor() {
        Decode d = new Decode(device(), 1, Integer.MAX_VALUE, new int[0]);
        long first = d.start();
        long last = first;
        for (int i = 0; i < Backend.RESULT_DEPTH + 1; i++) {
            assertEquals(last + 1, d.next(), "tickets count up by one");
            last++;
        }
        StepResult result = new StepResult(3);
        for (long ticket = last; ticket > last - Backend.RESULT_DEPTH; ticket--) {
            device().backend.await(ticket, result);
            assertEquals((int) (2 + ticket - first) % Decode.VOCABULARY, result.ids[0], "run " + (ticket - first));
        }
        long tooOld = last - Backend.RESULT_DEPTH;
        long tooNew = last + 1;
        assertThrows(IllegalArgumentException.class, () -> device().backend.await(tooOld, result));
        assertThrows(IllegalArgumentException.class, () -> device().backend.await(tooNew, result));
        assertThrows(IllegalArgumentException.class, () -> device().backend.await(-1, result));
    }

    /** A toy decode loop whose logits make token t be followed by t + 1; its RG-LRU-free state is a convolution's. */
    final class Decode {
        static final int VOCABULARY = 8;
        final Side side;
        final Step step;
        final StateBuffers states;
        final Program program;
        final StepPlan plan = new StepPlan(8, 3);

        Decode(Side side, int sequences, int limit, int[] endIds) {
            this.side = side;
            float[] next = new float[VOCABULARY * VOCABULARY];
            float[] one = new float[VOCABULARY * VOCABULARY];
            for (int id = 0; id < VOCABULARY; id++) {
                one[id * VOCABULARY + id] = 1;
                next[(id + 1) % VOCABULARY * VOCABULARY + id] = 1;
            }
            Weight table = side.weight(WeightRole.EMBEDDING, part(DType.F32, VOCABULARY, VOCABULARY, one));
            Weight head = side.weight(WeightRole.EMBEDDING, part(DType.F32, VOCABULARY, VOCABULARY, next));
            Weight taps = side.weight(WeightRole.CONV_TAPS, part(DType.F32, VOCABULARY, 4, new float[4 * VOCABULARY]));
            Weight bias = side.weight(WeightRole.BIAS, part(DType.F32, 1, VOCABULARY, new float[VOCABULARY]));
            states = side.backend.allocateStates(new StateLayout(1, 0, VOCABULARY, 3, 1, 1, VOCABULARY), 4);
            step = side.backend.allocateStep(8, 3, states.scrapSlot());
            Buffer x = side.backend.allocate(DType.F32, 8, VOCABULARY);
            Buffer n = side.backend.allocate(side.backend.operandType(), 8, VOCABULARY);
            Buffer y = side.backend.allocate(side.backend.operandType(), 8, VOCABULARY);
            Buffer selected = side.backend.allocate(side.backend.operandType(), 8, VOCABULARY);
            float[] factor = Conformance.filled(VOCABULARY, (float) (1 / Math.sqrt(VOCABULARY) - 1)); // makes the norm leave one-hot rows
            Weight norm = side.weight(WeightRole.NORM, part(DType.F32, 1, VOCABULARY, factor));
            Buffer logits = side.backend.allocate(DType.F32, 3, VOCABULARY);
            program = side.backend.record(step, () -> {
                side.backend.embed(step, table, 1, x);
                side.backend.addRmsNorm(step.rows(), x, null, norm, 0, n);
                side.backend.causalConv(step, n, taps, bias, states.conv().get(0), y);
                side.backend.selectRows(step, n, selected);
                side.backend.logits(step.outputs().slice(0, 3), selected, head, 0, logits);
                side.backend.sample(step, logits, states.seen());
                side.backend.advance(step);
            });
            for (int q = 0; q < sequences; q++) {
                plan.add(3 - q, 0, new int[] {0, 1}, 0, 2, StepPlan.Outputs.LAST, SamplingParams.GREEDY, limit, endIds);
            }
        }

        long start() {
            side.backend.submit(step, plan);
            return next();
        }

        long next() {
            return side.backend.run(program);
        }

        StepResult result(long ticket) {
            StepResult result = new StepResult(3);
            side.backend.await(ticket, result);
            return result;
        }

        /** The last tokens that a slot consumed, oldest first, by its convolution history. */
        int[] consumed(int slot) {
            float[] state = side.export(states, slot);
            int[] out = new int[3];
            for (int k = 0; k < 3; k++) {
                out[k] = -1;
                for (int id = 0; id < VOCABULARY; id++) {
                    out[k] = state[VOCABULARY * (1 + k) + id] > 0.5f ? id : out[k];
                }
            }
            return out;
        }
    }

    @Test
    default void sequencesEndByEndIdLimitAndCancelAndAreThenParked() {
        Decode d = new Decode(device(), 0, 0, null);
        int[] prompt = {0, 1};
        d.plan.add(2, 0, prompt, 0, 2, StepPlan.Outputs.LAST, SamplingParams.GREEDY, 100, new int[] {6, 4});
        d.plan.add(0, 0, prompt, 0, 2, StepPlan.Outputs.LAST, SamplingParams.GREEDY, 2, new int[0]);
        d.plan.add(3, 0, prompt, 0, 2, StepPlan.Outputs.LAST, SamplingParams.GREEDY, 100, new int[] {99});
        float[] idle = device().export(d.states, 1);
        StepResult r = d.result(d.start());
        assertArrayEquals(new int[] {2, 2, 2}, r.ids);
        assertArrayEquals(new int[] {StepResult.RUNNING, StepResult.RUNNING, StepResult.RUNNING}, r.status);
        r = d.result(d.next());
        assertArrayEquals(new int[] {3, 3, 3}, r.ids);
        assertArrayEquals(new int[] {StepResult.RUNNING, StepResult.LIMIT, StepResult.RUNNING}, r.status);
        d.side.backend.cancel(d.step, 2);
        r = d.result(d.next());
        assertArrayEquals(new int[] {4, -1, 4}, r.ids);
        assertArrayEquals(new int[] {StepResult.ENDED, StepResult.PARKED, StepResult.CANCELLED}, r.status);
        float[][] ended = {device().export(d.states, 2), device().export(d.states, 0), device().export(d.states, 3)};
        for (int i = 0; i < 5; i++) {
            r = d.result(d.next());
            assertArrayEquals(new int[] {-1, -1, -1}, r.ids);
            assertArrayEquals(new int[] {StepResult.PARKED, StepResult.PARKED, StepResult.PARKED}, r.status);
        }
        sameBits("ended by id", ended[0], device().export(d.states, 2));
        sameBits("ended by limit", ended[1], device().export(d.states, 0));
        sameBits("cancelled", ended[2], device().export(d.states, 3));
        sameBits("not in the step", idle, device().export(d.states, 1));
        assertArrayEquals(new int[] {1, 2, 3}, d.consumed(2), "everything reported but the last sampled token");
        assertArrayEquals(new int[] {0, 1, 2}, d.consumed(0));
        assertArrayEquals(new int[] {1, 2, 3}, d.consumed(3));
    }

    @Test
    default void sequencesWithoutASampledRowAreParked() {
        Decode d = new Decode(device(), 0, 0, null);
        d.plan.add(1, 0, new int[] {0, 1, 2}, 0, 3, StepPlan.Outputs.NONE);
        d.plan.add(2, 0, new int[] {3}, 0, 1, StepPlan.Outputs.LAST);
        StepResult r = d.result(d.start());
        assertArrayEquals(new int[] {-1, 4}, Arrays.copyOf(r.ids, 2));
        assertArrayEquals(new int[] {StepResult.PARKED, StepResult.RUNNING}, Arrays.copyOf(r.status, 2));
        float[] parked = device().export(d.states, 1);
        for (int i = 0; i < 4; i++) {
            assertEquals(5 + i & 7, d.result(d.next()).ids[1]);
        }
        sameBits("parked", parked, device().export(d.states, 1));
        assertArrayEquals(new int[] {0, 1, 2}, d.consumed(1));
    }

    /** A new submit takes the step over whatever it was doing, cancellations included. */
    @Test
    default void submitStartsAfresh() {
        Decode d = new Decode(device(), 2, 50, new int[0]);
        d.result(d.start());
        d.side.backend.cancel(d.step, 0);
        d.result(d.next());
        StepResult r = d.result(d.start());
        assertArrayEquals(new int[] {2, 2}, Arrays.copyOf(r.ids, 2));
        assertArrayEquals(new int[] {StepResult.RUNNING, StepResult.RUNNING}, Arrays.copyOf(r.status, 2));
    }
}
