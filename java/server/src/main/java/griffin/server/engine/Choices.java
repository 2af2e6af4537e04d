package griffin.server.engine;

import griffin.Completion;
import griffin.Generation;
import griffin.server.http.Exchange;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;

/** Reads all continuations of a request side by side; when one fails, all end. */
public final class Choices {

    private Choices() {}

    /** Receives the pieces of one continuation, in order. */
    @FunctionalInterface
    public interface Pieces {

        /** @param choice which continuation, from 0; different ones call side by side */
        void piece(int choice, Completion.Piece piece);
    }

    /** Waits for all; the replies are closed afterwards, whatever happened. */
    public static List<Generation> read(List<Reply> replies, Exchange exchange, Pieces pieces) throws InterruptedException {
        try {
            if (replies.size() == 1) {
                return List.of(replies.getFirst().read(exchange, piece -> pieces.piece(0, piece)));
            }
            return readSideBySide(replies, exchange, pieces);
        } finally {
            replies.forEach(Reply::close);
        }
    }

    private static List<Generation> readSideBySide(List<Reply> replies, Exchange exchange, Pieces pieces) throws InterruptedException {
        Generation[] results = new Generation[replies.size()];
        AtomicReference<Throwable> failure = new AtomicReference<>();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < results.length; i++) {
            int choice = i;
            threads.add(Thread.ofVirtual().name("griffin-choice-" + i).start(() -> {
                try {
                    results[choice] = replies.get(choice).read(exchange, piece -> pieces.piece(choice, piece));
                } catch (Throwable e) {
                    failure.compareAndSet(null, e);
                    replies.forEach(Reply::close);
                }
            }));
        }
        for (Thread thread : threads) {
            thread.join();
        }
        switch (failure.get()) {
            case null -> {
                return List.of(results);
            }
            case RuntimeException e -> throw e;
            case Error e -> throw e;
            case InterruptedException e -> throw e;
            case Throwable e -> throw new IllegalStateException(e);
        }
    }
}
