package griffin.server.standin;

import griffin.Griffin;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

public final class Scheduler implements AutoCloseable {
    private final Griffin griffin;
    private final int parallel;
    private final int waiting;
    private final ExecutorService threads;
    private final AtomicInteger open = new AtomicInteger();
    private final Set<Completion> running = ConcurrentHashMap.newKeySet();
    private volatile boolean draining;

    private Scheduler(Griffin griffin, int parallel, int waiting) {
        this.griffin = griffin;
        this.parallel = parallel;
        this.waiting = waiting;
        threads = Executors.newFixedThreadPool(parallel);
    }

    public static Builder builder(Griffin griffin) {
        return new Builder(griffin);
    }

    public static final class Builder {
        private final Griffin griffin;
        private int parallel = 1;
        private int waiting = 128;

        Builder(Griffin griffin) {
            this.griffin = griffin;
        }

        public Builder parallel(int n) {
            parallel = n;
            return this;
        }

        public Builder waiting(int n) {
            waiting = n;
            return this;
        }

        public Scheduler start() {
            return new Scheduler(griffin, parallel, waiting);
        }
    }

    public Completion submit(Job job) {
        if (draining || open.incrementAndGet() > parallel + waiting) {
            if (!draining) {
                open.decrementAndGet();
            }
            throw new BusyException("busy");
        }
        Completion c = new Completion();
        running.add(c);
        threads.execute(() -> {
            try {
                c.run(griffin, job);
            } finally {
                running.remove(c);
                open.decrementAndGet();
            }
        });
        return c;
    }

    public SchedulerStatistics statistics() {
        int n = running.size();
        return new SchedulerStatistics(Math.min(n, parallel), Math.max(0, n - parallel), parallel, Math.max(0, parallel - n), 0, 0, 0, 0, 0,
                0, 0, 0, 0);
    }

    public boolean drain(Duration limit) throws InterruptedException {
        draining = true;
        threads.shutdown();
        return threads.awaitTermination(limit.toMillis(), TimeUnit.MILLISECONDS);
    }

    @Override
    public void close() {
        draining = true;
        running.forEach(Completion::cancel);
        threads.shutdown();
        try {
            threads.awaitTermination(1, TimeUnit.MINUTES);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
