package griffin.benchmarks;

import griffin.backend.Buffer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.concurrent.locks.LockSupport;

/**
 * A very long generation: memory must not grow once the window is full, and the state must stay finite. A tenth as long a one comes before it in
 * the same process, for code that is compiled on the way takes memory, too.
 */
final class Soak {

    static final String STORIES = "java/stories/src/main/resources/griffin/stories";
    private static final int TOKENS = 200_000;
    /** So many looks, a tenth of a second apart, that find no less. */
    private static final int SETTLED_LOOKS = 10;

    private Soak() {}

    static void run(Options o) {
        if (o.model == null) {
            o.model = Path.of(STORIES);
        }
        int tokens = o.tokens > 0 ? o.tokens : TOKENS;
        try (Workload w = new Workload(o, 64, 1)) {
            Results.note(w.description);
            int filled = 2 * w.config.window();
            w.prefill(5);
            w.decode(filled);
            long cold = settledBytes();
            w.decode(Math.max(0, tokens / 10 - filled)); // by then the compiler has done what it will
            w.prefill(5); // a new sequence
            w.decode(filled);
            long before = settledBytes();
            long start = System.nanoTime();
            w.decode(tokens - filled);
            double seconds = (System.nanoTime() - start) / 1e9;
            long after = settledBytes();
            Results.line("soak, resident after the window filled, first of the process", cold / 1e6, "MB");
            Results.line("soak, resident after the window filled, code compiled", before / 1e6, "MB");
            Results.line("soak, resident after " + tokens + " tokens", after / 1e6, "MB", before / 1e6, "then");
            Results.line("soak, rate", (tokens - filled) / seconds, "tok/s");
            Results.line("soak, state elements that are not finite", notFinite(w), "");
        }
    }

    /** Resident memory once the collector has given back what it can: it does so behind the collection, in a thread of its own. */
    private static long settledBytes() {
        System.gc();
        long resident = MachineInfo.residentBytes();
        for (int unchanged = 0; unchanged < SETTLED_LOOKS;) {
            LockSupport.parkNanos(100_000_000);
            long now = MachineInfo.residentBytes();
            unchanged = now < resident ? 0 : unchanged + 1;
            resident = now;
        }
        return resident;
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
