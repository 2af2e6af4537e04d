package griffin;

import griffin.sampling.SamplingParams;
import griffin.session.Sequence;
import griffin.session.States;
import griffin.text.TextStream;
import griffin.tokenizer.ChatTemplate;
import java.nio.file.Path;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Stream;

/**
 * A text in progress: its whole past is a state of constant size. It consists of exactly the tokens that were given to it or
 * reported by it, however a generation ended, so it can be continued, saved, forked and resumed at any point, also by a listener.
 * Listeners must not generate, score or close what is generating: that throws IllegalStateException, as does every use after
 * {@link #close}.
 */
public final class Session implements AutoCloseable {

    private final Griffin griffin;
    private final Sequence sequence;
    private volatile boolean cancelled;
    /** Whether steps of this session are being run; guarded by the model's turn. */
    private boolean running;

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
        return inSteps(() -> run(start(encode(prompt), options, listener)));
    }

    /** The same with token ids, which are taken as they are: no BOS is added. Works without a tokenizer, too. */
    public Generation generate(int[] promptIds, GenerationOptions options, GenerationListener listener) {
        return inSteps(() -> run(start(promptIds, options, listener)));
    }

    private static Generation run(GenerationRun run) {
        boolean more = true;
        while (more) {
            more = run.step();
        }
        return run.result();
    }

    /** A generation to be run {@link #inSteps}. */
    GenerationRun start(int[] promptIds, GenerationOptions options, GenerationListener listener) {
        cancelled = false;
        SamplingParams sampling = options.sampling() != null ? options.sampling() : griffin.defaultSampling();
        int[] endIds = options.ignoreEos() ? new int[0] : griffin.endIds();
        TextStream text = griffin.hasTokenizer() ? new TextStream(griffin.tokenizer(), options.stop(), listener::text)
                : TextStream.none(options.stop());
        return new GenerationRun(this, promptIds, sampling, options.maxTokens(), endIds, text, listener);
    }

    /** Runs steps of this session with the device to oneself; from within its listeners no others can be run. */
    <T> T inSteps(Supplier<T> steps) {
        return griffin.exclusively(() -> griffin.inSteps(() -> {
            running = true;
            try {
                return steps.get();
            } finally {
                running = false;
            }
        }));
    }

    /**
     * Gives a user's message in the model's chat form and generates the reply. The history lives in the state: a turn costs its own
     * tokens only.
     */
    public Generation chat(String message, GenerationOptions options, GenerationListener listener) {
        ChatTemplate template = new ChatTemplate(griffin.tokenizer());
        return inSteps(() -> run(start(sequence.empty() ? template.firstUserTurn(message)
                : template.nextUserTurn(message, sequence.lastId() == template.endOfTurn()), options, listener)));
    }

    /**
     * The same as a stream of pieces of text. Each is generated when it is asked for, on the thread that asks: the prompt is read with
     * the first, and no more tokens are sampled than it takes to have the next. In between the model is free, also for this session's
     * {@link #snapshot}, {@link #save} and {@link #fork}; once this session has generated or read anything else, the stream cannot go
     * on and says so. A stream may be left unread. Closing it, or {@link #cancel}, ends it.
     */
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
        inSteps(() -> {
            sequence.score(ids, rows::row);
            return null;
        });
    }

    /** The ids of a text, with BOS at the beginning of a session. */
    int[] encode(String prompt) {
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
        return snapshot(StateCompression.NONE);
    }

    /** The same, compressed. */
    public byte[] snapshot(StateCompression compression) {
        return griffin.exclusively(() -> griffin.states().snapshot(sequence, compression.packing()));
    }

    /** Writes the session to a file, for {@link Griffin#load}: whole or not at all. */
    public void save(Path file) {
        save(file, StateCompression.NONE);
    }

    /** The same, compressed. */
    public void save(Path file, StateCompression compression) {
        States.write(snapshot(compression), file); // the model is free for others while the file is written
    }

    /**
     * Whether a step failed midway, as when the device did or memory ran out: the session's state cannot be relied upon, so it can
     * neither go on nor be saved. {@link #close} is all that is left.
     */
    public boolean broken() {
        return sequence.broken();
    }

    /**
     * Frees the session's state; it cannot be used any more.
     *
     * @throws IllegalStateException within a listener of a generation of this session
     */
    @Override
    public void close() {
        griffin.exclusivelyIfOpen(() -> {
            if (running) {
                throw new IllegalStateException("a session cannot be closed by a listener of its own generation: cancel it, and close it "
                        + "when the call has returned");
            }
            sequence.close();
        });
    }
}
