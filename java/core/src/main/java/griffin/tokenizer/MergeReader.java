package griffin.tokenizer;

import griffin.error.ModelFormatException;
import griffin.json.Excerpt;
import griffin.json.JsonScanner;

/** Reads the merges of a model, {@code ["a", "b"]} or {@code "a b"} each, against the vocabulary read before. */
final class MergeReader {

    private final JsonScanner json;
    private final String file;
    private final Pieces pieces;
    private final IntList ids;
    private final MergeList list = new MergeList();
    /** Merges mostly come in the order of the tokens they make, some to each: a look here saves a random access. */
    private int lastMerged;

    MergeReader(JsonScanner json, String file, Pieces pieces, IntList ids) {
        this.json = json;
        this.file = file;
        this.pieces = pieces;
        this.ids = ids;
    }

    MergeList list() {
        return list;
    }

    void read() {
        json.expect('[', "model merges to be an array");
        for (boolean more = json.any(']'); more; more = json.more(']')) {
            switch (json.peek()) {
                case '"' -> readJoined();
                case '[' -> readPair();
                default -> throw json.error("merge " + list.size() + ": expected a pair of tokens");
            }
        }
    }

    private void readPair() {
        json.expect('[', "'['");
        int split = json.string(0, "two strings");
        json.expect(',', "two strings");
        int length = json.string(split, "two strings");
        json.expect(']', "the end of a pair, not a third element");
        add(json.text(), split, length);
    }

    private void readJoined() {
        int length = json.string(0, "a string");
        char[] text = json.text();
        int space = 0;
        while (space < length && text[space] != ' ') {
            space++;
        }
        for (int i = space + 1; i < length; i++) {
            if (text[i] == ' ') {
                space = length;
            }
            text[i - 1] = text[i];
        }
        if (space >= length) {
            throw json.error("merge " + list.size() + ": expected two tokens with one space between them");
        }
        add(text, space, length - 1);
    }

    private void add(char[] pair, int split, int length) {
        long hash = Pieces.hash(0, pair, 0, split);
        int left = pieces.find(hash, pair, 0, split);
        int right = pieces.find(pair, split, length);
        int merged = pieces.find(lastMerged, Pieces.hash(hash, pair, split, length), pair, 0, length);
        if (left < 0 || right < 0 || merged < 0) {
            int from = left < 0 || right >= 0 ? 0 : split;
            throw new ModelFormatException(file + ": merge " + list.size() + ": expected both tokens and their concatenation in the "
                    + "vocabulary, found no token '"
                    + Excerpt.of(new String(pair, from, (left < 0 ? split : length) - from)) + "'");
        }
        lastMerged = merged;
        list.add(ids.get(left), ids.get(right), ids.get(merged), Character.codePointBefore(pair, split, 0),
                Character.codePointAt(pair, split, length));
    }
}
