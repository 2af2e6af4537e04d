package griffin.server.engine;

import griffin.Completion;
import griffin.FinishReason;
import griffin.Generation;
import griffin.server.http.ClientGoneException;
import griffin.server.http.Exchange;
import griffin.server.http.HttpError;
import java.time.Duration;
import java.util.Optional;
import java.util.function.Consumer;

/** One generation under way, as the answer to a request: ends when the client goes. */
public final class Reply implements AutoCloseable {

    private final Completion completion;
    private final Ask ask;
    private final Reply lead;
    private final int counted;
    private final Generations owner;
    private final long submitted = System.nanoTime();
    private long firstToken;
    private boolean finished;

    /**
     * @param lead    what read the prompt for this and other choices, or null where this one reads it
     * @param counted tokens of the prompt to be measured with this one
     */
    Reply(Completion completion, Ask ask, Reply lead, int counted, Generations owner) {
        this.completion = completion;
        this.ask = ask;
        this.lead = lead;
        this.counted = counted;
        this.owner = owner;
    }

    /**
     * Hands over each piece of text as it comes, and waits for the end.
     *
     * @throws ClientGoneException when the client has gone, which ends the generation
     * @throws HttpError when the server ended it
     * @throws griffin.error.GriffinException when it failed
     */
    public Generation read(Exchange exchange, Consumer<Completion.Piece> pieces) throws InterruptedException {
        exchange.bodyServed();
        try (ClientWatch.Watched client = owner.clients().watch(exchange, completion)) {
            hand(exchange, pieces);
            if (client.gone()) {
                throw new ClientGoneException(null);
            }
        }
        Generation generation = completion.result();
        finished = true;
        if (generation.finishReason() == FinishReason.CANCELLED) {
            owner.measures().cancelled();
            throw new HttpError(503,
                    "the generation was cut off, because the server is shutting down or its text was not read for a minute",
                    "cancelled", null);
        }
        owner.finished(counted, lead == null && counted > 0 ? cachedTokens() : 0, generation);
        return generation;
    }

    private void hand(Exchange exchange, Consumer<Completion.Piece> pieces) throws InterruptedException {
        while (true) {
            Optional<Completion.Piece> piece = completion.next(Duration.ZERO);
            if (piece.isEmpty()) { // pieces that came together are sent together
                exchange.flush();
                piece = completion.next();
            }
            if (piece.isEmpty()) {
                return;
            }
            if (firstToken == 0) {
                firstToken = System.nanoTime();
                owner.measures().first(firstToken - submitted);
            }
            pieces.accept(piece.get());
        }
    }

    /** The state afterwards, if it was asked for. */
    public Optional<byte[]> state() {
        return completion.state();
    }

    /** Tokens of the prompt, what was resumed included. */
    public int promptTokens() {
        return ask.promptTokens();
    }

    /** Tokens of the prompt that a kept state had. */
    public int cachedTokens() {
        return lead != null ? lead.cachedTokens() : ask.resumed() + completion.cachedTokens();
    }

    /** Ends the generation if it has not ended. */
    @Override
    public void close() {
        if (!finished) {
            finished = true;
            owner.measures().cancelled();
        }
        completion.close();
    }
}
