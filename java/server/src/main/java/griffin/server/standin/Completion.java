package griffin.server.standin;

import griffin.Generation;
import griffin.GenerationListener;
import griffin.Griffin;
import griffin.Session;
import griffin.error.GriffinException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

public final class Completion implements AutoCloseable {
    public record Piece(String text, List<Integer> ids, List<Generation.TokenLogProbability> logProbabilities) {}

    private static final Piece END = new Piece("", List.of(), List.of());
    private final LinkedBlockingQueue<Piece> pieces = new LinkedBlockingQueue<>();
    private final CountDownLatch ended = new CountDownLatch(1);
    private volatile boolean cancelled;
    private volatile boolean done;
    private volatile Session session;
    private Generation result;
    private Throwable failure;
    private byte[] state;

    void run(Griffin griffin, Job job) {
        try (Session s = job.resume() == null ? griffin.newSession() : griffin.restore(job.resume())) {
            session = s;
            List<Integer> ids = new ArrayList<>();
            result = s.generate(job.promptIds(), job.options(), new GenerationListener() {
                @Override
                public void promptRead(int tokens, int of) {
                    if (cancelled) {
                        s.cancel();
                    }
                }

                @Override
                public void token(int id) {
                    ids.add(id);
                    if (cancelled) {
                        s.cancel();
                    }
                }

                @Override
                public void text(String piece) {
                    pieces.add(new Piece(piece, List.copyOf(ids), List.of()));
                    ids.clear();
                }
            });
            if (job.keepState()) {
                state = s.snapshot();
            }
        } catch (Throwable e) {
            failure = e;
        } finally {
            pieces.add(END);
            ended.countDown();
        }
    }

    public Optional<Piece> next() throws InterruptedException {
        return next(Duration.ofDays(1));
    }

    public Optional<Piece> next(Duration wait) throws InterruptedException {
        if (done) {
            return Optional.empty();
        }
        Piece piece = pieces.poll(wait.toNanos(), TimeUnit.NANOSECONDS);
        done = piece == END;
        return piece == null || piece == END ? Optional.empty() : Optional.of(piece);
    }

    public boolean done() {
        return done;
    }

    public Generation result() throws InterruptedException {
        ended.await();
        if (failure instanceof GriffinException e) {
            throw e;
        }
        if (failure != null) {
            throw new IllegalStateException(failure);
        }
        return result;
    }

    public Optional<byte[]> state() {
        return Optional.ofNullable(state);
    }

    public int cachedTokens() {
        return 0;
    }

    public void cancel() {
        cancelled = true;
        Session s = session;
        if (s != null) {
            s.cancel();
        }
    }

    @Override
    public void close() {
        cancel();
    }
}
