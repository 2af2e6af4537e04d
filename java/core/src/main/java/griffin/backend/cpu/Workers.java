package griffin.backend.cpu;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

/**
 * A fixed team of threads for loops of a few microseconds and up. The caller works too; handing over a loop allocates nothing.
 * Workers spin for a while between loops, since the next operation of a step follows at once, then park.
 */
final class Workers implements AutoCloseable {

    /** One piece of a loop. */
    interface Task {
        void run(int index, Scratch scratch);
    }

    private static final int SPINS = 20_000;
    /** The caller yields after this many looks: the last worker may be waiting for a core. */
    private static final int PATIENCE = 2_000;

    private final Thread[] threads;
    private final Scratch[] scratches;
    private final AtomicInteger next = new AtomicInteger();
    private final AtomicInteger busy = new AtomicInteger();
    private final AtomicInteger parked = new AtomicInteger();
    private volatile int generation;
    private volatile boolean closed;
    private volatile Throwable failure;
    private Task task;
    private int count;

    Workers(int size) {
        threads = new Thread[size - 1];
        scratches = new Scratch[size];
        for (int i = 0; i < size; i++) {
            scratches[i] = new Scratch();
        }
        for (int i = 0; i < threads.length; i++) {
            Scratch scratch = scratches[i + 1];
            threads[i] = new Thread(() -> work(scratch), "griffin-cpu-" + (i + 1));
            threads[i].setDaemon(true);
            threads[i].start();
        }
    }

    int size() {
        return scratches.length;
    }

    /** Makes every thread's scratch large enough; not while a loop runs. */
    void reserve(int panelFloats, int scoreFloats) {
        for (Scratch scratch : scratches) {
            scratch.reserve(panelFloats, scoreFloats);
        }
    }

    /** Runs task(0..count-1) on all threads and returns when all are done. */
    void run(int tasks, Task body) {
        if (tasks <= 1 || threads.length == 0) {
            runHere(tasks, body);
            return;
        }
        task = body;
        count = tasks;
        next.set(0);
        busy.set(threads.length);
        generation++; // publishes the fields above
        if (parked.get() != 0) { // a worker that is about to park counts itself first and looks at the generation after that
            for (Thread thread : threads) {
                LockSupport.unpark(thread);
            }
        }
        try {
            pull(scratches[0]);
        } finally {
            for (int looks = 0; busy.get() != 0; looks++) {
                if (looks < PATIENCE) {
                    Thread.onSpinWait();
                } else {
                    Thread.yield();
                }
            }
        }
        Throwable thrown = failure;
        if (thrown != null) {
            failure = null;
            throw new IllegalStateException("a worker thread failed: " + thrown, thrown);
        }
    }

    /** Runs task(0..count-1) on the calling thread. */
    void runHere(int tasks, Task body) {
        for (int i = 0; i < tasks; i++) {
            body.run(i, scratches[0]);
        }
    }

    private void pull(Scratch scratch) {
        int tasks = count;
        Task body = task;
        for (int i = next.getAndIncrement(); i < tasks; i = next.getAndIncrement()) {
            body.run(i, scratch);
        }
    }

    private void work(Scratch scratch) {
        int seen = 0;
        while (true) {
            int spins = 0;
            while (generation == seen) {
                if (closed) {
                    return;
                }
                if (++spins < SPINS) {
                    Thread.onSpinWait();
                } else {
                    parked.getAndIncrement();
                    if (generation == seen && !closed) {
                        LockSupport.park(this);
                    }
                    parked.getAndDecrement();
                }
            }
            seen++;
            try {
                pull(scratch);
            } catch (Throwable e) {
                failure = e;
            } finally {
                busy.getAndDecrement();
            }
        }
    }

    @Override
    public void close() {
        closed = true;
        for (Thread thread : threads) {
            LockSupport.unpark(thread);
        }
    }
}
