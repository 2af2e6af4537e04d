package griffin.tokenizer;

import griffin.error.ModelFormatException;
import griffin.json.Excerpt;
import griffin.json.Json;
import griffin.json.JsonScanner;
import griffin.json.JsonTree;
import java.io.InputStream;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

/**
 * Reads {@code tokenizer.json}. Vocabulary and merges, the bulk of the file, are streamed into arrays that grow with what
 * was really read; the rest becomes small trees that {@link Pipeline} checks.
 */
final class TokenizerReader {

    /** Longest added token; they are searched for at every place of a text. */
    private static final int ADDED_TOKEN_LIMIT = 1000;

    private static final int BYTES_PER_TOKEN = 64;

    private final String file;
    private final JsonScanner json;
    private final JsonTree trees;
    private final Pieces pieces;
    /** Id of every entry of {@link #pieces}. */
    private final IntList ids;
    private final MergeReader merges;
    private final BitSet special = new BitSet();
    private final BitSet ordinaryAdded = new BitSet();
    private final Map<String, Object> sections = new HashMap<>();
    private final Map<String, Object> modelOptions = new HashMap<>();
    private boolean vocabularySeen;
    private boolean mergesSeen;
    /** Where the merges stand that came before the vocabulary, or -1. */
    private int mergesPostponed = -1;

    private TokenizerReader(byte[] bytes, String file) {
        this.file = file;
        this.json = new JsonScanner(bytes, file);
        this.trees = new JsonTree(json);
        // A token and the merges that make it take about this many bytes: a guess bounded by what was really read.
        this.pieces = new Pieces(bytes.length / BYTES_PER_TOKEN);
        this.ids = new IntList(bytes.length / BYTES_PER_TOKEN);
        this.merges = new MergeReader(json, file, pieces, ids);
    }

    static Tokenizer read(InputStream json, String file) {
        return new TokenizerReader(Json.bytes(json, file), file).read();
    }

    /** Looks among the added tokens, which Gemma's file has before the bulk of it; else in all of it. */
    static OptionalInt findId(InputStream input, String file, String token) {
        byte[] bytes = Json.bytes(input, file);
        JsonScanner json = new JsonScanner(bytes, file);
        json.expect('{', "the document to be an object");
        for (boolean more = json.any('}'); more; more = json.more('}')) {
            String name = json.name();
            if (name.equals("model")) {
                break;
            }
            Object section = new JsonTree(json).value();
            if (name.equals("added_tokens") && section instanceof List<?> list) {
                for (Object added : list) {
                    if (added instanceof Map<?, ?> fields && token.equals(fields.get("content")) && fields.get("id") instanceof Long id
                            && id >= 0 && id <= Integer.MAX_VALUE) {
                        return OptionalInt.of(id.intValue());
                    }
                }
            }
        }
        return new TokenizerReader(bytes, file).read().id(token);
    }

    private Tokenizer read() {
        json.expect('{', "the document to be an object");
        for (boolean more = json.any('}'); more; more = json.more('}')) {
            String name = json.name();
            if (sections.containsKey(name)) {
                throw error("name '" + Excerpt.of(name) + "' appears twice");
            }
            if (name.equals("model")) {
                readModel();
                sections.put(name, Boolean.TRUE);
            } else {
                sections.put(name, trees.value());
            }
        }
        json.end();
        if (mergesPostponed >= 0) {
            json.position(mergesPostponed);
            merges.read();
        }
        return assemble();
    }

    private void readModel() {
        json.expect('{', "model to be an object");
        for (boolean more = json.any('}'); more; more = json.more('}')) {
            String name = json.name();
            boolean again = switch (name) {
                case "vocab" -> vocabularySeen;
                case "merges" -> mergesSeen;
                default -> modelOptions.containsKey(name);
            };
            if (again) {
                throw error("name '" + Excerpt.of(name) + "' appears twice in model");
            }
            switch (name) {
                case "vocab" -> readVocabulary();
                case "merges" -> readMerges();
                default -> modelOptions.put(name, trees.value());
            }
        }
    }

    private void readVocabulary() {
        vocabularySeen = true;
        // Another type of model may keep its vocabulary in another form; then its type is the thing to report.
        checkTypeIfKnown();
        json.expect('{', "model vocab to be an object");
        for (boolean more = json.any('}'); more; more = json.more('}')) {
            int length = json.string(0, "a token");
            addPiece(json.text(), length);
            json.expect(':', "':'");
            ids.add(json.id("vocabulary"));
        }
    }

    private void checkTypeIfKnown() {
        if (modelOptions.containsKey("type") && !"BPE".equals(modelOptions.get("type"))) {
            Pipeline.checkModel(file, modelOptions);
        }
    }

