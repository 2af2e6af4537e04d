package griffin;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.Generation.TokenLogProbability;
import griffin.sampling.SamplingParams;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * Jobs that come and are cancelled at random steps, and what each must have come to: what a session alone gives, token for token, and the same
 * state bit for bit.
 */
final class RandomSchedule {

    private static final GenerationListener SILENT = new GenerationListener() {};

    private final Griffin griffin;
    private final Random random;
    private final Map<String, Integer> seen;
    private final Job[] jobs;
    /** At which step each comes, and is cancelled. */
    private final int[] comes;
    private final int[] cancelled;
    private final Completion[] completions;
    private volatile Scheduler scheduler;
    private int steps;
    private boolean mixed;
    private boolean several;

    /** @param seen counts what happened, over all schedules */
    RandomSchedule(Griffin griffin, Random random, Map<String, Integer> seen) {
        this.griffin = griffin;
        this.random = random;
        this.seen = seen;
        jobs = new Job[1 + random.nextInt(9)];
        comes = new int[jobs.length];
        cancelled = new int[jobs.length];
        completions = new Completion[jobs.length];
        for (int i = 0; i < jobs.length; i++) {
            jobs[i] = job(i);
            comes[i] = random.nextInt(3) == 0 ? 0 : random.nextInt(40);
            cancelled[i] = random.nextInt(3) == 0 ? comes[i] + random.nextInt(25) : Integer.MAX_VALUE;
        }
    }

    private Job job(int i) {
        SamplingParams params = random.nextBoolean() ? SamplingParams.GREEDY.withRepetitionPenalty(random.nextBoolean() ? 1 : 1.3f)
                : new SamplingParams(0.5f + random.nextFloat(), random.nextInt(60), 0.7f + 0.3f * random.nextFloat(), 0.01f, 1.1f,
                        random.nextLong(), -1);
        List<String> stops = Stream.generate(() -> Character.toString(random.nextInt(0x20, 0x7f))).limit(random.nextInt(3) * 8).toList();
        GenerationOptions options = new GenerationOptions(params.withLogProbabilities(random.nextInt(3) - 1), random.nextInt(24), stops,
                random.nextBoolean());
        int[] ids = i > 0 && random.nextInt(3) == 0 ? like(jobs[random.nextInt(i)].promptIds())
                : random.ints(1 + random.nextInt(random.nextBoolean() ? 8 : 70), 0, ByteModel.VOCABULARY).toArray();
        return random.nextInt(4) > 0 ? new Job(ids, options, null, true)
                : new Job(random.nextBoolean() ? ids : new int[0], options, earlier(), true);
    }

    /** The same prompt, or one with the same beginning. */
    private int[] like(int[] other) {
        if (other.length == 0 || random.nextBoolean()) {
            return other.length == 0 ? new int[] {2} : other;
        }
        int[] ids = Arrays.copyOf(other, 1 + random.nextInt(other.length + 9));
        ids[ids.length - 1] = random.nextInt(ByteModel.VOCABULARY);
        return ids;
    }

    /** A state that was left by a generation that ended in some way. */
    private byte[] earlier() {
        try (Session session = griffin.newSession()) {
            session.generate(random.ints(1 + random.nextInt(20), 0, ByteModel.VOCABULARY).toArray(),
                    GenerationOptions.DEFAULT.withSampling(SamplingParams.GREEDY).withMaxTokens(random.nextInt(12)), SILENT);
            return session.snapshot();
        }
    }

    /** Runs all of it. */
    void run() throws InterruptedException {
        int parallel = 1 + random.nextInt(ByteModel.PARALLEL);
        boolean cached = random.nextBoolean();
        int batch = parallel + random.nextInt(ByteModel.CHUNK - parallel + 1);
        try (Scheduler scheduler = Scheduler.builder(griffin).parallel(parallel).batch(batch)
                .prefixes(cached ? new MapStore(new Random(random.nextLong()), random.nextInt(3) == 0 ? 0.05 : 0) : null)
                .leastCached(1 + random.nextInt(9)).cacheInterval(1 + random.nextInt(20)).listener(this::step).start()) {
            send(scheduler, 0);
            this.scheduler = scheduler;
            beside();
            for (int i = 0; i < jobs.length; i++) {
                submit(scheduler, i);
                if (random.nextBoolean()) {
                    readAll(i);
                } else {
                    completions[i].result();
                }
            }
            for (int i = 0; i < jobs.length; i++) {
                compare(i);
            }
            assertTrue(scheduler.drain(Duration.ofSeconds(60)), "nothing runs any more");
            SchedulerStatistics s = scheduler.statistics();
            assertEquals(0, s.running() + s.waiting());
            assertEquals(jobs.length, s.finished() + s.cancelled());
            count("cache hit", s.cacheHits() > 0);
            count("prompts read beside generations", mixed);
            count("generations side by side", several);
        }
    }

