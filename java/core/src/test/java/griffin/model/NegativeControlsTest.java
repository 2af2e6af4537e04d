package griffin.model;

import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.StepPlan;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Would the golden files notice? Each planted mistake moves the logits of at least one case by more than ten tolerances; without one,
 * the same harness stays within the tolerance. The three small cases suffice. Prints a table: mistake, largest change per case.
 */
class NegativeControlsTest {

    private static final float SEEN = 10 * Golden.LOGITS;
    private static final String NONE = "no mistake";

    /** How a case is run. */
    private enum Run {
        ONE_SHOT, PACKED, STEP_BY_STEP
    }

    static Stream<String> mistakes() {
        return Stream.of("gate blocks transposed", "the two gates swapped", "no gate bias", "sign of recurrent_param",
                "g = 1 missing at position 0", "no input normaliser", "state rounded to bfloat16", "a rounded to bfloat16",
                "convolution taps reversed", "no convolution bias", "SiLU after the convolution", "no bias before the branches",
                "no bias after the branches", "gelu on the other branch", "window of W keys", "window of W + 2 keys",
                "an all-zero key visible until the window is full", "RoPE on the second half", "RoPE over the whole head",
                "RoPE interleaved pairs", "positions wrapped at W", "no score scale", "RMSNorm without 1 + w", "RMSNorm eps 1e-5",
                "exact (erf) GELU", "embedding scale not rounded to bfloat16", "no soft cap");
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("mistakes")
    void aMistakeIsSeen(String mistake) {
        assertSeen(mistake, Run.ONE_SHOT);
    }

    static List<String> mistakesBetweenDocuments() {
        return List.of("attention leaks across documents", "convolution leaks across documents", "state kept across documents");
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("mistakesBetweenDocuments")
    void aMistakeBetweenDocumentsIsSeen(String mistake) {
        assertSeen(mistake, Run.PACKED);
    }

    static List<String> mistakesBetweenSteps() {
        return List.of("keys stored before attention in a ring of W", "window of W keys", "state rounded to bfloat16");
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("mistakesBetweenSteps")
    void aMistakeBetweenStepsIsSeen(String mistake) {
        assertSeen(mistake, Run.STEP_BY_STEP);
    }

    /** The positive control. */
    @ParameterizedTest(name = "{0}")
    @MethodSource("runs")
    void withoutAMistakeAllIsWell(Run run) {
        for (String right : new String[] {NONE, "no mistake, but an RG-LRU of its own"}) {
            float largest = largestChange(right, run);
            assertTrue(largest > 0 && largest <= Golden.LOGITS, right + ": " + largest);
        }
    }

    static Run[] runs() {
        return Run.values();
    }

    private static void assertSeen(String mistake, Run run) {
        float largest = largestChange(mistake, run);
        assertTrue(largest > SEEN, mistake + " moves no logit of any case by more than " + SEEN + ", only by " + largest);
    }

    private static float largestChange(String mistake, Run run) {
        StringBuilder line = new StringBuilder("%-50s %-12s".formatted(mistake, run));
        float largest = 0;
        for (String name : List.of("tiny-a", "tiny-b", "tiny-c")) {
            Golden golden = new Golden(name);
            float change = change(mistake, golden, run);
            largest = Math.max(largest, change);
            line.append("  %s %.1e".formatted(name, change));
        }
        System.out.println(line);
        return largest;
    }

    private static float change(String mistake, Golden golden, Run run) {
        String prefix = run == Run.PACKED ? "packed." : "";
        int[] ids = golden.ints(prefix + "input_ids");
        float[] expected = golden.floats(prefix + "logits");
        try (ModelHarness m = new ModelHarness(golden.directory, new Mistakes(mistake), ids.length, 1, config(mistake))) {
            int size = run == Run.STEP_BY_STEP ? 1 : ids.length;
            float largest = 0;
            for (int from = 0; from < ids.length; from += size) {
                StepPlan plan = m.runner.plan().clear();
                if (run == Run.PACKED) {
                    plan.addPacked(0, ids, golden.ints("packed.positions"), from, from + size, StepPlan.Outputs.ALL);
                } else {
                    plan.add(0, from, ids, from, from + size, StepPlan.Outputs.ALL);
                }
                float[][] found = m.score();
                for (int i = 0; i < found.length * m.config.vocabulary(); i++) {
                    float difference = Math.abs(found[i / m.config.vocabulary()][i % m.config.vocabulary()]
                            - expected[from * m.config.vocabulary() + i]);
                    largest = Float.isNaN(difference) ? Float.POSITIVE_INFINITY : Math.max(largest, difference);
                }
            }
            return largest;
        }
    }

    /** Mistakes that a wrong configuration makes. */
    private static UnaryOperator<GriffinConfig> config(String mistake) {
        return c -> switch (mistake) {
            case "window of W keys" -> changed(c, c.window() - 1, c.rotaryWidth(), c.logitsSoftCap());
            case "window of W + 2 keys" -> changed(c, c.window() + 1, c.rotaryWidth(), c.logitsSoftCap());
            case "RoPE over the whole head" -> changed(c, c.window(), c.headWidth(), c.logitsSoftCap());
            case "no soft cap" -> changed(c, c.window(), c.rotaryWidth(), 0);
            default -> c;
        };
    }

    private static GriffinConfig changed(GriffinConfig c, int window, int rotary, float cap) {
        return new GriffinConfig(c.vocabulary(), c.width(), c.lruWidth(), c.mlpWidth(), c.heads(), c.headWidth(), window, c.layers(),
                c.convTaps(), c.blockKinds(), c.normEpsilon(), cap, c.ropeTheta(), rotary, c.scaledEmbedding(), c.tied(), c.bosId(),
                c.eosIds(), c.padId());
    }
}
