package griffin.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import griffin.backend.Backend;
import griffin.backend.StepPlan;
import griffin.backend.cpu.CpuBackend;
import griffin.backend.reference.ReferenceBackend;
import griffin.json.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The embedded model reproduces every prompt of its own golden.json by ids: the logits after the prompt and 64 greedy tokens. */
class StoriesParityTest {

    private static final Path MODEL = Path.of("../stories/src/main/resources/griffin/stories");
    private static final Path GOLDEN = Path.of("../stories/src/test/resources/griffin/stories/golden.json");
    private static final float LOGITS = 1e-3f;
    /** Longer prompts take the reference's plain loops too long. */
    private static final int REFERENCE_PROMPT = 30;

    record Prompt(String kind, int[] ids, int[] greedy, float[] logits) {
        @Override
        public String toString() {
            return kind + " of " + ids.length + " tokens";
        }
    }

    static List<Prompt> prompts() throws IOException {
        List<?> all = (List<?>) ((Map<?, ?>) Json.tree(Files.readAllBytes(GOLDEN), "golden.json")).get("prompts");
        assertEquals(5, all.size(), "prompts in " + GOLDEN);
        return all.stream().map(entry -> prompt((Map<?, ?>) entry)).toList();
    }

    private static Prompt prompt(Map<?, ?> entry) {
        double[] logits = numbers(entry, "last_prompt_logits").toArray();
        float[] floats = new float[logits.length];
        for (int i = 0; i < floats.length; i++) {
            floats[i] = (float) logits[i];
        }
        return new Prompt((String) entry.get("kind"), numbers(entry, "prompt_ids").mapToInt(v -> (int) v).toArray(),
                numbers(entry, "greedy_ids").mapToInt(v -> (int) v).toArray(), floats);
    }

    private static java.util.stream.DoubleStream numbers(Map<?, ?> entry, String key) {
        return ((List<?>) entry.get(key)).stream().mapToDouble(value -> ((Number) value).doubleValue());
    }

    static Stream<Prompt> shortPrompts() throws IOException {
        return prompts().stream().filter(prompt -> prompt.ids.length <= REFERENCE_PROMPT);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("prompts")
    void onTheCpu(Prompt prompt) {
        check(prompt, new CpuBackend());
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("shortPrompts")
    void onTheReference(Prompt prompt) {
        check(prompt, new ReferenceBackend());
    }

    private static void check(Prompt prompt, Backend backend) {
        assertEquals(64, prompt.greedy.length);
        try (ModelHarness m = new ModelHarness(MODEL, backend, prompt.ids.length, 1)) {
            assertEquals(m.config.vocabulary(), prompt.logits.length);
            m.runner.plan().clear().add(0, 0, prompt.ids, 0, prompt.ids.length, StepPlan.Outputs.LAST);
            assertArrayEquals(prompt.logits, m.score()[0], LOGITS, "logits after the prompt");
            assertArrayEquals(prompt.greedy, m.greedy(0, prompt.ids, prompt.greedy.length), "greedy continuation");
        }
    }
}