    /** On the scheduler's thread, before a step. */
    private void step(List<Request> requests, int[] rows, int decoding) {
        steps++;
        mixed |= decoding > 0 && decoding < rows.length;
        several |= decoding > 1;
        Scheduler to = scheduler;
        if (to != null) {
            send(to, steps);
        }
        for (int i = 0; i < jobs.length; i++) {
            Completion one = completion(i);
            if (one != null && cancelled[i] <= steps) {
                one.cancel();
            }
        }
    }

    private void send(Scheduler to, int now) {
        for (int i = 0; i < jobs.length; i++) {
            if (comes[i] <= now) {
                submit(to, i);
            }
        }
    }

    private synchronized Completion completion(int i) {
        return completions[i];
    }

    private synchronized void submit(Scheduler to, int i) {
        if (completions[i] == null) {
            completions[i] = to.submit(jobs[i]);
        }
    }

    /** A session in between disturbs nobody. */
    private void beside() {
        if (random.nextInt(3) == 0) {
            try (Session session = griffin.newSession()) {
                session.generate(new int[] {2, 9, 31}, GenerationOptions.DEFAULT.withMaxTokens(5), SILENT);
            }
        }
    }

    /** Takes the pieces, which must be the result's parts. */
    private void readAll(int i) throws InterruptedException {
        StringBuilder text = new StringBuilder();
        List<Integer> ids = new ArrayList<>();
        List<TokenLogProbability> logProbabilities = new ArrayList<>();
        for (Optional<Completion.Piece> piece; (piece = completions[i].next()).isPresent();) {
            text.append(piece.get().text());
            ids.addAll(piece.get().ids());
            logProbabilities.addAll(piece.get().logProbabilities());
        }
        assertTrue(completions[i].done());
        Generation result = completions[i].result();
        assertEquals(result.text(), text.toString());
        assertEquals(result.ids(), ids);
        assertEquals(result.logProbabilities(), logProbabilities);
    }

    private void compare(int i) throws InterruptedException {
        Job job = jobs[i];
        Generation found = completions[i].result();
        String what = "job " + i + ", " + found.finishReason() + " after " + found.promptIds().size() + " of " + job.promptIds().length
                + " and " + found.ids().size() + " tokens, " + completions[i].cachedTokens() + " cached";
        count(found.finishReason().word(), true);
        boolean whole = found.finishReason() != FinishReason.CANCELLED;
        if (!whole && found.promptIds().isEmpty() && found.ids().isEmpty()) {
            unread(job, completions[i].state(), what);
            return;
        }
        try (Session session = job.resume() == null ? griffin.newSession() : griffin.restore(job.resume())) {
            int[] read = Arrays.copyOf(job.promptIds(), found.promptIds().size());
            int most = whole ? job.options().maxTokens() : found.ids().size();
            Generation expected = session.generate(read, job.options().withMaxTokens(most), SILENT);
            assertEquals(expected.promptIds(), found.promptIds(), what);
            assertEquals(expected.ids(), found.ids(), what);
            assertEquals(expected.text(), found.text(), what);
            assertEquals(expected.logProbabilities(), found.logProbabilities(), what);
            if (whole) {
                assertEquals(expected.finishReason(), found.finishReason(), what);
                assertEquals(job.promptIds().length, read.length, what);
            } else {
                count(read.length < job.promptIds().length ? "cancelled while reading" : "cancelled while generating", true);
            }
            count("resumed", job.resume() != null);
            assertArrayEquals(session.snapshot(), completions[i].state().orElseThrow(), what);
        }
    }

    /** Cancelled before anything was read: the state is what it began with, if it had one. */
    private void unread(Job job, Optional<byte[]> state, String what) {
        count("cancelled before reading", true);
        if (state.isPresent()) {
            try (Session session = job.resume() == null ? griffin.newSession() : griffin.restore(job.resume());
                    Session found = griffin.restore(state.get())) {
                assertArrayEquals(session.snapshot(), found.snapshot(), what);
            }
        }
    }

    private void count(String event, boolean happened) {
        seen.merge(event, happened ? 1 : 0, Integer::sum);
    }

    static Map<String, Integer> counters() {
        return new TreeMap<>();
    }
}
