package griffin.server.engine;

import griffin.CacheStatistics;
import griffin.PrefixCache;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;

/** Tells once that the prefix cache fails at its folder, which no request would notice: later failures are measures only. */
public final class CacheFailures {

    private final PrefixCache cache;
    private final Consumer<String> notices;
    private final AtomicBoolean written = new AtomicBoolean();
    private final AtomicBoolean read = new AtomicBoolean();

    /** @param cache may be null, which never fails */
    public CacheFailures(PrefixCache cache, Consumer<String> notices) {
        this.cache = cache;
        this.notices = notices;
    }

    /** Looks for failures that nobody was told of. */
    public void look() {
        if (cache == null || written.get() && read.get()) {
            return;
        }
        CacheStatistics statistics = cache.statistics();
        if (!statistics.lastFailure().isEmpty() && written.compareAndSet(false, true)) {
            notices.accept("the state cache cannot use its folder: " + statistics.lastFailure()
                    + "; states are kept in memory alone, and griffin_cache_unwritten_total of /metrics counts them");
        }
        if (statistics.refusedFiles() > 0 && read.compareAndSet(false, true)) {
            notices.accept("the state cache removed a file that was damaged or another model's; griffin_cache_refused_files_total of "
                    + "/metrics counts them");
        }
    }
}
