package griffin;

import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/** A generation as a stream: a thread of its own generates, a few pieces ahead of the reader. */
final class TextPieces implements Iterator<String> {

    private static final int AHEAD = 16;

    /** A piece, or the end, or what went wrong. */
    private record Item(String text, Throwable failure) {}

    private static final Item END = new Item(null, null);

    private final BlockingQueue<Item> queue = new ArrayBlockingQueue<>(AHEAD);
    private final Session session;
    private volatile boolean abandoned;
    private Item next;

    private TextPieces(Session session) {
        this.session = session;
    }

    static Stream<String> stream(Session session, String prompt, GenerationOptions options) {
        TextPieces pieces = new TextPieces(session);
        Thread thread = new Thread(() -> pieces.generate(prompt, options), "griffin-stream");
        thread.setDaemon(true);
        thread.start();
        return StreamSupport.stream(Spliterators.spliteratorUnknownSize(pieces, Spliterator.ORDERED | Spliterator.NONNULL), false)
                .onClose(pieces::abandon);
    }

    private void generate(String prompt, GenerationOptions options) {
        Item last = END;
        try {
            session.generate(prompt, options, new GenerationListener() {
                @Override
                public void promptRead(int tokens, int of) {
                    cancelIfAbandoned();
                }

                @Override
                public void token(int id) {
                    cancelIfAbandoned();
                }

                @Override
                public void text(String piece) {
                    put(new Item(piece, null));
                }
            });
        } catch (Throwable e) {
            last = new Item(null, e);
        }
        put(last);
    }

    /** From within the generation, so that no later one of the same session is hit. */
    private void cancelIfAbandoned() {
        if (abandoned) {
            session.cancel();
        }
    }

    /** Waits for the reader while it is slow, and no longer once it has given up. */
    private void put(Item item) {
        try {
            boolean taken = false;
            while (!taken && !abandoned) {
                taken = queue.offer(item, 100, TimeUnit.MILLISECONDS);
            }
        } catch (InterruptedException e) {
            abandoned = true;
        }
    }

    private void abandon() {
        abandoned = true;
    }

    @Override
    public boolean hasNext() {
        if (next == null) {
            try {
                next = queue.take();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                abandon();
                next = END;
            }
        }
        if (next.failure != null) {
            throw next.failure instanceof RuntimeException e ? e : new IllegalStateException(next.failure);
        }
        return next != END;
    }

    @Override
    public String next() {
        if (!hasNext()) {
            throw new NoSuchElementException();
        }
        String text = next.text;
        next = null;
        return text;
    }
}
