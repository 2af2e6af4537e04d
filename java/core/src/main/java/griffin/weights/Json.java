package griffin.weights;

import griffin.error.ModelFormatException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.TokenStreamLocation;
import tools.jackson.core.json.JsonFactory;

/**
 * Reads small JSON files of unknown origin to a tree of {@code Map<String, Object>}, {@code List<Object>}, {@link String}, {@link Long},
 * {@link Double} (also for integers beyond a long), {@link Boolean} and null. Size, depth, number of tokens and lengths are limited and
 * duplicate keys refused; every fault is a {@link ModelFormatException} that names the file and the position.
 */
public final class Json {

    /** Largest file that is read, in bytes. */
    public static final long MAX_BYTES = 100_000_000;

    private static final int MAX_DEPTH = 64;
    private static final long MAX_TOKENS = 4_000_000;

    private static final JsonFactory FACTORY = JsonFactory.builder().streamReadConstraints(StreamReadConstraints.builder()
            .maxDocumentLength(MAX_BYTES).maxNestingDepth(MAX_DEPTH).maxTokenCount(MAX_TOKENS)
            .maxNumberLength(64).maxNameLength(4096).maxStringLength(1 << 20).build()).build();

    private Json() {}

    /** Reads a file of a model whose root is an object. */
    public static JsonObject object(ModelFiles files, String name) {
        String file = files.describe(name);
        try (InputStream in = files.open(name)) {
            return object(in, file);
        } catch (IOException e) {
            throw new ModelFormatException(file + " cannot be read: " + e, e);
        }
    }

    /** Reads JSON text whose root is an object; {@code file} names it in messages. */
    public static JsonObject object(String json, String file) {
        return object(new ByteArrayInputStream(json.getBytes(StandardCharsets.UTF_8)), file);
    }

    /** Reads a stream of UTF-8 whose root is an object; {@code file} names it in messages. */
    public static JsonObject object(InputStream in, String file) {
        Object root = tree(in, file);
        if (!(root instanceof Map<?, ?>)) {
            throw new ModelFormatException(file + ": expected a JSON object, found " + JsonObject.show(root));
        }
        return JsonObject.root(root, file);
    }

    /** Reads a stream of UTF-8 to a tree; {@code file} names it in messages. */
    public static Object tree(InputStream in, String file) {
        try (JsonParser parser = FACTORY.createParser(ObjectReadContext.empty(), in)) {
            JsonToken first = parser.nextToken();
            if (first == null) {
                throw new ModelFormatException(file + ": expected JSON, found nothing: is the file complete?");
            }
            Object root = value(parser, first, file);
            if (parser.nextToken() != null) {
                throw fault(file, parser.currentTokenLocation(), "text after the end of the JSON value");
            }
            return root;
        } catch (JacksonException e) {
            throw new ModelFormatException(message(file, e.getLocation(), "malformed JSON: " + e.getOriginalMessage()), e);
        }
    }

    private static Object value(JsonParser parser, JsonToken token, String file) {
        return switch (token) {
            case START_OBJECT -> members(parser, file);
            case START_ARRAY -> elements(parser, file);
            case VALUE_STRING -> parser.getString();
            case VALUE_NUMBER_INT -> parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER
                    ? (Object) parser.getDoubleValue() : (Object) parser.getLongValue();
            case VALUE_NUMBER_FLOAT -> parser.getDoubleValue();
            case VALUE_TRUE -> true;
            case VALUE_FALSE -> false;
            case VALUE_NULL -> null;
            default -> throw fault(file, parser.currentTokenLocation(), "malformed JSON: unexpected " + token);
        };
    }

    private static Map<String, Object> members(JsonParser parser, String file) {
        Map<String, Object> members = new LinkedHashMap<>();
        for (JsonToken token = parser.nextToken(); token != JsonToken.END_OBJECT; token = parser.nextToken()) {
            String key = parser.currentName();
            if (members.containsKey(key)) {
                throw fault(file, parser.currentTokenLocation(), "duplicate key '" + JsonObject.shorten(key) + "'");
            }
            members.put(key, value(parser, parser.nextToken(), file));
        }
        return members;
    }

    private static List<Object> elements(JsonParser parser, String file) {
        List<Object> elements = new ArrayList<>();
        for (JsonToken token = parser.nextToken(); token != JsonToken.END_ARRAY; token = parser.nextToken()) {
            elements.add(value(parser, token, file));
        }
        return elements;
    }

    private static ModelFormatException fault(String file, TokenStreamLocation at, String what) {
        return new ModelFormatException(message(file, at, what));
    }

    private static String message(String file, TokenStreamLocation at, String what) {
        String line = what.lines().findFirst().orElse("");
        String position = at == null || at.getLineNr() < 0 ? "" : ", line " + at.getLineNr() + " column " + at.getColumnNr();
        return file + position + ": " + JsonObject.shorten(line);
    }
}
