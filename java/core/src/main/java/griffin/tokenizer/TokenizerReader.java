package griffin.tokenizer;

import griffin.error.ModelFormatException;
import java.io.IOException;
import java.io.InputStream;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.TokenStreamFactory;
import tools.jackson.core.TokenStreamLocation;
import tools.jackson.core.json.JsonFactory;

/**
 * Reads {@code tokenizer.json}. Vocabulary and merges, the bulk of the file, are streamed into arrays that grow with what
 * was really read; the rest becomes small trees that {@link Pipeline} checks.
 */
final class TokenizerReader {

    /** Longest added token; they are searched for at every place of a text. */
    private static final int ADDED_TOKEN_LIMIT = 1000;

    private static final int BYTES_PER_TOKEN = 64;

    private final String file;
    private final byte[] bytes;
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
    private boolean mergesPostponed;

    private TokenizerReader(byte[] bytes, String file) {
        this.file = file;
        this.bytes = bytes;
        // A token and the merges that make it take about this many bytes: a guess bounded by what was really read.
        this.pieces = new Pieces(bytes.length / BYTES_PER_TOKEN);
        this.ids = new IntList(bytes.length / BYTES_PER_TOKEN);
        this.merges = new MergeReader(file, pieces, ids);
    }

    static Tokenizer read(InputStream json, String file) {
        byte[] bytes;
        try {
            bytes = json.readAllBytes();
        } catch (IOException e) {
            throw new ModelFormatException(file + ": cannot be read: " + e, e);
        }
        try {
            return new TokenizerReader(bytes, file).read();
        } catch (JacksonException e) {
            TokenStreamLocation at = e.getLocation();
            String place = at == null ? "" : " at line " + at.getLineNr() + ", column " + at.getColumnNr();
            String problem = e.getOriginalMessage();
            throw new ModelFormatException(file + ": expected a complete JSON document, found" + place + ": "
                    + problem.substring(0, Math.min(problem.length(), 300)), e);
        }
    }

    private Tokenizer read() {
        // Every token name occurs once: a table of names seen would only cost time.
        JsonFactory factory = JsonFactory.builder().disable(TokenStreamFactory.Feature.CANONICALIZE_PROPERTY_NAMES).build();
        try (JsonParser parser = factory.createParser(ObjectReadContext.empty(), bytes)) {
            readDocument(parser);
        }
        if (mergesPostponed) {
            // They stood before the vocabulary that they refer to.
            try (JsonParser parser = factory.createParser(ObjectReadContext.empty(), bytes)) {
                findMerges(parser);
            }
        }
        return assemble();
    }

    private void readDocument(JsonParser parser) {
        require(parser.nextToken(), JsonToken.START_OBJECT, "the document");
        while (parser.nextToken() != JsonToken.END_OBJECT) {
            String name = parser.currentName();
            parser.nextToken();
            if (sections.containsKey(name)) {
                throw error("key '" + name + "' appears twice");
            }
            switch (name) {
                case "model" -> {
                    readModel(parser);
                    sections.put(name, Boolean.TRUE);
                }
                case "added_tokens", "normalizer", "pre_tokenizer", "decoder" -> sections.put(name, JsonTree.read(parser, file));
                default -> {
                    parser.skipChildren();
                    sections.put(name, null);
                }
            }
        }
        if (parser.nextToken() != null) {
            throw error("expected the end of the file after the JSON object, found " + parser.currentToken());
        }
    }

    private void readModel(JsonParser parser) {
        require(parser.currentToken(), JsonToken.START_OBJECT, "model");
        while (parser.nextToken() != JsonToken.END_OBJECT) {
            String name = parser.currentName();
            parser.nextToken();
            boolean again = switch (name) {
                case "vocab" -> vocabularySeen;
                case "merges" -> mergesSeen;
                default -> modelOptions.containsKey(name);
            };
            if (again) {
                throw error("key '" + name + "' appears twice in model");
            }
            switch (name) {
                case "vocab" -> readVocabulary(parser);
                case "merges" -> readMerges(parser);
                default -> modelOptions.put(name, JsonTree.read(parser, file));
            }
        }
    }

