package griffin;

import griffin.sampling.SamplingParams;
import griffin.session.Sequence;
import griffin.text.TextStream;
import griffin.tokenizer.ChatTemplate;
import java.nio.file.Path;
import java.util.function.Consumer;
import java.util.stream.Stream;

/**
 * A text in progress: its whole past is a state of constant size. It consists of exactly the tokens that were given to it or
 * reported by it, however a generation ended, so it can be continued, saved, forked and resumed at any point.
 */
public final class Session implements AutoCloseable {

    private final Griffin griffin;
    private final Sequence sequence;
    private volatile boolean cancelled;

    Session(Griffin griffin, Sequence sequence) {
        this.griffin = griffin;
        this.sequence = sequence;
    }

    /** Continues with {@code prompt}, by the model's own sampling and until it ends, at most 400 tokens. */
    public Generation generate(String prompt) {
        return generate(prompt, GenerationOptions.DEFAULT, piece -> {});
    }

    /** Continues with {@code prompt}; {@code text} receives the pieces of text as they come. */
    public Generation generate(String prompt, GenerationOptions options, Consumer<String> text) {
        return generate(prompt, options, new GenerationListener() {
            @Override
            public void text(String piece) {
                text.accept(piece);
            }
        });
    }

    /**
     * Appends {@code prompt} to the session (after BOS, if the session is empty) and generates. An empty prompt continues where the last
     * call stopped.
     */
    public Generation generate(String prompt, GenerationOptions options, GenerationListener listener) {
        return generate(encode(prompt), options, listener);
    }

    /** The same with token ids, which are taken as they are: no BOS is added. Works without a tokenizer, too. */
    public Generation generate(int[] promptIds, GenerationOptions options, GenerationListener listener) {
        return griffin.exclusively(() -> {
            cancelled = false;
            SamplingParams sampling = options.sampling() != null ? options.sampling() : griffin.defaultSampling();
            int[] endIds = options.ignoreEos() ? new int[0] : griffin.endIds();
            TextStream text = griffin.hasTokenizer() ? new TextStream(griffin.tokenizer(), options.stop(), listener::text)
                    : TextStream.none(options.stop());
            return new GenerationRun(this, promptIds, sampling, text, listener).run(options.maxTokens(), endIds);
        });
    }

    /**
     * Gives a user's message in the model's chat form and generates the reply. The history lives in the state: a turn costs its own
     * tokens only.
     */
    public Generation chat(String message, GenerationOptions options, GenerationListener listener) {
        ChatTemplate template = new ChatTemplate(griffin.tokenizer());
        int[] ids = sequence.empty() ? template.firstUserTurn(message)
                : template.nextUserTurn(message, sequence.lastId() == template.endOfTurn());
        return generate(ids, options, listener);
    }

    /** The same as a stream of pieces of text, generated as they are asked for; closing the stream cancels. */
    public Stream<String> stream(String prompt, GenerationOptions options) {
        return TextPieces.stream(this, prompt, options);
    }

    /** Reads text or context without generating. */
    public Generation read(String text, GenerationListener listener) {
        return generate(text, GenerationOptions.DEFAULT.withMaxTokens(0), listener);
    }

    /** Receives the logits of {@link Session#score}. */
    @FunctionalInterface
    public interface LogitsConsumer {

        /**
         * The logits after one more token.
         *
         * @param index  which of the given ids it is, from 0
         * @param logits float32 [V], after the soft cap; overwritten by the next row
         */
        void row(int index, float[] logits);
    }

    /**
     * Appends ids, as they are, and hands over the logits after each. The rows of long inputs are never held together, so memory does
     * not grow with their number. What follows must give at least one token, since none is left to sample from.
     *
     * @param ids  at least one id; no BOS is added
     * @param rows called once per id, in order, on this thread; an exception it throws ends the reading and comes out of this method
     */
    public void score(int[] ids, LogitsConsumer rows) {
        griffin.exclusively(() -> {
            sequence.score(ids, rows::row);
            return null;
        });
    }

    private int[] encode(String prompt) {
        int[] ids = griffin.tokenizer().encode(prompt);
        if (!sequence.empty() || griffin.bosId().isEmpty()) {
            return ids;
        }
        int[] withBos = new int[ids.length + 1];
        withBos[0] = griffin.bosId().get();
        System.arraycopy(ids, 0, withBos, 1, ids.length);
        return withBos;
    }

    /** Ends a generation under way after the token it is at; from any thread, or from a listener. */
    public void cancel() {
        cancelled = true;
    }

    boolean cancelled() {
        return cancelled;
    }

    Sequence sequence() {
        return sequence;
    }

    /** Tokens of the session so far, read and generated. */
    public int length() {
        return sequence.length();
    }

    /** A second session that goes on from here. */
    public Session fork() {
        return griffin.exclusively(() -> new Session(griffin, sequence.fork()));
    }

    /** The session as bytes, for {@link Griffin#restore}. */
    public byte[] snapshot() {
        return griffin.exclusively(() -> griffin.states().snapshot(sequence));
    }

    /** Writes the session to a file, for {@link Griffin#load}: whole or not at all. */
    public void save(Path file) {
        griffin.exclusively(() -> {
            griffin.states().save(sequence, file);
            return null;
        });
    }

    /** Frees the session's state. */
    @Override
    public void close() {
        griffin.exclusivelyIfOpen(sequence::close);
    }
}
