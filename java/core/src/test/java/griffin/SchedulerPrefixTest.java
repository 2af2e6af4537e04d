package griffin;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import griffin.sampling.SamplingParams;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** What the scheduler keeps for a later prompt: in the prefix cache, and in slots that nobody needs. */
class SchedulerPrefixTest extends SchedulerTestCase {

    /** One prompt, several continuations: it is read once, also if all come at the same time. */
    @Test
    void equalPromptsAreReadOnce() throws InterruptedException {
        int[] prompt = new int[50];
        Arrays.setAll(prompt, i -> 3 * i % 200);
        MapStore store = new MapStore();
        try (Scheduler scheduler = scheduler().prefixes(store).leastCached(4).cacheInterval(20).start()) {
            List<Completion> all = new ArrayList<>();
            for (int i = 0; i < 5; i++) {
                SamplingParams params = new SamplingParams(1, 0, 1, 0, 1, i, 2);
                all.add(scheduler.submit(new Job(prompt, GREEDY.withSampling(params).withMaxTokens(3), null, true)));
            }
            for (int i = 0; i < 5; i++) {
                Generation found = all.get(i).result();
                assertEquals(i == 0 ? 0 : 50, all.get(i).cachedTokens());
                try (Session session = griffin.newSession()) {
                    SamplingParams params = new SamplingParams(1, 0, 1, 0, 1, i, 2);
                    Generation expected = session.generate(prompt, GREEDY.withSampling(params).withMaxTokens(3), SILENT);
                    assertEquals(expected.ids(), found.ids());
                    assertEquals(expected.logProbabilities(), found.logProbabilities(), "the logits were kept");
                    assertArrayEquals(session.snapshot(), all.get(i).state().orElseThrow());
                }
            }
            SchedulerStatistics statistics = scheduler.statistics();
            assertEquals(50, statistics.promptTokens());
            assertEquals(4, statistics.cacheHits());
            assertEquals(200, statistics.cacheTokens());
            assertEquals(List.of(20, 40, 50), store.lengths(), "boundaries and the prompt's end");
        }
    }

    /** What was generated is found when a longer prompt begins with it. */
    @Test
    void aConversationGoesOnFromItsReply() throws InterruptedException {
        try (Scheduler scheduler = scheduler().prefixes(new MapStore()).leastCached(2).start()) {
            Generation first = scheduler.submit(Job.of(IDS, GREEDY.withMaxTokens(30))).result();
            List<Integer> next = new ArrayList<>(first.promptIds());
            next.addAll(first.ids());
            next.add(17);
            Completion second = scheduler.submit(Job.of(next.stream().mapToInt(i -> i).toArray(), GREEDY.withMaxTokens(4)));
            second.result();
            assertEquals(3 + 29, second.cachedTokens(), "all but the last token, which was not read yet");
        }
    }

    /** A store that remembers nothing, so that what is found was still in its slot. */
    private static final class NoStore implements PrefixStore {

        @Override
        public Optional<Found> find(int[] ids) {
            return Optional.empty();
        }

        @Override
        public boolean contains(int[] ids, int length) {
            return false;
        }

        @Override
        public void put(int[] ids, int length, byte[] snapshot, float[] logits) {}
    }

    /** A conversation whose slot nobody needed goes on in it; one whose slot another took is read again, and the tokens are the same. */
    @Test
    void theNextTurnGoesOnInItsSlot() throws InterruptedException {
        try (Scheduler scheduler = scheduler().parallel(2).prefixes(new NoStore()).leastCached(2).start()) {
            int[] one = turn(scheduler, new int[] {3, 5, 7}, 0);
            int[] two = turn(scheduler, new int[] {4, 6, 8}, 0);
            one = turn(scheduler, one, one.length - 2);
            turn(scheduler, new int[] {9, 6, 8}, 0); // takes the slot that was kept longest: two's
            turn(scheduler, two, 0);
            turn(scheduler, one, 0); // that of one went to the turn before
            assertEquals(1, scheduler.statistics().cacheHits());
            assertEquals(2, scheduler.statistics().slotsFree(), "kept, and free for whoever comes");
        }
        griffin.newSession().close(); // the slots were given back
    }

    /** Reads a prompt and generates; returns the next turn's prompt. */
    private static int[] turn(Scheduler scheduler, int[] prompt, int cached) throws InterruptedException {
        Completion completion = scheduler.submit(Job.of(prompt, GREEDY.withMaxTokens(10)));
        Generation found = completion.result();
        assertEquals(cached, completion.cachedTokens());
        try (Session session = griffin.newSession()) {
            assertEquals(session.generate(prompt, GREEDY.withMaxTokens(10), SILENT).ids(), found.ids());
        }
        return IntStream.concat(IntStream.of(prompt), IntStream.concat(found.ids().stream().mapToInt(i -> i), IntStream.of(17))).toArray();
    }
}
