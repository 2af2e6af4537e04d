package griffin;

import griffin.Completion.Piece;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.concurrent.locks.LockSupport;

/**
 * Pieces on their way from the scheduler's thread to one consumer. The scheduler takes no lock and never waits; it wakes the consumer only
 * if that one waits.
 */
final class PieceQueue {

    private final AtomicReferenceArray<Piece> ring;
    /** Written by the scheduler's thread alone. */
    private volatile long put;
    /** Written by the consumer alone. */
    private volatile long taken;
    private volatile boolean ended;
    private volatile Thread waiting;

    /** @param capacity pieces it holds; the scheduler sees to it that there are never more */
    PieceQueue(int capacity) {
        ring = new AtomicReferenceArray<>(capacity);
    }

    /** Pieces that were not taken yet. */
    int size() {
        long before = taken; // read first, so that the difference is never negative
        return (int) (put - before);
    }

    /** Pieces taken so far. */
    long taken() {
        return taken;
    }

    void put(Piece piece) {
        long at = put;
        ring.setRelease((int) (at % ring.length()), piece);
        put = at + 1;
        wake();
    }

    /** Nothing more will come. */
    void end() {
        ended = true;
        wake();
    }

    private void wake() {
        Thread consumer = waiting;
        if (consumer != null) {
            LockSupport.unpark(consumer);
        }
    }

    /**
     * The next piece; waits for it.
     *
     * @param nanos how long, at most; {@link Long#MAX_VALUE} for as long as it takes
     * @return null after that time, or when nothing more will come
     */
    Piece take(long nanos) throws InterruptedException {
        long start = System.nanoTime();
        while (true) {
            boolean last = ended; // read before the queue is looked at
            long at = taken;
            if (put != at) {
                int i = (int) (at % ring.length());
                Piece piece = ring.getAcquire(i);
                ring.setRelease(i, null);
                taken = at + 1;
                return piece;
            }
            long left = nanos - (System.nanoTime() - start);
            if (last || left <= 0) {
                return null;
            }
            if (Thread.interrupted()) {
                throw new InterruptedException();
            }
            waiting = Thread.currentThread();
            if (put == at && !ended) {
                if (nanos == Long.MAX_VALUE) { // no timer, which costs a virtual thread the waking of another one
                    LockSupport.park(this);
                } else {
                    LockSupport.parkNanos(this, left);
                }
            }
            waiting = null;
        }
    }
}
