package griffin;

import griffin.error.BusyException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Predicate;

/** The bounded queue in front of a scheduler. Thread-safe; its lock is held for moments only. */
final class Intake {

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition nothingLeft = lock.newCondition();
    private final ArrayDeque<Request> queue = new ArrayDeque<>();
    private final int places;
    private final int most;
    /** Requests that were taken in and have not ended. */
    private int open;
    /** Of these, those that have a place or wait for one. */
    private int placed;
    private boolean draining;
    private boolean closed;
    private long refused;
    private volatile int size;

    /**
     * @param places jobs that can run at once
     * @param most   jobs that may wait for one of them
     */
    Intake(int places, int most) {
        this.places = places;
        this.most = most;
    }

    /**
     * Asserts that a job would be taken in now, before work is spent on it.
     *
     * @throws BusyException         when the queue is full, or jobs are no longer taken
     * @throws IllegalStateException when the scheduler was closed
     */
    void requireRoom() {
        lock.lock();
        try {
            if (closed) {
                throw new IllegalStateException("this scheduler has been closed");
            }
            if (draining) {
                refused++;
                throw new BusyException("this scheduler takes no new jobs, since it is being shut down: ask another one");
            }
            if (placed >= places + most) { // not by the queue: the scheduler may not have looked at it yet
                refused++;
                throw new BusyException("all places are taken and " + most + " requests wait already, the most that may: try again later");
            }
        } finally {
            lock.unlock();
        }
    }

    void add(Request request) {
        lock.lock();
        try {
            requireRoom();
            queue.add(request);
            size = queue.size();
            open++;
            placed++;
        } finally {
            lock.unlock();
        }
    }

    /** The first request that passes, or null. */
    Request poll(Predicate<Request> passes) {
        if (size == 0) {
            return null;
        }
        lock.lock();
        try {
            for (Iterator<Request> each = queue.iterator(); each.hasNext();) {
                Request request = each.next();
                if (passes.test(request)) {
                    each.remove();
                    size = queue.size();
                    return request;
                }
            }
            return null;
        } finally {
            lock.unlock();
        }
    }

    /** Takes out all that pass. */
    List<Request> remove(Predicate<Request> passes) {
        List<Request> removed = new ArrayList<>();
        for (Request request; (request = poll(passes)) != null;) {
            removed.add(request);
        }
        return removed;
    }

    int size() {
        return size;
    }

    /** A request gives its place up; called before its consumer is told, so that this one finds the place free. */
    void leaves() {
        lock.lock();
        try {
            placed--;
        } finally {
            lock.unlock();
        }
    }

    /** A request has ended, and its consumer knows. */
    void ended() {
        lock.lock();
        try {
            if (--open == 0) {
                nothingLeft.signalAll();
            }
        } finally {
            lock.unlock();
        }
    }

    long refused() {
        lock.lock();
        try {
            return refused;
        } finally {
            lock.unlock();
        }
    }

    /** Takes no more; waits until all have ended. */
    boolean drain(Duration limit) throws InterruptedException {
        lock.lock();
        try {
            draining = true;
            long nanos = TimeUnit.NANOSECONDS.convert(limit);
            while (open > 0) {
                if (nanos <= 0) {
                    return false;
                }
                nanos = nothingLeft.awaitNanos(nanos);
            }
            return true;
        } finally {
            lock.unlock();
        }
    }

    void close() {
        lock.lock();
        try {
            closed = true;
        } finally {
            lock.unlock();
        }
    }
}
