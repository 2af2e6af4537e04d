package griffin.backend.cpu;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;

/**
 * A fixed team of threads for loops of a few microseconds and up. The caller works too; handing over a loop allocates nothing.
 * Workers spin for a while between loops, since the next operation of a step follows at once, then park.
 *
 * <p>The caller waits for the pieces that were taken, not for the threads: a worker that has no core just then costs nothing, so a team on
 * a busy machine is no slower than one thread.
 */
final class Workers implements AutoCloseable {

    /** One piece of a loop. */
    interface Task {
        void run(int index, Scratch scratch);
    }

    /** Most pieces of a loop. */
    static final int MAX_TASKS = (1 << 24) - 1;

    private static final int SPINS = 20_000;
    /** The caller yields after this many looks: the last worker may be waiting for a core. */
    private static final int PATIENCE = 2_000;

    private final Thread[] threads;
    private final Scratch[] scratches;
    /**
     * The loop's number of pieces (upper 32 bits) and the next piece to take (lower 32). Both are in one word, so that a late thread
     * never judges a piece of one loop by the size of the next. While pieces are not done, {@code task} is that loop's.
     */
    private final AtomicLong claim = new AtomicLong();
    private final AtomicInteger done = new AtomicInteger();
    private final AtomicInteger parked = new AtomicInteger();
    private volatile boolean closed;
    /** The first of the loop. */
    private final AtomicReference<Throwable> failure = new AtomicReference<>();
    private Task task;

    Workers(int size) {
        threads = new Thread[size - 1];
        scratches = new Scratch[size];
        for (int i = 0; i < size; i++) {
            scratches[i] = new Scratch();
        }
        for (int i = 0; i < threads.length; i++) {
            Scratch scratch = scratches[i + 1];
            threads[i] = new Thread(() -> serve(scratch), "griffin-cpu-" + (i + 1));
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

    void reserveRowLanes(int floats) {
        for (Scratch scratch : scratches) {
            if (scratch.rowLanes.length < floats) {
                scratch.rowLanes = new float[floats];
            }
        }
    }

    /** Runs task(0..count-1) on all threads and returns when all are done; then throws what the first piece to fail threw. */
    void run(int tasks, Task body) {
        if (tasks <= 1 || threads.length == 0) {
            runHere(tasks, body);
            return;
        }
        assert tasks <= MAX_TASKS;
        task = body;
        done.set(0);
        claim.set((long) tasks << 32); // publishes the fields above
        if (parked.get() != 0) { // a worker that is about to park counts itself first and looks for work after that
            for (Thread thread : threads) {
                LockSupport.unpark(thread);
            }
        }
        pull(scratches[0]);
        for (int looks = 0; done.get() != tasks; looks++) {
            if (looks < PATIENCE) {
                Thread.onSpinWait();
            } else {
                Thread.yield();
            }
        }
        Throwable thrown = failure.get();
        if (thrown != null) {
            failure.set(null);
            rethrow(thrown);
        }
    }

    /** As it is: what is caught above this tells an error of the memory or of a mapped file by its type. A task throws nothing checked. */
    private static void rethrow(Throwable thrown) {
        if (thrown instanceof Error error) {
            throw error;
        }
        throw (RuntimeException) thrown;
    }

    /** Runs task(0..count-1) on the calling thread. */
    void runHere(int tasks, Task body) {
        for (int i = 0; i < tasks; i++) {
            body.run(i, scratches[0]);
        }
    }

    private boolean work() {
        long c = claim.get();
        return (int) c < (int) (c >>> 32);
    }

    /** Takes pieces while there are any. */
    private void pull(Scratch scratch) {
        while (work()) {
            long c = claim.getAndIncrement();
            if ((int) c < (int) (c >>> 32)) {
                try {
                    task.run((int) c, scratch);
                } catch (Throwable e) {
                    failure.compareAndSet(null, e);
                } finally {
                    done.getAndIncrement();
                }
            }
        }
    }

    private void serve(Scratch scratch) {
        int spins = 0;
        while (!closed) {
            if (work()) {
                pull(scratch);
                spins = 0;
            } else if (++spins < SPINS) {
                Thread.onSpinWait();
            } else {
                parked.getAndIncrement();
                if (!work() && !closed) {
                    LockSupport.park(this);
                }
                parked.getAndDecrement();
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
