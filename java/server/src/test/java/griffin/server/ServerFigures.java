package griffin.server;

import static griffin.server.Served.MODEL;

import griffin.Completion;
import griffin.GenerationListener;
import griffin.GenerationOptions;
import griffin.Griffin;
import griffin.Job;
import griffin.PrefixCache;
import griffin.Scheduler;
import griffin.Session;
import griffin.sampling.SamplingParams;
import griffin.stories.GriffinStories;
import griffin.weights.ModelFiles;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/**
 * Measurements, not run by a build: {@code mvn -q test -pl java/server -am -Dtest=ServerFigures -Dsurefire.failIfNoSpecifiedTests=false}.
 * Each compares two ways in turn, so that a machine that is busy with other things is so for both. {@code -Dgriffin.figures.model=DIR} and
 * {@code -Dgriffin.figures.device=cuda} measure another model than the embedded one, elsewhere than on the CPU.
 */
class ServerFigures {

    private static final int RUNS = Integer.getInteger("griffin.figures.runs", 7);
    private static final String DEVICE = System.getProperty("griffin.figures.device", "cpu");
    private static final ModelFiles FILES = System.getProperty("griffin.figures.model") == null ? GriffinStories.files()
            : ModelFiles.of(Path.of(System.getProperty("griffin.figures.model")));
    private static final int TOKENS = 300;
    /** Runs before those that count: what a token takes is that of a server that has been up for a minute, not of code that is still interpreted. */
    private static final int WARM_UP = Integer.getInteger("griffin.figures.warmup", 30);
    private static final int HISTORY = 6_000;

    /** What a token costs by the server, by the scheduler alone and by a session alone, one request at a time. */
    @Test
    void overheadOfAToken() throws Exception {
        try (Served served = Served.start(FILES, DEVICE, 8)) {
            double[] session = new double[RUNS];
            double[] scheduler = new double[RUNS];
            double[] server = new double[RUNS];
            for (int run = -WARM_UP; run < RUNS; run++) {
                double alone = bySession(served.griffin);
                double scheduled = byScheduler(served);
                double asked = byServer(served.server.port());
                if (run >= 0) {
                    session[run] = alone;
                    scheduler[run] = scheduled;
                    server[run] = asked;
                }
            }
            System.out.printf(Locale.ROOT,
                    "figures: a token of %s on %s, median (least) of %d runs of %d tokens: session %.0f (%.0f) us, "
                            + "scheduler %.0f (%.0f) us, server %.0f (%.0f) us; server over session %.0f (%.0f) us%n",
                    FILES.location(), DEVICE, RUNS, TOKENS, median(session),
                    least(session), median(scheduler), least(scheduler), median(server), least(server), median(server) - median(session),
                    least(server) - least(session));
        }
    }

    private static GenerationOptions options(int most) {
        return new GenerationOptions(SamplingParams.GREEDY, most, java.util.List.of(), true);
    }

    /** Microseconds of a token after the first. */
    private static double bySession(Griffin griffin) {
        long[] times = new long[2];
        int[] count = new int[1];
        try (Session session = griffin.newSession()) {
            session.generate("Once upon a time", options(TOKENS), new GenerationListener() {
                @Override
                public void text(String piece) {
                    mark(times, count);
                }
            });
        }
        return perToken(times);
    }

    private static double byScheduler(Served served) throws InterruptedException {
        long[] times = new long[2];
        int[] count = new int[1];
        int[] text = served.griffin.tokenizer().encode("Once upon a time");
        int[] ids = new int[text.length + 1];
        ids[0] = served.griffin.bosId().orElseThrow();
        System.arraycopy(text, 0, ids, 1, text.length);
        try (Completion completion = served.scheduler.submit(Job.of(ids, options(TOKENS)))) {
            for (Optional<Completion.Piece> piece; (piece = completion.next()).isPresent();) {
                if (!piece.get().text().isEmpty()) {
                    mark(times, count);
                }
            }
        }
        return perToken(times);
    }

    private static double byServer(int port) throws IOException {
        long[] times = new long[2];
        int[] count = new int[1];
        try (StreamClient client = new StreamClient(port, "/v1/completions", "{\"model\":\"" + MODEL
                + "\",\"prompt\":\"Once upon a time\",\"stream\":true,\"temperature\":0,\"ignore_eos\":true,\"max_tokens\":" + TOKENS
                + "}")) {
            for (String line; (line = client.line()) != null;) { // not parsed: that is the client's own time
                if (line.contains("\"finish_reason\":null")) {
                    mark(times, count);
                }
            }
        }
        return perToken(times);
    }

