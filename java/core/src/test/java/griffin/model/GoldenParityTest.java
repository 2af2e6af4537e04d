package griffin.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.Backend;
import griffin.backend.Buffer;
import griffin.backend.StateBuffers;
import griffin.backend.StepPlan;
import griffin.backend.cpu.CpuBackend;
import griffin.backend.reference.ReferenceBackend;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Every backend reproduces the numbers of the authors' own code: one-shot, in every chunking, and token by token. */
class GoldenParityTest {

    private record Named(String name, Supplier<Backend> make) {
        @Override
        public String toString() {
            return name;
        }
    }

    static Stream<Arguments> cases() {
        Named cpu = new Named("cpu", CpuBackend::new);
        boolean widthIsForced = Integer.getInteger("griffin.cpu.vectorBits") != null; // the reference knows nothing of it
        List<Named> backends = widthIsForced ? List.of(cpu) : List.of(new Named("reference", ReferenceBackend::new), cpu);
        return Golden.CASES.stream().flatMap(name -> backends.stream().map(backend -> Arguments.of(name, backend)));
    }

    @ParameterizedTest(name = "{0} on {1}")
    @MethodSource("cases")
    void oneShot(String name, Named backend) {
        Golden golden = new Golden(name);
        int[] ids = golden.ints("input_ids");
        try (ModelHarness m = new ModelHarness(golden.directory, backend.make().get(), ids.length, 1)) {
            m.runner.plan().clear().add(0, 0, ids, 0, ids.length, StepPlan.Outputs.ALL);
            float[][] logits = new float[ids.length][];
            int[] kept = golden.ints("hidden_positions");
            m.runner.observe((layer, residual, delta) -> checkHidden(m, golden, kept, layer, residual, delta),
                    (first, count, out) -> m.copyRows(out, first, count, logits));
            close("logits", golden.floats("logits"), flat(logits), Golden.LOGITS);
            checkStates(m, golden, "", ids.length);
        }
    }

    private static void checkHidden(ModelHarness m, Golden golden, int[] kept, int layer, Buffer residual, Buffer delta) {
        float[] x = m.read(residual);
        float[] d = m.read(delta);
        int width = m.config.width();
        float[] found = new float[kept.length * width];
        for (int i = 0; i < found.length; i++) {
            int at = kept[i / width] * width + i % width;
            found[i] = x[at] + d[at];
        }
        close("hidden." + layer, golden.floats("hidden." + layer), found, Golden.HIDDEN);
    }

    @ParameterizedTest(name = "{0} on {1}")
    @MethodSource("cases")
    void chunked(String name, Named backend) {
        Golden golden = new Golden(name);
        int[] ids = golden.ints("input_ids");
        float[] expected = golden.floats("logits");
        try (ModelHarness m = new ModelHarness(golden.directory, backend.make().get(), ids.length, 1)) {
            int window = m.config.window();
            int[] sizes = ids.length > 100 ? new int[] {37, window, window + 1}
                    : new int[] {1, 2, 3, 5, window - 1, window, window + 1, 2 * window};
            for (int size : sizes) {
                float[][] logits = new float[ids.length][];
                for (int from = 0; from < ids.length; from += size) {
                    float[][] part = m.score(0, ids, from, Math.min(ids.length, from + size));
                    System.arraycopy(part, 0, logits, from, part.length);
                }
                close("logits in chunks of " + size, expected, flat(logits), Golden.LOGITS);
                checkStates(m, golden, "", ids.length);
            }
        }
    }

    @ParameterizedTest(name = "{0} on {1}")
    @MethodSource("cases")
    void stepByStepAfterAPrompt(String name, Named backend) {
        Golden golden = new Golden(name);
        int[] ids = golden.ints("input_ids");
        float[] expected = golden.floats("decode.logits");
        try (ModelHarness m = new ModelHarness(golden.directory, backend.make().get(), ids.length, 1)) {
            int first = ids.length - expected.length / m.config.vocabulary();
            m.score(0, ids, 0, first);
            float[][] logits = new float[ids.length - first][];
            for (int t = first; t < ids.length; t++) {
                logits[t - first] = m.score(0, ids, t, t + 1)[0];
            }
            close("decode.logits", expected, flat(logits), Golden.LOGITS);
        }
    }

