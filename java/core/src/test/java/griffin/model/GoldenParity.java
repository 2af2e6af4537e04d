package griffin.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.Backend;
import griffin.backend.Buffer;
import griffin.backend.StateBuffers;
import griffin.backend.StepPlan;
import java.util.Arrays;
import java.util.function.Supplier;

/** A backend in float32 against the numbers of one golden case: one-shot, in every chunking, and token by token. */
final class GoldenParity {

    private final Golden golden;
    private final Supplier<Backend> make;
    private final float factor;
    private final float logitsTolerance;

    /** @param factor of the golden files' tolerances */
    GoldenParity(String name, Supplier<Backend> make, float factor) {
        golden = new Golden(name);
        this.make = make;
        this.factor = factor;
        logitsTolerance = factor * Golden.LOGITS;
    }

    void oneShot() {
        int[] ids = golden.ints("input_ids");
        try (ModelHarness m = new ModelHarness(golden.directory, make.get(), ids.length, 1)) {
            m.runner.plan().clear().add(0, 0, ids, 0, ids.length, StepPlan.Outputs.ALL);
            float[][] logits = new float[ids.length][];
            int[] kept = golden.ints("hidden_positions");
            m.runner.observe((layer, residual, delta) -> checkHidden(m, kept, layer, residual, delta),
                    (first, count, out) -> m.copyRows(out, first, count, logits));
            close("logits", golden.floats("logits"), flat(logits), logitsTolerance);
            checkStates(m, "", ids.length);
        }
    }

    private void checkHidden(ModelHarness m, int[] kept, int layer, Buffer residual, Buffer delta) {
        float[] x = m.read(residual);
        float[] d = m.read(delta);
        int width = m.config.width();
        float[] found = new float[kept.length * width];
        for (int i = 0; i < found.length; i++) {
            int at = kept[i / width] * width + i % width;
            found[i] = x[at] + d[at];
        }
        close("hidden." + layer, golden.floats("hidden." + layer), found, factor * Golden.HIDDEN);
    }

    void chunked() {
        int[] ids = golden.ints("input_ids");
        float[] expected = golden.floats("logits");
        try (ModelHarness m = new ModelHarness(golden.directory, make.get(), ids.length, 1)) {
            int window = m.config.window();
            int[] sizes = ids.length > 100 ? new int[] {37, window, window + 1}
                    : new int[] {1, 2, 3, 5, window - 1, window, window + 1, 2 * window};
            for (int size : sizes) {
                float[][] logits = new float[ids.length][];
                for (int from = 0; from < ids.length; from += size) {
                    float[][] part = m.score(0, ids, from, Math.min(ids.length, from + size));
                    System.arraycopy(part, 0, logits, from, part.length);
                }
                close("logits in chunks of " + size, expected, flat(logits), logitsTolerance);
                checkStates(m, "", ids.length);
            }
        }
    }

    void stepByStepAfterAPrompt() {
        int[] ids = golden.ints("input_ids");
        float[] expected = golden.floats("decode.logits");
        try (ModelHarness m = new ModelHarness(golden.directory, make.get(), ids.length, 1)) {
            int first = ids.length - expected.length / m.config.vocabulary();
            m.score(0, ids, 0, first);
            float[][] logits = new float[ids.length - first][];
            for (int t = first; t < ids.length; t++) {
                logits[t - first] = m.score(0, ids, t, t + 1)[0];
            }
            close("decode.logits", expected, flat(logits), logitsTolerance);
        }
    }

    void shortPrompt() {
        int[] ids = golden.ints("input_ids");
        try (ModelHarness m = new ModelHarness(golden.directory, make.get(), 2, 1)) {
            close("short.logits", golden.floats("short.logits"), flat(m.score(0, ids, 0, 2)), logitsTolerance);
            checkStates(m, "short.", 2);
        }
    }

    void packedDocuments() {
        if (!golden.has("packed.input_ids")) {
            assertEquals("real-head", golden.toString(), "only this case has no packed documents");
            return;
        }
        int[] ids = golden.ints("packed.input_ids");
        int[] positions = golden.ints("packed.positions");
        try (ModelHarness m = new ModelHarness(golden.directory, make.get(), ids.length, 1)) {
            for (int size : new int[] {ids.length, 1, 4, 9, 17}) {
                float[][] logits = new float[ids.length][];
                for (int from = 0; from < ids.length; from += size) {
                    int to = Math.min(ids.length, from + size);
                    m.runner.plan().clear().addPacked(0, ids, positions, from, to, StepPlan.Outputs.ALL);
                    System.arraycopy(m.score(), 0, logits, from, to - from);
                }
                close("packed.logits in chunks of " + size, golden.floats("packed.logits"), flat(logits), logitsTolerance);
                checkRecurrentStates(m, "packed.");
            }
        }
    }

    void greedy() {
        int[] expected = golden.ints("greedy.tokens");
        float[] margins = golden.floats("greedy.margins");
        for (float margin : margins) {
            assertTrue(margin > 2 * Golden.LOGITS, "every margin is wide enough to demand equality");
        }
        try (ModelHarness m = new ModelHarness(golden.directory, make.get(), 64, 1)) {
            int[] prompt = Arrays.copyOf(golden.ints("input_ids"), golden.greedyPromptLength());
            assertArrayEquals(expected, m.greedy(0, prompt, expected.length));
        }
    }

    private void checkStates(ModelHarness m, String prefix, int tokens) {
        checkRecurrentStates(m, prefix);
        StateBuffers states = m.states;
        int attention = 0;
        for (int layer = 0; layer < m.config.layers(); layer++) {
            if (m.config.blockKind(layer) == BlockKind.ATTENTION) {
                String name = prefix + "state." + layer;
                int rows = Math.min(tokens, m.config.window());
                close(name + ".keys", golden.floats(name + ".keys"), m.read(states.keys().get(attention).rows(0, rows)),
                        factor * Golden.STATE);
                close(name + ".values", golden.floats(name + ".values"), m.read(states.values().get(attention).rows(0, rows)),
                        factor * Golden.STATE);
                attention++;
            }
        }
    }

    private void checkRecurrentStates(ModelHarness m, String prefix) {
        int recurrent = 0;
        for (int layer = 0; layer < m.config.layers(); layer++) {
            if (m.config.blockKind(layer) == BlockKind.RECURRENT) {
                String name = prefix + "state." + layer;
                int history = m.config.convTaps() - 1;
                close(name + ".h", golden.floats(name + ".h"), m.read(m.states.h().get(recurrent).rows(0, 1)), factor * Golden.STATE);
                close(name + ".conv", golden.floats(name + ".conv"), m.read(m.states.conv().get(recurrent).rows(0, history)),
                        factor * Golden.STATE);
                recurrent++;
            }
        }
    }

    private static float[] flat(float[][] rows) {
        float[] out = new float[rows.length * rows[0].length];
        for (int i = 0; i < rows.length; i++) {
            System.arraycopy(rows[i], 0, out, i * rows[i].length, rows[i].length);
        }
        return out;
    }

    private static void close(String what, float[] expected, float[] found, float tolerance) {
        assertEquals(expected.length, found.length, what);
        for (int i = 0; i < expected.length; i++) {
            assertTrue(Math.abs(expected[i] - found[i]) <= tolerance,
                    what + "[" + i + "]: expected " + expected[i] + " within " + tolerance + ", found " + found[i]);
        }
    }
}