    private static void mark(long[] times, int[] count) {
        times[count[0]++ == 0 ? 0 : 1] = System.nanoTime();
    }

    private static double perToken(long[] times) {
        return (times[1] - times[0]) / 1e3 / (TOKENS - 1);
    }

    /** The time to the first token of a second turn, cold, with a session and with the prefix cache alone. */
    @Test
    void secondTurn() throws Exception {
        try (Griffin griffin = Griffin.builder(FILES).device(DEVICE).parallel(4).sessions(6).open();
                PrefixCache cache = PrefixCache.builder().identity(griffin.modelIdentity()).build();
                Scheduler scheduler = Scheduler.builder(griffin).start();
                Scheduler caching = Scheduler.builder(griffin).parallel(1).prefixCache(cache).start();
                GriffinServer plain = GriffinServer.builder(griffin, scheduler, MODEL).port(0).start();
                GriffinServer cached = GriffinServer.builder(griffin, caching, MODEL).port(0).start()) {
            double[] cold = new double[RUNS];
            double[] session = new double[RUNS];
            double[] prefix = new double[RUNS];
            for (int run = -1; run < RUNS; run++) {
                String history = history(griffin, run);
                firstToken(plain.port(), "\"session_id\":\"s" + run + "\",", user(history));
                String reply = reply(cached.port(), user(history));
                double warm = firstToken(plain.port(), "\"session_id\":\"s" + run + "\",", user("And then?"));
                String again = user(history) + ",{\"role\":\"assistant\",\"content\":" + Chromium.quote(reply) + "}," + user("And then?");
                double found = firstToken(cached.port(), "", again);
                double read = firstToken(plain.port(), "", again);
                if (run >= 0) {
                    cold[run] = read;
                    session[run] = warm;
                    prefix[run] = found;
                }
            }
            System.out.printf(Locale.ROOT,
                    "figures: first token of a second turn after %d tokens, median of %d: cold %.1f ms; session %.2f ms, "
                            + "%.0f times faster; state cache %.2f ms, %.0f times faster%n",
                    HISTORY, RUNS, median(cold), median(session),
                    median(cold) / median(session), median(prefix), median(cold) / median(prefix));
        }
    }

    /** A message of so many tokens, unlike the others. */
    private static String history(Griffin griffin, int run) {
        StringBuilder text = new StringBuilder("Story " + run + ".");
        String[] lines = {" The dog ran to the park.", " A bird sat in the tree.", " Tom had a red ball.", " It was a sunny day.",
            " Lily was happy."};
        for (int i = 0; griffin.tokenizer().encode(text.toString()).length < HISTORY; i++) {
            text.append(String.join("", lines)).append(i);
        }
        return text.toString();
    }

    private static String user(String content) {
        return "{\"role\":\"user\",\"content\":" + Chromium.quote(content) + "}";
    }

    private static String body(String more, String messages) {
        return "{\"model\":\"" + MODEL + "\"," + more + "\"stream\":true,\"temperature\":0,\"max_tokens\":16,\"messages\":[" + messages
                + "]}";
    }

    /** Milliseconds to the first text. */
    private static double firstToken(int port, String more, String messages) throws IOException {
        long start = System.nanoTime();
        double first = 0;
        try (StreamClient client = new StreamClient(port, "/v1/chat/completions", body(more, messages))) {
            for (Map<?, ?> object; (object = client.next()) != null;) {
                if (first == 0 && !StreamClient.text(object).isEmpty()) {
                    first = (System.nanoTime() - start) / 1e6;
                }
            }
        }
        return first;
    }

    private static String reply(int port, String messages) throws IOException {
        StringBuilder text = new StringBuilder();
        try (StreamClient client = new StreamClient(port, "/v1/chat/completions", body("", messages))) {
            for (Map<?, ?> object; (object = client.next()) != null;) {
                text.append(StreamClient.text(object));
            }
        }
        return text.toString();
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }

    private static double least(double[] values) {
        return Arrays.stream(values).min().orElseThrow();
    }
}