    @ParameterizedTest(name = "{0} on {1}")
    @MethodSource("cases")
    void shortPrompt(String name, Named backend) {
        Golden golden = new Golden(name);
        int[] ids = golden.ints("input_ids");
        try (ModelHarness m = new ModelHarness(golden.directory, backend.make().get(), 2, 1)) {
            close("short.logits", golden.floats("short.logits"), flat(m.score(0, ids, 0, 2)), Golden.LOGITS);
            checkStates(m, golden, "short.", 2);
        }
    }

    @ParameterizedTest(name = "{0} on {1}")
    @MethodSource("cases")
    void packedDocuments(String name, Named backend) {
        Golden golden = new Golden(name);
        if (!golden.has("packed.input_ids")) {
            assertEquals("real-head", name, "only this case has no packed documents");
            return;
        }
        int[] ids = golden.ints("packed.input_ids");
        int[] positions = golden.ints("packed.positions");
        try (ModelHarness m = new ModelHarness(golden.directory, backend.make().get(), ids.length, 1)) {
            for (int size : new int[] {ids.length, 1, 4, 9, 17}) {
                float[][] logits = new float[ids.length][];
                for (int from = 0; from < ids.length; from += size) {
                    int to = Math.min(ids.length, from + size);
                    m.runner.plan().clear().addPacked(0, ids, positions, from, to, StepPlan.Outputs.ALL);
                    System.arraycopy(m.score(), 0, logits, from, to - from);
                }
                close("packed.logits in chunks of " + size, golden.floats("packed.logits"), flat(logits), Golden.LOGITS);
                checkRecurrentStates(m, golden, "packed.");
            }
        }
    }

    @ParameterizedTest(name = "{0} on {1}")
    @MethodSource("cases")
    void greedy(String name, Named backend) {
        Golden golden = new Golden(name);
        int[] expected = golden.ints("greedy.tokens");
        float[] margins = golden.floats("greedy.margins");
        for (float margin : margins) {
            assertTrue(margin > 2 * Golden.LOGITS, "every margin is wide enough to demand equality");
        }
        try (ModelHarness m = new ModelHarness(golden.directory, backend.make().get(), 64, 1)) {
            int[] prompt = Arrays.copyOf(golden.ints("input_ids"), golden.greedyPromptLength());
            assertArrayEquals(expected, m.greedy(0, prompt, expected.length));
        }
    }

    private static void checkStates(ModelHarness m, Golden golden, String prefix, int tokens) {
        checkRecurrentStates(m, golden, prefix);
        StateBuffers states = m.states;
        int attention = 0;
        for (int layer = 0; layer < m.config.layers(); layer++) {
            if (m.config.blockKind(layer) == BlockKind.ATTENTION) {
                String name = prefix + "state." + layer;
                int rows = Math.min(tokens, m.config.window());
                close(name + ".keys", golden.floats(name + ".keys"), m.read(states.keys().get(attention).rows(0, rows)), Golden.STATE);
                close(name + ".values", golden.floats(name + ".values"), m.read(states.values().get(attention).rows(0, rows)),
                        Golden.STATE);
                attention++;
            }
        }
    }

    private static void checkRecurrentStates(ModelHarness m, Golden golden, String prefix) {
        int recurrent = 0;
        for (int layer = 0; layer < m.config.layers(); layer++) {
            if (m.config.blockKind(layer) == BlockKind.RECURRENT) {
                String name = prefix + "state." + layer;
                int history = m.config.convTaps() - 1;
                close(name + ".h", golden.floats(name + ".h"), m.read(m.states.h().get(recurrent).rows(0, 1)), Golden.STATE);
                close(name + ".conv", golden.floats(name + ".conv"), m.read(m.states.conv().get(recurrent).rows(0, history)), Golden.STATE);
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