    private void readVocabulary(JsonParser parser) {
        vocabularySeen = true;
        // Another type of model may keep its vocabulary in another form; then its type is the thing to report.
        checkTypeIfKnown();
        require(parser.currentToken(), JsonToken.START_OBJECT, "model vocab");
        for (String piece = parser.nextName(); piece != null; piece = parser.nextName()) {
            if (parser.nextToken() != JsonToken.VALUE_NUMBER_INT) {
                throw error("token '" + shorten(piece) + "': expected an integer id, found " + parser.currentToken());
            }
            addPiece(piece, parser.getLongValue());
        }
    }

    private void checkTypeIfKnown() {
        if (modelOptions.containsKey("type") && !"BPE".equals(modelOptions.get("type"))) {
            Pipeline.checkModel(file, modelOptions);
        }
    }

    private void addPiece(String piece, long id) {
        if (id < 0 || id > Integer.MAX_VALUE) {
            throw error("token '" + shorten(piece) + "': id " + id + " is out of range");
        }
        if (piece.isEmpty() || pieces.find(piece) >= 0) {
            throw error("token '" + shorten(piece) + "' " + (piece.isEmpty() ? "is empty" : "appears twice"));
        }
        for (int i = 0; i < piece.length(); i++) {
            char c = piece.charAt(i);
            if (Character.isSurrogate(c) && (!Character.isHighSurrogate(c) || ++i == piece.length()
                    || !Character.isLowSurrogate(piece.charAt(i)))) {
                throw error("the token of id " + id + " contains half a surrogate pair");
            }
        }
        pieces.add(piece);
        ids.add((int) id);
    }

    private void readMerges(JsonParser parser) {
        mergesSeen = true;
        checkTypeIfKnown();
        require(parser.currentToken(), JsonToken.START_ARRAY, "model merges");
        if (vocabularySeen) {
            merges.read(parser);
        } else {
            mergesPostponed = true;
            parser.skipChildren();
        }
    }

    private void findMerges(JsonParser parser) {
        parser.nextToken();
        for (String name = parser.nextName(); !name.equals("model"); name = parser.nextName()) {
            parser.nextToken();
            parser.skipChildren();
        }
        parser.nextToken();
        for (String name = parser.nextName(); !name.equals("merges"); name = parser.nextName()) {
            parser.nextToken();
            parser.skipChildren();
        }
        parser.nextToken();
        merges.read(parser);
    }

    private Tokenizer assemble() {
        if (sections.get("model") == null) {
            throw error("expected a key 'model', found none");
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
            throw error("expected added_tokens to be an array, found " + shorten(tokens.toString()));
        }
        long limit = (long) ids.size() + list.size();
        for (Object token : list) {
            if (token instanceof Map<?, ?> fields && fields.get("content") instanceof String content
                    && fields.get("id") instanceof Long id && fields.get("special") instanceof Boolean isSpecial) {
                addToken(fields, content, id, isSpecial, limit);
            } else {
                throw error("expected added_tokens with id, content and special, found " + shorten(String.valueOf(token)));
            }
        }
    }

    private void addToken(Map<?, ?> fields, String content, long id, boolean isSpecial, long limit) {
        int entry = pieces.find(content);
        if (entry < 0) {
            addPiece(content, id);
        } else if (ids.get(entry) != id) {
            throw error("added token '" + shorten(content) + "': expected the vocabulary's id " + ids.get(entry) + ", found " + id);
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
                throw error("added token '" + shorten(content) + "': expected " + option + " false, found " + fields.get(option)
                        + "; this option is not implemented");
            }
        }
        if (content.length() > ADDED_TOKEN_LIMIT) {
            throw error("added token '" + shorten(content) + "': expected at most " + ADDED_TOKEN_LIMIT + " characters, found "
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
                        + shorten(pieces.string(entry)) + "'");
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

    private void require(JsonToken found, JsonToken expected, String what) {
        if (found != expected) {
            throw error("expected " + what + " to be " + (expected == JsonToken.START_OBJECT ? "an object" : "an array") + ", found "
                    + found);
        }
    }

    private ModelFormatException error(String message) {
        return new ModelFormatException(file + ": " + message);
    }

    static String shorten(String text) {
        return text.length() > 60 ? text.substring(0, 60) + "..." : text;
    }
}
