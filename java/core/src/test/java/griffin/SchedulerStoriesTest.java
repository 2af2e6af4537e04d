package griffin;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.sampling.SamplingParams;
import griffin.weights.ModelFiles;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The embedded model, with its tokenizer, stop strings and ends. */
class SchedulerStoriesTest {

    private static final List<String> PROMPTS = List.of("Once upon a time", "The dog", "Lily and Tom went to the park. They saw a big",
            "One day", "Mom said", "There was a red ball", "\u00e9\u00e0 \u2603", "A");

    private static GenerationOptions options(int i) {
        SamplingParams params = i % 2 == 0 ? SamplingParams.GREEDY : new SamplingParams(0.8f, 40, 0.95f, 0, 1.1f, i, -1);
        GenerationOptions options =
                GenerationOptions.DEFAULT.withSampling(params.withLogProbabilities(i % 3 - 1)).withMaxTokens(20 + 15 * i);
        return i % 4 == 1 ? options.withStop("and", ".") : options;
    }

    @Test
    void storiesSideBySideAreThoseOfSessions() throws InterruptedException {
        try (Griffin griffin = Griffin.builder(ModelFiles.of(TestModels.STORIES)).device("cpu").chunk(16).parallel(5).sessions(6).open();
                Scheduler scheduler = Scheduler.builder(griffin).prefixes(new MapStore()).leastCached(4).start()) {
            List<Completion> all = new ArrayList<>();
            for (int i = 0; i < 2 * PROMPTS.size(); i++) {
                all.add(scheduler.submit(new Job(prompt(griffin, i), options(i), null, true)));
            }
            compare(griffin, all);
        }
    }

    /** The same over the real cache, whose second round finds every prompt whole, also when its states are packed. */
    @Test
    void cachedStoriesAreTheSame() throws InterruptedException {
        try (Griffin griffin = Griffin.builder(ModelFiles.of(TestModels.STORIES)).device("cpu").chunk(16).parallel(4).sessions(5).open();
                PrefixCache cache =
                        PrefixCache.builder().identity(griffin.modelIdentity()).compression(StateCompression.LOSSLESS).build();
                Scheduler scheduler = Scheduler.builder(griffin).prefixCache(cache).leastCached(2).start()) {
            for (int round = 0; round < 2; round++) {
                List<Completion> all = new ArrayList<>();
                for (int i = 0; i < PROMPTS.size(); i++) {
                    all.add(scheduler.submit(new Job(prompt(griffin, i), options(i), null, true)));
                }
                compare(griffin, all);
                for (int i = 0; i < all.size(); i++) {
                    assertEquals(round == 0 ? 0 : prompt(griffin, i).length, all.get(i).cachedTokens());
                }
                cache.flush();
            }
        }
    }

    private static void compare(Griffin griffin, List<Completion> all) throws InterruptedException {
        boolean stopped = false;
        for (int i = 0; i < all.size(); i++) {
            try (Session session = griffin.newSession()) {
                Generation expected = session.generate(prompt(griffin, i), options(i), new GenerationListener() {});
                Generation found = all.get(i).result();
                assertEquals(expected.text(), found.text());
                assertEquals(expected.ids(), found.ids());
                assertEquals(expected.finishReason(), found.finishReason());
                assertEquals(expected.logProbabilities(), found.logProbabilities());
                assertArrayEquals(session.snapshot(), all.get(i).state().orElseThrow());
                stopped |= found.finishReason() == FinishReason.STOP;
            }
        }
        assertTrue(stopped);
    }

    private static int[] prompt(Griffin griffin, int i) {
        int[] ids = griffin.tokenizer().encode(PROMPTS.get(i % PROMPTS.size()));
        int[] all = new int[ids.length + 1];
        all[0] = griffin.bosId().orElseThrow();
        System.arraycopy(ids, 0, all, 1, ids.length);
        return all;
    }
}