    private void addPiece(char[] text, int length) {
        if (length == 0 || !pieces.add(text, length)) {
            throw error("token '" + Excerpt.of(new String(text, 0, length)) + "' " + (length == 0 ? "is empty" : "appears twice"));
        }
    }

    private void readMerges() {
        mergesSeen = true;
        checkTypeIfKnown();
        if (vocabularySeen) {
            merges.read();
        } else {
            // They refer to a vocabulary that is still to come: checked as JSON now, read then.
            json.peek();
            mergesPostponed = json.position();
            trees.value();
        }
    }

    private Tokenizer assemble() {
        if (sections.get("model") == null) {
            throw error("expected 'model', found none");
        }
        Pipeline.checkModel(file, modelOptions);
        Pipeline.check(file, sections);
        if (!vocabularySeen || !mergesSeen) {
            throw error("expected a model with 'vocab' and 'merges', found no '" + (vocabularySeen ? "merges" : "vocab") + "'");
        }
        readAddedTokens();
        int[] idOfEntry = ids.toArray();
        checkIds(idOfEntry);
        Vocabulary vocabulary = new Vocabulary(pieces, idOfEntry, special);
        checkBytes(vocabulary);
        return new Tokenizer(vocabulary, new MergeTable(merges.list(), vocabulary), ordinaryAdded);
    }

    private void readAddedTokens() {
        Object tokens = sections.get("added_tokens");
        if (tokens == null) {
            return;
        }
        if (!(tokens instanceof List<?> list)) {
            throw error("expected added_tokens to be an array, found " + Excerpt.of(tokens.toString()));
        }
        long limit = (long) ids.size() + list.size();
        for (Object token : list) {
            if (token instanceof Map<?, ?> fields && fields.get("content") instanceof String content
                    && fields.get("id") instanceof Long id && fields.get("special") instanceof Boolean isSpecial) {
                addToken(fields, content, id, isSpecial, limit);
            } else {
                throw error("expected added_tokens with id, content and special, found " + Excerpt.of(String.valueOf(token)));
            }
        }
    }

    private void addToken(Map<?, ?> fields, String content, long id, boolean isSpecial, long limit) {
        int entry = pieces.find(content);
        if (entry < 0) {
            if (id < 0 || id > Integer.MAX_VALUE) {
                throw error("added token '" + Excerpt.of(content) + "': id " + id + " is out of range");
            }
            addPiece(content.toCharArray(), content.length());
            ids.add((int) id);
        } else if (ids.get(entry) != id) {
            throw error("added token '" + Excerpt.of(content) + "': expected the vocabulary's id " + ids.get(entry) + ", found " + id);
        }
        if (id >= limit) {
            // The check of all ids will refuse it; the sets below must not grow to it.
            return;
        }
        if (isSpecial) {
            special.set((int) id);
            return;
        }
        for (String option : List.of("single_word", "lstrip", "rstrip", "normalized")) {
            if (!(fields.get(option) instanceof Boolean on) || on) {
                throw error("added token '" + Excerpt.of(content) + "': expected " + option + " false, found " + fields.get(option)
                        + "; this option is not implemented");
            }
        }
        if (content.length() > ADDED_TOKEN_LIMIT) {
            throw error("added token '" + Excerpt.of(content) + "': expected at most " + ADDED_TOKEN_LIMIT + " characters, found "
                    + content.length());
        }
        ordinaryAdded.set((int) id);
    }

    private void checkIds(int[] idOfEntry) {
        BitSet seen = new BitSet(idOfEntry.length);
        for (int entry = 0; entry < idOfEntry.length; entry++) {
            int id = idOfEntry[entry];
            if (id >= idOfEntry.length || seen.get(id)) {
                throw error("expected the " + idOfEntry.length + " tokens to have the ids 0 to " + (idOfEntry.length - 1)
                        + ", each once, found " + (id < idOfEntry.length ? "a second" : "") + " id " + id + " at token '"
                        + Excerpt.of(pieces.string(entry)) + "'");
            }
            seen.set(id);
        }
    }

    private void checkBytes(Vocabulary vocabulary) {
        for (int b = 0; b < 256; b++) {
            // No byte of UTF-8 is C0, C1, or above F4, and a space is always written U+2581.
            boolean needed = b < 0x80 ? vocabulary.characterId(b) < 0 && b != ' ' : b < 0xC0 || b >= 0xC2 && b <= 0xF4;
            if (needed && vocabulary.byteId(b) < 0) {
                throw error("expected a token for every byte, found no ordinary token '" + Vocabulary.bytePiece(b) + "'");
            }
        }
    }

    private ModelFormatException error(String message) {
        return new ModelFormatException(file + ": " + message);
    }
}
