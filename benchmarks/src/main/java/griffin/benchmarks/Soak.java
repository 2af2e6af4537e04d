package griffin.benchmarks;

import griffin.backend.Buffer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;

/** A very long generation: memory must not grow once the window is full, and the state must stay finite. */
final class Soak {

    static final String STORIES = "java/stories/src/main/resources/griffin/stories";
    private static final int TOKENS = 200_000;

    private Soak() {}

    static void run(Options o) {
        if (o.model == null) {
            o.model = Path.of(STORIES);
        }
        int tokens = o.tokens > 0 ? o.tokens : TOKENS;
        try (Workload w = new Workload(o, 64, 1)) {
            Results.note(w.description);
            w.prefill(5);
            int filled = 2 * w.config.window(); // the window is full and the loops are compiled
            w.decode(filled);
            System.gc();
            long before = MachineInfo.residentBytes();
            long start = System.nanoTime();
            w.decode(tokens - filled);
            double seconds = (System.nanoTime() - start) / 1e9;
            System.gc();
            long after = MachineInfo.residentBytes();
            Results.line("soak, resident after the window filled", before / 1e6, "MB");
            Results.line("soak, resident after " + tokens + " tokens", after / 1e6, "MB", before / 1e6, "then");
            Results.line("soak, rate", (tokens - filled) / seconds, "tok/s");
            Results.line("soak, state elements that are not finite", notFinite(w), "");
        }
    }

    private static long notFinite(Workload w) {
        long bad = 0;
        for (Buffer h : w.states().h()) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment values = arena.allocate(h.bytes(), 4);
                w.backend().read(h, values);
                for (float v : values.toArray(ValueLayout.JAVA_FLOAT)) {
                    bad += Float.isFinite(v) ? 0 : 1;
                }
            }
        }
        return bad;
    }
}
