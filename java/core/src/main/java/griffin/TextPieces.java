package griffin;

import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Queue;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * A generation as a stream. Each request for a piece runs as many steps as it needs, on the thread that asks; between two requests the
 * model is free for others, and a stream that nobody reads on costs nothing.
 */
final class TextPieces implements Iterator<String> {

    private final Session session;
    private final String prompt;
    private final GenerationOptions options;
    private final Queue<String> pieces = new ArrayDeque<>();
    private GenerationRun run;
    private boolean over;
    private volatile boolean closed;

    private TextPieces(Session session, String prompt, GenerationOptions options) {
        this.session = session;
        this.prompt = prompt;
        this.options = options;
    }

    static Stream<String> stream(Session session, String prompt, GenerationOptions options) {
        TextPieces pieces = new TextPieces(session, prompt, options);
        return StreamSupport.stream(Spliterators.spliteratorUnknownSize(pieces, Spliterator.ORDERED | Spliterator.NONNULL), false)
                .onClose(pieces::close);
    }

    private void close() {
        closed = true;
    }

    @Override
    public boolean hasNext() {
        while (pieces.isEmpty() && !over) {
            step();
        }
        return !pieces.isEmpty();
    }

    /** After a failure there are no more pieces. */
    private void step() {
        over = true;
        if (closed) {
            return;
        }
        over = session.inSteps(() -> {
            if (run == null) {
                run = session.start(session.encode(prompt), options, new GenerationListener() {
                    @Override
                    public void text(String piece) {
                        pieces.add(piece);
                    }
                });
            }
            if (run.step()) {
                return false;
            }
            run.result();
            return true;
        });
    }

    @Override
    public String next() {
        if (!hasNext()) {
            throw new NoSuchElementException();
        }
        return pieces.remove();
    }
}
