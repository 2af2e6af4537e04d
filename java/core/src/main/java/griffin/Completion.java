package griffin;

import griffin.error.DeviceException;
import griffin.error.GriffinException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

/**
 * One generation of a {@link Scheduler}, as its consumer sees it: pieces as they come, then the result. A consumer that reads no pieces
 * calls {@link #result} alone. One that begins to read and stops does not hold up others: after {@value #BACKLOG} pieces that were not
 * taken its sequence rests until half of them are, and if it takes none for {@value #PATIENCE_SECONDS} seconds the generation is
 * cancelled.
 */
public final class Completion implements AutoCloseable {

    /** Pieces that may wait for their consumer. */
    static final int BACKLOG = 1024;
    /** How long a sequence rests for a consumer that takes nothing. */
    static final int PATIENCE_SECONDS = 60;

    /**
     * What one token has added; the last piece may have no token, only text that was held back.
     *
     * @param text             text that is complete, often empty: never half a character, never the beginning of a stop string
     * @param ids              the ids reported with it
     * @param logProbabilities one for each id, or empty if not asked for
     */
    public record Piece(String text, List<Integer> ids, List<Generation.TokenLogProbability> logProbabilities) {}

    private final PieceQueue queue;
    private final Runnable wake;
    private final CountDownLatch ended = new CountDownLatch(1);
    private final ReentrantLock reading = new ReentrantLock();
    private volatile boolean cancelled;
    /** Whether nobody wants the pieces that are still to come. */
    private volatile boolean unread;
    /** Whether the sequence rests until pieces are taken. */
    private volatile boolean resting;
    private final int backlog;
    private volatile int cachedTokens;
    private Generation generation;
    private Throwable failure;
    private Supplier<byte[]> state;
    private byte[] stateBytes;

    /** @param wake makes the scheduler look at this completion */
    Completion(int backlog, Runnable wake) {
        this.backlog = backlog;
        this.wake = wake;
        queue = new PieceQueue(backlog + 1);
    }

    // ---- the consumer's side

    /** The next piece; waits for it. Empty when the generation has ended, which {@link #result} then tells about. */
    public Optional<Piece> next() throws InterruptedException {
        return take(Long.MAX_VALUE);
    }

    /** The same, waiting no longer than {@code wait}; {@link #done} tells an end from a wait that was too short. */
    public Optional<Piece> next(Duration wait) throws InterruptedException {
        return take(wait.compareTo(Duration.ofNanos(Long.MAX_VALUE)) >= 0 ? Long.MAX_VALUE : wait.toNanos());
    }

    private Optional<Piece> take(long nanos) throws InterruptedException {
        long start = System.nanoTime();
        if (!reading.tryLock(nanos, TimeUnit.NANOSECONDS)) { // two threads that read share the pieces
            return Optional.empty();
        }
        try {
            Piece piece = queue.take(nanos == Long.MAX_VALUE ? nanos : nanos - (System.nanoTime() - start));
            if (piece != null && resting && queue.size() <= backlog / 2) {
                wake.run();
            }
            return Optional.ofNullable(piece);
        } finally {
            reading.unlock();
        }
    }

    /** Whether the generation has ended and every piece was taken. */
    public boolean done() {
        return ended.getCount() == 0 && queue.size() == 0;
    }

    /**
     * Waits for the end and tells what came of it. From this call on no pieces are made: take them first, or not at all.
     *
     * @throws GriffinException what it failed with
     */
    public Generation result() throws InterruptedException {
        unread = true;
        if (resting) {
            wake.run();
        }
        ended.await();
        if (failure instanceof GriffinException known) {
            throw known;
        }
        if (failure != null) {
            throw new DeviceException("the generation failed: " + failure, failure);
        }
        return generation;
    }

    /**
     * The state that the generation left, as {@link Session#snapshot} gives it: exactly the tokens of the state that was resumed, the prompt's
     * that were read, and those that were reported. Empty if the job did not ask to keep it, if there is none, or if it failed.
     *
     * @throws IllegalStateException before the end
     */
    public synchronized Optional<byte[]> state() {
        if (ended.getCount() > 0) {
            throw new IllegalStateException("the generation has not ended yet, so its state still changes: wait for result()");
        }
        if (state != null) { // made by who wants it, so that the scheduler spends no time on it
            stateBytes = state.get();
            state = null;
        }
        return Optional.ofNullable(stateBytes);
    }

    /** Prompt tokens whose state was found in the prefix cache, so that they were not read. */
    public int cachedTokens() {
        return cachedTokens;
    }

    /** Ends it after the token it is at; its place is free within one step. From any thread; nothing happens after the end. */
    public void cancel() {
        cancelled = true;
        wake.run();
    }

    /** {@link #cancel}. */
    @Override
    public void close() {
        cancel();
    }

    // ---- the scheduler's side

    boolean cancelled() {
        return cancelled;
    }

    /** Whether pieces are still wanted. */
    boolean read() {
        return !unread;
    }

    void put(Piece piece) {
        queue.put(piece);
    }

    /** Whether too many pieces wait. */
    boolean full() {
        return !unread && queue.size() >= backlog;
    }

    /** Whether enough of them were taken to go on. */
    boolean drained() {
        return unread || queue.size() <= backlog / 2;
    }

    long taken() {
        return queue.taken();
    }

    void resting(boolean value) {
        resting = value;
    }

    void cachedTokens(int tokens) {
        cachedTokens = tokens;
    }

    /** @param kept makes the snapshot, or null */
    void end(Generation result, Supplier<byte[]> kept) {
        generation = result;
        synchronized (this) {
            state = kept;
        }
        finish();
    }

    void fail(Throwable why) {
        failure = why;
        finish();
    }

    private void finish() {
        ended.countDown();
        queue.end();
    }
}
