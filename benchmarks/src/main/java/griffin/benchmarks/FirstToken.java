package griffin.benchmarks;

import java.nio.file.Path;

/** How long a new process takes to its first tokens; run it several times, since only the first time in a process counts. */
final class FirstToken {

    private static final int PROMPT = 5;

    private FirstToken() {}

    static void run(Options o, long start) {
        if (o.model == null) {
            o.model = Path.of(Soak.STORIES);
        }
        try (Workload w = new Workload(o, 64, 1)) {
            long loaded = System.nanoTime();
            w.prefill(PROMPT);
            long first = System.nanoTime();
            w.decode(1);
            long second = System.nanoTime();
            w.decode(100);
            long many = System.nanoTime();
            Results.line("load", (loaded - start) / 1e6, "ms");
            Results.line("prompt of 5 tokens and first token", (first - loaded) / 1e6, "ms");
            Results.line("second token", (second - first) / 1e6, "ms");
            Results.line("start of main to second token", (second - start) / 1e6, "ms");
            Results.line("next 100 tokens", (many - second) / 1e6, "ms");
            long before = System.nanoTime();
            w.decode(100);
            Results.line("100 more", (System.nanoTime() - before) / 1e6, "ms");
        }
    }
}
