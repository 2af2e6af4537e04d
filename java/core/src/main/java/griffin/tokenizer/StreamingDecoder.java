package griffin.tokenizer;

import java.util.Objects;

/**
 * Turns tokens into text one by one. Only complete characters come out: the bytes of a character that is spread over
 * byte tokens are held back until the last one is here, everything else comes at once. All results in order, with
 * {@link #flush} at the end, are what {@link Tokenizer#decode(int[], int, int, boolean)} gives for all the ids.
 *
 * <p>May begin anywhere in a token sequence: the decoders this package accepts treat the first token like every other.
 * Not for use by several threads at once.
 */
public final class StreamingDecoder {

    private final Tokenizer tokenizer;
    private final boolean renderSpecial;
    private final Utf8Run run = new Utf8Run();
    private final StringBuilder text = new StringBuilder();

    /** A decoder that leaves out special tokens. */
    public StreamingDecoder(Tokenizer tokenizer) {
        this(tokenizer, false);
    }

    /**
     * @param renderSpecial whether special tokens appear as their names, such as {@code <eos>}; otherwise they are left out
     */
    public StreamingDecoder(Tokenizer tokenizer, boolean renderSpecial) {
        this.tokenizer = Objects.requireNonNull(tokenizer, "tokenizer");
        this.renderSpecial = renderSpecial;
    }

    /** The text that token {@code id} completes; often empty, never null. An id outside the vocabulary has no text. */
    public String append(int id) {
        append(id, text);
        return take();
    }

    /** As {@link #append(int)}, but adds to {@code out} and allocates nothing itself. */
    public void append(int id, StringBuilder out) {
        tokenizer.decode(id, renderSpecial, run, out);
    }

    /**
     * Ends the sequence: U+FFFD for every byte held back. Afterwards the decoder can start another one.
     */
    public String flush() {
        flush(text);
        return take();
    }

    /** As {@link #flush()}, but adds to {@code out}. */
    public void flush(StringBuilder out) {
        run.flush(out);
    }

    private String take() {
        String taken = text.toString();
        text.setLength(0);
        return taken;
    }
}
