package griffin.backend.cuda;

import griffin.error.DeviceException;
import griffin.error.GriffinException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Pieces of weights between the thread that loads and the readers. Only a few wait at a time, so that a failure is heard soon; the first
 * failure ends the work of all and is thrown to whoever loads.
 */
final class Pieces {

    /** What a device makes of a piece: issued behind its copy, on the same stream. */
    interface Conversion {
        void issue(long raw, long to, MemorySegment stream);
    }

    /**
     * One piece.
     *
     * @param from       at most a buffer of bytes
     * @param to         device address of what is made of it
     * @param conversion null where it is copied as it is
     */
    record Piece(MemorySegment from, long to, Conversion conversion) {}

    private final int most;
    private final ArrayDeque<Piece> waiting = new ArrayDeque<>();
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition notEmpty = lock.newCondition();
    private final Condition notFull = lock.newCondition();
    private final Condition allIssued = lock.newCondition();
    private int underWay;
    private boolean ended;
    private Throwable failure;

    /** @param most pieces that wait at a time */
    Pieces(int most) {
        this.most = most;
    }

    /** Waits for room. @throws InternalError when a reader met a page that is gone @throws GriffinException after its other failures */
    void put(Piece piece) {
        lock.lock();
        try {
            while (failure == null && waiting.size() >= most) {
                notFull.awaitUninterruptibly();
            }
            throwFailure();
            waiting.add(piece);
            notEmpty.signal();
        } finally {
            lock.unlock();
        }
    }

    /** The next piece, or null when there will be none; each one taken ends in {@link #issued} or {@link #fail}. */
    Piece take() {
        lock.lock();
        try {
            while (!ended && waiting.isEmpty()) {
                notEmpty.awaitUninterruptibly();
            }
            if (ended) {
                return null;
            }
            underWay++;
            notFull.signal();
            return waiting.remove();
        } finally {
            lock.unlock();
        }
    }

    /** A piece's copy is issued: its source is not read any more. */
    void issued() {
        lock.lock();
        try {
            if (--underWay == 0 && waiting.isEmpty()) {
                allIssued.signalAll();
            }
        } finally {
            lock.unlock();
        }
    }

    void fail(Throwable e) {
        lock.lock();
        try {
            if (failure == null) {
                failure = e;
            }
            end();
        } finally {
            lock.unlock();
        }
    }

    /** Returns when all that was put is issued. @throws InternalError or GriffinException as {@link #put} does */
    void awaitIssued() {
        lock.lock();
        try {
            while (failure == null && !(waiting.isEmpty() && underWay == 0)) {
                allIssued.awaitUninterruptibly();
            }
            throwFailure();
        } finally {
            lock.unlock();
        }
    }

    /** No piece is taken any more. */
    void end() {
        lock.lock();
        try {
            ended = true;
            waiting.clear();
            notEmpty.signalAll();
            notFull.signalAll();
            allIssued.signalAll();
        } finally {
            lock.unlock();
        }
    }

    private void throwFailure() {
        switch (failure) {
            case null -> {}
            case InternalError gone -> throw gone; // a page that is not there any more: who knows the file explains it
            case GriffinException e -> throw e;
            default -> throw new DeviceException("reading weights failed: " + failure, failure);
        }
    }
}
