package griffin.tokenizer;

import griffin.error.InvalidRequestException;
import griffin.error.ModelFormatException;
import java.io.InputStream;
import java.util.BitSet;
import java.util.Objects;
import java.util.OptionalInt;

/**
 * Converts text to token ids and back, as a model's {@code tokenizer.json} of Gemma's kind says: byte-pair encoding in
 * which a space is written U+2581 and a character without a token of its own becomes the tokens of its UTF-8 bytes.
 *
 * <p>{@code decode(encode(s))} equals {@code s}, with two exceptions that lie in the format: a U+2581 in the text comes
 * back as a space, and a surrogate without its partner, which is no character, as U+FFFD. Everything else, control
 * characters and line ends of every kind among them, is encoded as it stands.
 *
 * <p>Immutable; may be used by any number of threads.
 */
public final class Tokenizer {

    private final Vocabulary vocabulary;
    private final MergeTable merges;
    private final AddedTokens added;

    Tokenizer(Vocabulary vocabulary, MergeTable merges, BitSet ordinaryAddedTokens) {
        this.vocabulary = vocabulary;
        this.merges = merges;
        this.added = new AddedTokens(vocabulary, ordinaryAddedTokens);
    }

    /**
     * Reads a {@code tokenizer.json}.
     *
     * @param json the file's bytes, read to the end and not closed
     * @param file what to call the file in messages
     * @throws ModelFormatException if the file is damaged, or asks for something that this tokenizer does not do: nothing
     *         is tokenised by guess
     */
    public static Tokenizer read(InputStream json, String file) {
        return TokenizerReader.read(Objects.requireNonNull(json, "json"), Objects.requireNonNull(file, "file"));
    }

    /**
     * The ids of {@code text}, without BOS. Text that spells a special token, such as {@code <bos>}, is ordinary text and
     * never yields that token's id. An empty text has no ids.
     */
    public int[] encode(String text) {
        IntList out = new IntList(text.length() / 3);
        BpeEncoder encoder = new BpeEncoder(vocabulary, merges, out);
        if (added.isEmpty()) {
            encoder.encode(text, 0, text.length());
        } else {
            encodeAroundAddedTokens(text, encoder, out);
        }
        return out.toArray();
    }

    private void encodeAroundAddedTokens(String text, BpeEncoder encoder, IntList out) {
        char[] chars = text.toCharArray();
        int from = 0;
        for (int i = 0; i < chars.length;) {
            int id = added.longestAt(chars, i);
            if (id < 0) {
                i++;
                continue;
            }
            encoder.encode(text, from, i);
            out.add(id);
            i += vocabulary.piece(id).length();
            from = i;
        }
        encoder.encode(text, from, chars.length);
    }

    /** For tests: encodes with the heap alone, and without added tokens. */
    int[] encodeByHeap(String text) {
        IntList out = new IntList(text.length());
        new BpeEncoder(vocabulary, merges, out, 2).encode(text, 0, text.length());
        return out.toArray();
    }

    /** The text of {@code ids}, special tokens left out. See {@link #decode(int[], int, int, boolean)}. */
    public String decode(int... ids) {
        return decode(ids, 0, ids.length);
    }

    /** The text of {@code ids[from, to)}, special tokens left out. See {@link #decode(int[], int, int, boolean)}. */
    public String decode(int[] ids, int from, int to) {
        return decode(ids, from, to, false);
    }

    /**
     * The text of {@code ids[from, to)}. Ids that no token has contribute nothing (a model may have more logits than its
     * tokenizer has tokens). A byte token that belongs to no valid UTF-8 sequence becomes U+FFFD. (The reference library
     * does so with every byte token of a run in which one is bad, the good ones too; here they stay, since text that was
     * streamed cannot be taken back.)
     *
     * @param renderSpecial whether special tokens appear as their names, such as {@code <eos>}; otherwise they are left out
     */
    public String decode(int[] ids, int from, int to, boolean renderSpecial) {
        Objects.checkFromToIndex(from, to, ids.length);
        StringBuilder out = new StringBuilder((to - from) * 4);
        Utf8Run run = new Utf8Run();
        for (int i = from; i < to; i++) {
            decode(ids[i], renderSpecial, run, out);
        }
        run.flush(out);
        return out.toString();
    }

    void decode(int id, boolean renderSpecial, Utf8Run run, StringBuilder out) {
        if (!vocabulary.contains(id) || !renderSpecial && vocabulary.isSpecial(id)) {
            return;
        }
        int b = vocabulary.byteOf(id);
        if (b >= 0) {
            run.append(b, out);
        } else {
            run.flush(out);
            vocabulary.appendText(id, out);
        }
    }

    /** Whether some text is encoded to token {@code id}, taken for a token that is more than one character. */
    boolean isText(int id) {
        return added.contains(id) || merges.makes(id);
    }

    /** The id of exactly this token, as the file spells it (with U+2581 for a space), special or not. */
    public OptionalInt id(String token) {
        int id = vocabulary.id(token);
        return id < 0 ? OptionalInt.empty() : OptionalInt.of(id);
    }

    /**
     * The id that {@link #id} would give after reading the file, for the price of the file's beginning where that declares the token.
     *
     * @param file names the file in messages
     * @throws ModelFormatException if what was read of it is malformed
     */
    public static OptionalInt findId(InputStream json, String file, String token) {
        return TokenizerReader.findId(json, file, token);
    }

    /** Number of tokens; ids are {@code 0} to {@code vocabularySize() - 1}. */
    public int vocabularySize() {
        return vocabulary.size();
    }

    /** Whether the file declares token {@code id} special; false for ids outside the vocabulary. */
    public boolean isSpecial(int id) {
        return id >= 0 && vocabulary.isSpecial(id);
    }

    /**
     * Token {@code id} as the file spells it.
     *
     * @throws InvalidRequestException if no token has this id
     */
    public String piece(int id) {
        if (!vocabulary.contains(id)) {
            throw new InvalidRequestException("token id " + id + " was asked for; this model's tokenizer has ids 0 to "
                    + (vocabulary.size() - 1));
        }
        return vocabulary.piece(id);
    }
}
