package griffin.server;

import static griffin.server.Served.MODEL;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.Generation;
import griffin.GenerationOptions;
import griffin.Session;
import griffin.sampling.SamplingParams;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/**
 * Many clients at once on this machine, for a bounded time: 64 that stream, of which some leave in the middle, some read slowly and some
 * send nonsense. 15 seconds in a build; {@code -Dgriffin.load.seconds=300} for the whole test.
 */
class LoadTest {

    private static final int CLIENTS = 64;
    private static final int SLOTS = 8;
    private static final int MOST = 96;
    private static final long SECONDS = Long.getLong("griffin.load.seconds", 15);
    private static final List<String> BEGINNINGS = List.of("Once upon a time", "Tom had a red ball.", "The little dog", "One day, a girl",
            "In a big house", "A bird sat in a tree.", "It was raining", "The old man said", "There was a fish", "Lily and Ben",
            "The sun was hot.", "At night, the moon");

    private final AtomicLong tokens = new AtomicLong();
    private final AtomicInteger whole = new AtomicInteger();
    private final AtomicInteger left = new AtomicInteger();
    private final AtomicInteger slow = new AtomicInteger();
    private final AtomicInteger refused = new AtomicInteger();
    private final Queue<String> wrong = new ConcurrentLinkedQueue<>();
    private final Queue<Long> firstPieces = new ConcurrentLinkedQueue<>();
    private Served served;
    /** The library's ids for each beginning. */
    private final List<Generation> expected = new ArrayList<>();

    /** One request as a client means to make it. */
    private record Plan(int beginning, int most, boolean ollama, int leaveAfter, int pauseMillis) {

        static Plan of(Random random) {
            boolean leaves = random.nextInt(5) == 0;
            boolean dawdles = random.nextInt(6) == 0;
            return new Plan(random.nextInt(BEGINNINGS.size()), 1 + random.nextInt(MOST), random.nextBoolean(),
                    leaves ? random.nextInt(20) : Integer.MAX_VALUE, dawdles ? 5 + random.nextInt(40) : 0);
        }

        String path() {
            return ollama ? "/api/generate" : "/v1/completions";
        }

        String body() {
            String text = BEGINNINGS.get(beginning);
            return ollama
                    ? "{\"model\":\"" + MODEL + "\",\"prompt\":\"" + text
                            + "\",\"raw\":true,\"options\":{\"temperature\":0,\"num_predict\":"
                            + most + "}}"
                    : "{\"model\":\"" + MODEL + "\",\"prompt\":\"" + text + "\",\"stream\":true,\"temperature\":0,\"max_tokens\":" + most
                            + "}";
        }
    }

    @Test
    void nothingIsLostOrLeft() throws Exception {
        served = Served.caching(SLOTS, 128);
        try {
            for (String beginning : BEGINNINGS) {
                try (Session session = served.griffin.newSession()) {
                    expected.add(session.generate(beginning,
                            GenerationOptions.DEFAULT.withSampling(SamplingParams.GREEDY).withMaxTokens(MOST), piece -> {}));
                }
            }
            run(Math.min(3, SECONDS)); // whatever is made once is made now
            long heapBefore = heap();
            int threadsBefore = threads();
            reset();
            long start = System.nanoTime();
            run(SECONDS);
            double seconds = (System.nanoTime() - start) / 1e9;
            idle();
            long heapAfter = heap();
            int threadsAfter = threads();
            report(seconds, heapBefore, heapAfter, threadsBefore, threadsAfter);
            assertEquals(List.of(), List.copyOf(wrong).subList(0, Math.min(5, wrong.size())), wrong.size() + " wrong answers");
            assertEquals(List.of(), served.notices);
            assertEquals(SLOTS, served.measure("griffin_slots_free"));
            assertEquals(1, served.measure("griffin_http_requests"), "the request for the measures alone");
            assertTrue(whole.get() > CLIENTS && left.get() > 0 && slow.get() > 0 && refused.get() > 0, "all kinds of clients came");
            assertTrue(threadsAfter <= threadsBefore + 4, "threads are left: " + threadsBefore + ", then " + threadsAfter);
            assertTrue(heapAfter - heapBefore < 24 << 20, "memory is left: " + heapBefore + ", then " + heapAfter);
        } finally {
            served.close();
        }
    }

    private void reset() {
        tokens.set(0);
        List.of(whole, left, slow, refused).forEach(count -> count.set(0));
        firstPieces.clear();
    }

