package griffin.benchmarks;

import griffin.Completion;
import griffin.GenerationOptions;
import griffin.Griffin;
import griffin.Job;
import griffin.PrefixCache;
import griffin.Scheduler;
import griffin.sampling.SamplingParams;
import griffin.weights.ModelFiles;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

/**
 * The second turn of a conversation: seconds to its first token where the cache has the state of the first turn, against reading the whole
 * history. Each round has a history of its own.
 */
final class Turns {

    private static final int HISTORY = 6000;
    private static final int REPLY = 16;
    private static final int NEW = 24;
    private static final long MEMORY = 1L << 30;

    private final Griffin griffin;
    private final Scheduler scheduler;
    private final Random random = new Random(6);

    private Turns(Griffin griffin, Scheduler scheduler) {
        this.griffin = griffin;
        this.scheduler = scheduler;
    }

    static void run(Options o) {
        ModelFiles files = o.model == null ? ModelFiles.of(Path.of(Soak.STORIES)) : ModelFiles.of(o.model);
        try (Griffin griffin = o.open(files, 2, 3);
                PrefixCache cache = PrefixCache.builder().memory(MEMORY).identity(griffin.modelIdentity()).build();
                Scheduler scheduler = Scheduler.builder(griffin).prefixCache(cache).start()) {
            Results.note(files.location() + ", " + griffin.device().name() + ", history of " + HISTORY + " tokens and a reply of " + REPLY
                    + ", " + NEW + " new tokens");
            new Turns(griffin, scheduler).rounds(o.runs);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void rounds(int runs) throws InterruptedException {
        double[] cold = new double[runs];
        double[] warm = new double[runs];
        double[] ratio = new double[runs];
        round();
        for (int i = 0; i < runs; i++) {
            double[] found = round();
            cold[i] = found[0];
            warm[i] = found[1];
            ratio[i] = found[0] / found[1];
        }
        Results.line("second turn, history read again", 1e3 * Team.median(cold), "ms");
        Results.line("second turn, from the first one's state", 1e3 * Team.median(warm), "ms");
        Results.line("  times as fast, in turns", Team.median(ratio), "times");
    }

    /** Seconds to the second turn's first token: without and with the state of the first. */
    private double[] round() throws InterruptedException {
        int[] history = random(HISTORY);
        Completion first = scheduler.submit(Job.of(history, options(REPLY)));
        while (first.next().isPresent()) {
            // the reply
        }
        int[] reply = first.result().ids().stream().mapToInt(id -> id).toArray();
        int[] second = joined(history, reply, random(NEW));
        double warm = firstToken(second);
        int[] other = second.clone();
        other[0] = (other[0] + 1) % griffin.config().vocabulary(); // nothing that is kept begins so
        return new double[] {firstToken(other), warm};
    }

    private double firstToken(int[] ids) throws InterruptedException {
        long start = System.nanoTime();
        try (Completion completion = scheduler.submit(Job.of(ids, options(2)))) {
            completion.next();
            double seconds = (System.nanoTime() - start) / 1e9;
            completion.result();
            return seconds;
        }
    }

    private GenerationOptions options(int tokens) {
        return new GenerationOptions(SamplingParams.GREEDY, tokens, List.of(), true);
    }

    private int[] random(int count) {
        return random.ints(count, 3, griffin.config().vocabulary()).toArray();
    }

    private static int[] joined(int[]... parts) {
        return IntStream.range(0, parts.length).flatMap(i -> IntStream.of(parts[i])).toArray();
    }
}
