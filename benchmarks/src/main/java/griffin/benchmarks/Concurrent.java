package griffin.benchmarks;

import griffin.Completion;
import griffin.GenerationListener;
import griffin.GenerationOptions;
import griffin.Griffin;
import griffin.Job;
import griffin.Scheduler;
import griffin.Session;
import griffin.sampling.SamplingParams;
import griffin.weights.ModelFiles;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * Generations side by side through the scheduler, against one session. Everything is measured in turns, and the ratios are medians of the
 * rounds' ratios.
 */
final class Concurrent {

    private static final int[] SEQUENCES = {1, 8, 32};
    private static final int MOST = 32;
    private static final int PROMPT = 16;
    private static final int TOKENS = 256;

    private final Griffin griffin;
    private final Scheduler scheduler;
    private final int tokens;
    private final Random random = new Random(5);

    private Concurrent(Griffin griffin, Scheduler scheduler, int tokens) {
        this.griffin = griffin;
        this.scheduler = scheduler;
        this.tokens = tokens;
    }

    static void run(Options o) {
        ModelFiles files = o.model == null && o.layers == 0 ? ModelFiles.of(Path.of(Soak.STORIES))
                : o.model != null ? ModelFiles.of(o.model) : new RandomFiles(o.shape.config(o.layers()));
        int tokens = o.tokens > 0 ? o.tokens : TOKENS;
        try (Griffin griffin = o.open(files, MOST, MOST + 1);
                Scheduler scheduler = Scheduler.builder(griffin).start()) {
            Results.note(files.location() + ", " + griffin.device().name() + ", " + tokens + " tokens after " + PROMPT
                    + ", temperature 0.8, top-k 40, pieces read by one thread each");
            new Concurrent(griffin, scheduler, tokens).rounds(o.runs);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void rounds(int runs) throws InterruptedException {
        double[] session = new double[runs];
        double[][] rates = new double[SEQUENCES.length][runs];
        double[][] ratios = new double[SEQUENCES.length][runs];
        round(new double[SEQUENCES.length]); // warms up
        for (int run = 0; run < runs; run++) {
            double[] found = new double[SEQUENCES.length];
            session[run] = round(found);
            for (int i = 0; i < found.length; i++) {
                rates[i][run] = found[i];
                ratios[i][run] = found[i] / (i == 0 ? session[run] : found[0]);
            }
        }
        Results.line("one session", Team.median(session), "tok/s");
        for (int i = 0; i < SEQUENCES.length; i++) {
            Results.line("scheduler, " + SEQUENCES[i] + (i == 0 ? " request" : " requests"), Team.median(rates[i]), "tok/s");
            Results.line(i == 0 ? "  against the session, in turns" : "  against one request, in turns", Team.median(ratios[i]), "times");
        }
        Results.line("one request: more per token than a session",
                1e6 / Team.median(rates[0]) - 1e6 / Team.median(session), "us");
    }

    /** Rates of the scheduler into {@code found}; returns the session's. */
    private double round(double[] found) throws InterruptedException {
        double session = session();
        for (int i = 0; i < SEQUENCES.length; i++) {
            found[i] = scheduled(SEQUENCES[i]);
        }
        return session;
    }

    private GenerationOptions options() {
        SamplingParams sampling = new SamplingParams(0.8f, 40, 1, 0, 1, random.nextLong(), -1);
        return new GenerationOptions(sampling, tokens, List.of(), true);
    }

    private int[] prompt() {
        return random.ints(PROMPT, 3, griffin.config().vocabulary()).toArray();
    }

    private double session() {
        int[] prompt = prompt();
        long start = System.nanoTime();
        try (Session session = griffin.newSession()) {
            session.generate(prompt, options(), new GenerationListener() {});
        }
        return tokens * 1e9 / (System.nanoTime() - start);
    }

    private double scheduled(int sequences) throws InterruptedException {
        List<Thread> readers = new ArrayList<>();
        long start = System.nanoTime();
        for (int i = 0; i < sequences; i++) {
            Completion completion = scheduler.submit(Job.of(prompt(), options()));
            readers.add(Thread.ofVirtual().start(() -> readAll(completion)));
        }
        for (Thread reader : readers) {
            reader.join();
        }
        return (double) sequences * tokens * 1e9 / (System.nanoTime() - start);
    }

    private static void readAll(Completion completion) {
        try {
            while (completion.next().isPresent()) {
                // each piece is what a server would send
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
