package griffin.tokenizer;

import java.util.BitSet;

/**
 * The added tokens that are not special (in some of Gemma's files runs of line ends and HTML tags). They are taken out of
 * the text before the encoding proper, the leftmost first and of those the longest.
 */
final class AddedTokens {

    private final Vocabulary vocabulary;
    private final BitSet ids;
    private final BitSet firstCharacters = new BitSet();
    private int longest;

    AddedTokens(Vocabulary vocabulary, BitSet ids) {
        this.vocabulary = vocabulary;
        this.ids = ids;
        for (int id = ids.nextSetBit(0); id >= 0; id = ids.nextSetBit(id + 1)) {
            String piece = vocabulary.piece(id);
            firstCharacters.set(piece.charAt(0));
            longest = Math.max(longest, piece.length());
        }
    }

    boolean isEmpty() {
        return ids.isEmpty();
    }

    boolean contains(int id) {
        return ids.get(id);
    }

    /** Id of the longest added token that {@code text} has at {@code from}, or -1. */
    int longestAt(char[] text, int from) {
        if (!firstCharacters.get(text[from])) {
            return -1;
        }
        int found = -1;
        long hash = 0;
        for (int i = from, end = Math.min(text.length, from + longest); i < end; i++) {
            hash = Pieces.hash(hash, text[i]);
            int id = vocabulary.id(hash, text, from, i + 1);
            if (id >= 0 && ids.get(id)) {
                found = id;
            }
        }
        return found;
    }
}
