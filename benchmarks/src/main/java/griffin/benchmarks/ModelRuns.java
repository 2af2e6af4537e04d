package griffin.benchmarks;

import java.util.function.DoubleSupplier;

/** The end-to-end measurements; each share is of a ceiling that is measured between the runs. */
final class ModelRuns {

    private static final int CONTEXT = 128;
    private static final int PROMPT = 512;

    private ModelRuns() {}

    /**
     * Decode of one sequence from context 128 on, by the median token of all runs: a token takes as long as a few passes of the ceiling, of
     * which the best of five counts, so a token in which a shared machine took a core away must not count either.
     */
    static void decode(Options o, Workload w, ReadCeiling ceiling) {
        int tokens = o.tokens > 0 ? o.tokens : 16;
        w.prefill(CONTEXT);
        w.decode(tokens);
        double[] reads = new double[o.runs];
        double[] rates = new double[o.runs * tokens];
        for (int i = 0; i < rates.length; i++) {
            if (i % tokens == 0) {
                reads[i / tokens] = ceiling.measure();
            }
            long start = System.nanoTime();
            w.decode(1);
            rates[i] = 1e9 / (System.nanoTime() - start);
        }
        double rate = Team.median(rates);
        Results.line("decode, context 128", rate, "tok/s");
        Results.line("decode, bytes of weights per token", w.weightBytes / 1e6, "MB");
        w.bytesInLargePages().ifPresent(bytes -> Results.line("decode, of them in pages of 2 MiB", bytes / 1e6, "MB"));
        Results.line("decode, weights read", rate * w.weightBytes / 1e9, "GB/s", Team.median(reads), "read ceiling");
    }

    /** Decode of several sequences at once. */
    static void batch(Options o, Workload w, int sequences, double single) {
        int steps = o.tokens > 0 ? o.tokens : 8;
        w.startBatch(sequences, CONTEXT);
        w.decode(steps);
        double[] rates = rates(o.runs, () -> 0, new double[o.runs], () -> {
            w.decode(steps);
            return (double) steps * sequences;
        });
        double rate = Team.median(rates);
        Results.line("decode, " + sequences + " sequences", rate, "tok/s", single, "times one sequence,");
    }

    /** Decode of one sequence, tokens/s, for comparison with {@link #batch}. */
    static double single(Options o, Workload w) {
        int steps = o.tokens > 0 ? o.tokens : 8;
        w.startBatch(1, CONTEXT);
        w.decode(steps);
        return Team.median(rates(o.runs, () -> 0, new double[o.runs], () -> {
            w.decode(steps);
            return steps;
        }));
    }

    /** Prefill of 512 tokens. */
    static void prefill(Options o, Workload w, FmaCeiling ceiling) {
        w.prefill(PROMPT);
        double[] fma = new double[o.runs];
        double[] rates = rates(o.runs, ceiling::measure, fma, () -> {
            w.prefill(PROMPT);
            return PROMPT;
        });
        double rate = Team.median(rates);
        Results.line("prefill, 512 tokens", rate, "tok/s");
        Results.line("prefill, arithmetic", rate / PROMPT * w.prefillOperations(PROMPT) / 1e9, "GFLOP/s", Team.median(fma), "FMA ceiling");
    }

    /** Items per second of several runs, a ceiling measured before each. */
    static double[] rates(int runs, DoubleSupplier ceiling, double[] ceilings, DoubleSupplier body) {
        double[] rates = new double[runs];
        for (int i = 0; i < runs; i++) {
            ceilings[i] = ceiling.getAsDouble();
            long start = System.nanoTime();
            double items = body.getAsDouble();
            rates[i] = items * 1e9 / (System.nanoTime() - start);
        }
        return rates;
    }
}
