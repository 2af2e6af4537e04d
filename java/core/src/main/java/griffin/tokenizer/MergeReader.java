package griffin.tokenizer;

import griffin.error.ModelFormatException;
import java.util.Arrays;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/** Reads the merges of a model, {@code ["a", "b"]} or {@code "a b"} each, against the vocabulary read before. */
final class MergeReader {

    private final String file;
    private final Pieces pieces;
    private final IntList ids;
    private final MergeList list = new MergeList();
    /** The pair being read, left and right piece without anything between them. */
    private char[] pair = new char[64];

    MergeReader(String file, Pieces pieces, IntList ids) {
        this.file = file;
        this.pieces = pieces;
        this.ids = ids;
    }

    MergeList list() {
        return list;
    }

    /** The parser stands on the array's beginning, and on its end afterwards. */
    void read(JsonParser parser) {
        for (JsonToken token = parser.nextToken(); token != JsonToken.END_ARRAY; token = parser.nextToken()) {
            if (token == JsonToken.VALUE_STRING) {
                readJoined(parser);
            } else if (token == JsonToken.START_ARRAY) {
                readPair(parser);
            } else {
                throw error("expected a pair of tokens", String.valueOf(token));
            }
        }
    }

    private void readPair(JsonParser parser) {
        int left = 0;
        int length = 0;
        for (int i = 0; i < 2; i++) {
            if (parser.nextToken() != JsonToken.VALUE_STRING) {
                throw error("expected two strings", String.valueOf(parser.currentToken()));
            }
            left = length;
            length = append(parser, length);
        }
        if (parser.nextToken() != JsonToken.END_ARRAY) {
            throw error("expected two strings", "a third element " + parser.currentToken());
        }
        add(left, length);
    }

    private void readJoined(JsonParser parser) {
        int length = append(parser, 0);
        int space = -1;
        for (int i = 0; i < length; i++) {
            if (pair[i] == ' ') {
                if (space >= 0) {
                    throw error("expected two tokens with one space between them", new String(pair, 0, length));
                }
                space = i;
            }
        }
        if (space < 0) {
            throw error("expected two tokens with one space between them", new String(pair, 0, length));
        }
        System.arraycopy(pair, space + 1, pair, space, length - space - 1);
        add(space, length - 1);
    }

    private int append(JsonParser parser, int at) {
        int length = parser.getStringLength();
        if (length > pair.length - at) {
            pair = Arrays.copyOf(pair, Math.max(Math.addExact(at, length), 2 * Math.min(pair.length, Integer.MAX_VALUE / 4)));
        }
        System.arraycopy(parser.getStringCharacters(), parser.getStringOffset(), pair, at, length);
        return at + length;
    }

    private void add(int split, int length) {
        long hash = Pieces.hash(0, pair, 0, split);
        int left = pieces.find(hash, pair, 0, split);
        int right = pieces.find(pair, split, length);
        int merged = pieces.find(Pieces.hash(hash, pair, split, length), pair, 0, length);
        if (left < 0 || right < 0 || merged < 0) {
            int from = left < 0 || right >= 0 ? 0 : split;
            throw error("expected both tokens and their concatenation in the vocabulary",
                    "no token '" + TokenizerReader.shorten(new String(pair, from, (left < 0 ? split : length) - from)) + "'");
        }
        list.add(ids.get(left), ids.get(right), ids.get(merged), Character.codePointBefore(pair, split, 0),
                Character.codePointAt(pair, split, length));
    }

    private ModelFormatException error(String expected, String found) {
        return new ModelFormatException(file + ": merge " + list.size() + ": " + expected + ", found " + TokenizerReader.shorten(found));
    }
}
