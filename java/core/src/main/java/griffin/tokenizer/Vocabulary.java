package griffin.tokenizer;

import java.util.Arrays;
import java.util.BitSet;

/** Every token of a model by id: its characters, whether it is special, and the tokens that single characters start from. */
final class Vocabulary {

    /** What the tokens write in place of a space: U+2581. */
    static final char SPACE = '\u2581';

    private final Pieces pieces;
    /** Id of entry e, and entry of id i: the same permutation of {@code 0 .. size - 1} both ways. */
    private final int[] idOfEntry;
    private final int[] entryOfId;
    private final BitSet special;
    /** Id + 1 of the token that is exactly this character, 0 where none is; special tokens are left out. */
    private final int[] characterIds = new int[1 << 16];
    /** Id of the token that stands for this byte, or -1. */
    private final int[] byteIds = new int[256];
    private final BitSet bytes = new BitSet();

    Vocabulary(Pieces pieces, int[] idOfEntry, BitSet special) {
        this.pieces = pieces;
        this.idOfEntry = idOfEntry;
        this.special = special;
        this.entryOfId = new int[idOfEntry.length];
        Arrays.fill(byteIds, -1);
        for (int entry = 0; entry < idOfEntry.length; entry++) {
            int id = idOfEntry[entry];
            entryOfId[id] = entry;
            int start = pieces.start(entry);
            if (pieces.end(entry) - start == 1 && !special.get(id)) {
                characterIds[pieces.chars()[start]] = id + 1;
            }
        }
        for (int b = 0; b < 256; b++) {
            int entry = pieces.find(bytePiece(b));
            byteIds[b] = entry < 0 || special.get(idOfEntry[entry]) ? -1 : idOfEntry[entry];
            if (byteIds[b] >= 0) {
                bytes.set(byteIds[b]);
            }
        }
    }

    /** Name of a byte's token, as in {@code <0x0A>}. */
    static String bytePiece(int b) {
        String hex = "0123456789ABCDEF";
        return "<0x".concat(hex.substring(b >> 4, (b >> 4) + 1)).concat(hex.substring(b & 15, (b & 15) + 1)).concat(">");
    }

    int size() {
        return entryOfId.length;
    }

    boolean contains(int id) {
        return id >= 0 && id < entryOfId.length;
    }

    boolean isSpecial(int id) {
        return special.get(id);
    }

    String piece(int id) {
        return pieces.string(entryOfId[id]);
    }

    /** Id of the token that is exactly {@code text}, or -1. */
    int id(String text) {
        int entry = pieces.find(text);
        return entry < 0 ? -1 : idOfEntry[entry];
    }

    int id(long hash, char[] text, int from, int to) {
        int entry = pieces.find(hash, text, from, to);
        return entry < 0 ? -1 : idOfEntry[entry];
    }

    /** Id of the ordinary token that is exactly this code point, or -1. */
    int characterId(int codePoint) {
        if (codePoint < 1 << 16) {
            return characterIds[codePoint] - 1;
        }
        char[] pair = Character.toChars(codePoint);
        int entry = pieces.find(pair, 0, 2);
        return entry < 0 || special.get(idOfEntry[entry]) ? -1 : idOfEntry[entry];
    }

    /** Id of the token of this byte (0 to 255), or -1. */
    int byteId(int b) {
        return byteIds[b];
    }

    /** Whether {@link #byteId} gives {@code id} for some byte. */
    boolean isByte(int id) {
        return bytes.get(id);
    }

    /** The byte that token {@code id} stands for, or -1 for a token that is text. */
    int byteOf(int id) {
        int entry = entryOfId[id];
        int start = pieces.start(entry);
        char[] chars = pieces.chars();
        if (pieces.end(entry) - start != 6 || chars[start] != '<' || chars[start + 1] != '0' || chars[start + 2] != 'x'
                || chars[start + 5] != '>') {
            return -1;
        }
        int high = hex(chars[start + 3]);
        int low = hex(chars[start + 4]);
        return high < 0 || low < 0 ? -1 : high << 4 | low;
    }

    private static int hex(char c) {
        return c < 128 ? Character.digit(c, 16) : -1;
    }

    /** Appends the text of token {@code id}, with spaces where the token has U+2581. */
    void appendText(int id, StringBuilder out) {
        int entry = entryOfId[id];
        char[] chars = pieces.chars();
        for (int i = pieces.start(entry), end = pieces.end(entry); i < end; i++) {
            out.append(chars[i] == SPACE ? ' ' : chars[i]);
        }
    }
}
