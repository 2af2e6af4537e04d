package griffin.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.Seed;
import griffin.weights.BFloat16;
import java.util.Random;
import java.util.function.Function;
import org.junit.jupiter.api.extension.ExtendWith;

/** What the groups of conformance tests share: the device under test beside the reference, and comparisons. */
@ExtendWith(Seed.class)
interface Conformance {

    /** Sizes around the widths of vectors and tiles. */
    int[] SIZES = {1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 207};
    DType[] WEIGHT_DTYPES = {DType.F32, DType.BF16, DType.F16};

    Side device();

    Side reference();

    /** Operand type of the device under test. */
    DType operands();

    Tolerances tolerances();

    default Random random() {
        return Seed.random(StackWalker.getInstance().walk(frames -> frames.skip(1).findFirst().orElseThrow().getMethodName()));
    }

    /** Normal numbers; with BF16 operands such as they can hold, so that both sides start from the same. */
    default float[] normal(Random random, int count, double deviation) {
        float[] out = Side.normal(random, count, deviation);
        for (int i = 0; i < count && operands() == DType.BF16; i++) {
            out[i] = BFloat16.round(out[i]);
        }
        return out;
    }

    /** Runs a closure on both sides; it returns one result or several parts after each other. */
    default void compare(String what, Tolerances.Tolerance tolerance, float[] magnitudes, Function<Side, float[]> run) {
        close(what, tolerance, magnitudes, run.apply(reference()), run.apply(device()));
    }

    /** Bits equal on both sides. */
    default void same(String what, Function<Side, float[]> run) {
        sameBits(what, run.apply(reference()), run.apply(device()));
    }

    /** @param magnitudes of each element, or null for the expected value's own */
    static void close(String what, Tolerances.Tolerance tolerance, float[] magnitudes, float[] expected, float[] found) {
        assertEquals(expected.length, found.length, what);
        for (int i = 0; i < expected.length; i++) {
            double allowed = tolerance.at(magnitudes == null ? Math.abs(expected[i]) : magnitudes[i], expected[i]);
            boolean equal = expected[i] == found[i] || Float.isNaN(expected[i]) && Float.isNaN(found[i]);
            double difference = Math.abs((double) expected[i] - found[i]);
            assertTrue(equal || difference <= allowed,
                    () -> what + ": " + difference + " apart, more than " + allowed);
        }
    }

    static void sameBits(String what, float[] expected, float[] found) {
        assertEquals(expected.length, found.length, what);
        for (int i = 0; i < expected.length; i++) {
            if (Float.floatToRawIntBits(expected[i]) != Float.floatToRawIntBits(found[i])) {
                throw new AssertionError(what + "[" + i + "]: expected the bits of " + expected[i] + ", found " + found[i]);
            }
        }
    }

    static float[] filled(int count, float value) {
        float[] out = new float[count];
        java.util.Arrays.fill(out, value);
        return out;
    }

    static float[] joined(float[]... parts) {
        int length = 0;
        for (float[] part : parts) {
            length += part.length;
        }
        float[] out = new float[length];
        int at = 0;
        for (float[] part : parts) {
            System.arraycopy(part, 0, out, at, part.length);
            at += part.length;
        }
        return out;
    }

    static int pick(Random random, int... of) {
        return of[random.nextInt(of.length)];
    }

    /** A plan of one sequence of so many rows, all of them outputs. */
    static StepPlan rows(int count) {
        StepPlan plan = new StepPlan(count, 1);
        plan.add(0, 0, new int[count], 0, count, StepPlan.Outputs.ALL);
        return plan;
    }

    /** Random sequences in scrambled slots: some start at 0, some go on, some lie deep behind the window, some pack documents. */
    static StepPlan sequences(Random random, int slots, int window, int vocabulary) {
        Integer[] order = new Integer[slots];
        java.util.Arrays.setAll(order, i -> i);
        java.util.Collections.shuffle(java.util.Arrays.asList(order), random);
        int count = 1 + random.nextInt(slots);
        StepPlan plan = new StepPlan(count * (3 * window + 2), count);
        for (int q = 0; q < count; q++) {
            int length = pick(random, 1, 1, 2, 3, window - 1, window, window + 1, 2 * window + 3);
            int position = pick(random, 0, 0, 1, 2, 3, random.nextInt(3 * window), window, 1000 * window + random.nextInt(window));
            int[] ids = random.ints(length, 0, vocabulary).toArray();
            int[] positions = new int[length];
            for (int i = 0; i < length; i++) {
                positions[i] = i > 0 && random.nextInt(6) == 0 ? 0 : i > 0 ? positions[i - 1] + 1 : position;
            }
            plan.addPacked(order[q], ids, positions, 0, length, StepPlan.Outputs.LAST);
        }
        return plan;
    }
}