    private void run(long seconds) throws InterruptedException {
        long end = System.nanoTime() + Duration.ofSeconds(seconds).toNanos();
        List<Thread> clients = new ArrayList<>();
        for (int i = 0; i < CLIENTS; i++) {
            Random random = new Random(1000 + i);
            clients.add(Thread.ofVirtual().name("client-" + i).start(() -> {
                while (System.nanoTime() < end) {
                    try {
                        if (random.nextInt(20) == 0) {
                            nonsense(random);
                        } else {
                            ask(Plan.of(random), end);
                        }
                    } catch (IOException | InterruptedException | RuntimeException e) {
                        wrong.add(e.toString());
                    }
                }
            }));
        }
        for (Thread client : clients) {
            client.join();
        }
    }

    private void nonsense(Random random) throws IOException {
        int status = RawClient.ask(served.server.port(),
                RawClient.post("/api/generate",
                        ("{\"model\":\"" + "{".repeat(random.nextInt(50))).getBytes(java.nio.charset.StandardCharsets.UTF_8)));
        if (status == 400) {
            refused.incrementAndGet();
        } else {
            wrong.add("nonsense was answered with " + status);
        }
    }

    private void ask(Plan plan, long end) throws IOException, InterruptedException {
        long start = System.nanoTime();
        StringBuilder text = new StringBuilder();
        try (StreamClient client = new StreamClient(served.server.port(), plan.path(), plan.body())) {
            if (client.status != 200) {
                wrong.add(plan + " was answered with " + client.status);
                return;
            }
            int pieces = 0;
            for (Map<?, ?> object; (object = client.next()) != null;) {
                String piece = StreamClient.text(object);
                if (object.containsKey("error")) {
                    wrong.add(plan + ": " + object);
                }
                if (!piece.isEmpty()) {
                    if (pieces++ == 0) {
                        firstPieces.add(System.nanoTime() - start);
                    }
                    text.append(piece);
                    tokens.incrementAndGet();
                }
                if (pieces > plan.leaveAfter) {
                    check(plan, text.toString(), false);
                    left.incrementAndGet();
                    return;
                }
                if (plan.pauseMillis > 0 && System.nanoTime() < end) {
                    Thread.sleep(plan.pauseMillis); // slowness itself
                }
            }
        }
        check(plan, text.toString(), true);
        (plan.pauseMillis > 0 ? slow : whole).incrementAndGet();
    }

    /** Token for token what the library says; of an answer that was left, its beginning. */
    private void check(Plan plan, String text, boolean ended) {
        Generation alone = expected.get(plan.beginning);
        int[] ids = alone.ids().stream().limit(plan.most).mapToInt(id -> id).toArray();
        String full = served.griffin.tokenizer().decode(ids);
        if (ended ? !text.equals(full) : !full.startsWith(text)) {
            wrong.add(plan + ": '" + text + "' instead of '" + full + "'");
        }
    }

    /** Waits until the server has noticed that all have gone. */
    private void idle() throws Exception {
        long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        while (served.measure("griffin_running") + served.measure("griffin_waiting") > 0 || served.measure("griffin_http_requests") > 1) {
            assertTrue(System.nanoTime() < end, "requests are still under way");
            Thread.sleep(20);
        }
    }

    private static long heap() {
        for (int i = 0; i < 3; i++) {
            System.gc();
        }
        return ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
    }

    private static int threads() {
        return ManagementFactory.getThreadMXBean().getThreadCount();
    }

    private void report(double seconds, long heapBefore, long heapAfter, int threadsBefore, int threadsAfter) throws Exception {
        long[] first = firstPieces.stream().mapToLong(nanos -> nanos / 1_000_000).sorted().toArray();
        System.out.printf(Locale.ROOT, "load: %d clients, %.0f s: %d answers read whole, %d left, %d read slowly, %d refused; %d wrong; "
                + "%.0f tokens/s; first piece %d ms in the median, %d ms at most; heap %.1f MiB, then %.1f MiB; threads %d, then %d; "
                + "slots free %.0f of %d%n", CLIENTS, seconds, whole.get(), left.get(), slow.get(), refused.get(), wrong.size(),
                tokens.get() / seconds, first[first.length / 2], first[first.length - 1], heapBefore / 1048576.0, heapAfter / 1048576.0,
                threadsBefore, threadsAfter, served.measure("griffin_slots_free"), SLOTS);
    }
}
