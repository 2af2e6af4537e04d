package griffin.benchmarks.gpu;

import griffin.Generation;
import griffin.GenerationListener;
import griffin.GenerationOptions;
import griffin.Griffin;
import griffin.Session;
import griffin.sampling.SamplingParams;
import griffin.weights.ModelFiles;
import java.nio.file.Path;
import java.util.Random;
import java.util.function.DoubleSupplier;
import java.util.stream.DoubleStream;

/** One sequence through the public interface, as a program that embeds Griffin would run it. */
final class SingleRuns implements AutoCloseable {

    /** Decode steps of a run; the token that the prompt's step samples comes before them. */
    static final int STEPS = 256;
    private static final GenerationListener SILENT = new GenerationListener() {};

    final Costs costs;
    private final Griffin griffin;
    private final GenerationOptions options;
    private final int runs;

    /** @param device as after {@code --device} */
    SingleRuns(Path model, String device, int runs) {
        griffin = Griffin.builder(ModelFiles.of(model)).device(device).notices(notice -> System.out.println("# " + notice)).open();
        costs = new Costs(griffin.config());
        options = GenerationOptions.DEFAULT.withIgnoreEos(true).withSampling(new SamplingParams(0.8f, 40, 1, 0, 1, 1, -1));
        this.runs = runs;
    }

    /** Random ids, the same each time. */
    static int[] ids(int count, int vocabulary) {
        return new Random(count).ints(count, 3, vocabulary).toArray();
    }

    private int[] ids(int count) {
        return ids(count, griffin.config().vocabulary());
    }

    /** Seconds a decode step, when a prompt of {@code context} tokens was read. */
    double decodeStep(int context) {
        int[] prompt = ids(context);
        return median(runs, () -> generate(prompt, STEPS + 1).decodeSeconds() / STEPS);
    }

    /** Seconds to read {@code tokens} tokens into an empty session, chunk after chunk; nothing is sampled. */
    double prefill(int tokens) {
        int[] prompt = ids(tokens + 1); // the last one stays pending: it enters the state with what comes next
        return median(runs, () -> generate(prompt, 0).promptSeconds());
    }

    /** Seconds from asking for a session to the first token. */
    double firstToken(int tokens) {
        int[] prompt = ids(tokens);
        return median(2 * runs + 1, () -> seconds(() -> generate(prompt, 1)));
    }

    private Generation generate(int[] prompt, int tokens) {
        try (Session session = griffin.newSession()) {
            Generation done = session.generate(prompt, options.withMaxTokens(tokens), SILENT);
            if (done.ids().size() != tokens) {
                throw new IllegalStateException("asked for " + tokens + " tokens, got " + done.ids().size() + ": " + done.finishReason());
            }
            return done;
        }
    }

    /** Bytes in use on the device, asked of whoever can tell. */
    interface Used {
        long bytes();
    }

    /**
     * Runs one session for {@code tokens} tokens; bytes in use at the end less bytes in use after the first {@code early}. A token that cannot be
     * chosen because of NaN fails the run.
     *
     * @param decoded whether all tokens are decoded; otherwise they are read, and {@code early} more are decoded
     */
    long soak(int tokens, int early, boolean decoded, Used used) {
        try (Session session = griffin.newSession()) {
            session.generate(ids(decoded ? 16 : early), options.withMaxTokens(decoded ? early - 16 : 16), SILENT);
            long before = used.bytes();
            int piece = 1 << 16;
            for (int at = early; at < tokens; at += piece) {
                int count = Math.min(piece, tokens - at);
                session.generate(decoded ? new int[0] : ids(count), options.withMaxTokens(decoded ? count : 1), SILENT);
            }
            int generated = session.generate(new int[0], options.withMaxTokens(early), SILENT).ids().size();
            if (generated != early) {
                throw new IllegalStateException("the soak ended after " + session.length() + " tokens");
            }
            return used.bytes() - before;
        }
    }

    private static double seconds(Runnable work) {
        long start = System.nanoTime();
        work.run();
        return (System.nanoTime() - start) / 1e9;
    }

    /** The median of {@code runs} runs after one to warm up. */
    static double median(int runs, DoubleSupplier run) {
        double[] all = DoubleStream.generate(run).limit(1 + runs).skip(1).sorted().toArray();
        return (all[(runs - 1) / 2] + all[runs / 2]) / 2;
    }

    @Override
    public void close() {
        griffin.close();
    }
}
