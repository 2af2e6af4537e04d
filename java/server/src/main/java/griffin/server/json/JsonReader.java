package griffin.server.json;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
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
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.exc.UnexpectedEndOfInputException;
import tools.jackson.core.json.JsonFactory;

/**
 * Reads a request's body: one object in UTF-8, each name once. Depth and number of values are limited, so that a body costs memory in
 * proportion to its length.
 */
final class JsonReader {

    /** Deeper than any request of the two APIs, tool schemas included. */
    private static final int MOST_DEPTH = 64;
    /** Values and names of a body; a prompt of token ids is the only thing that has many. */
    private static final long MOST_TOKENS = 1_500_000;
    private static final int MOST_NUMBER_LENGTH = 64;
    private static final JsonFactory FACTORY = JsonFactory.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .disable(StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION)
            .streamReadConstraints(StreamReadConstraints.builder().maxNestingDepth(MOST_DEPTH).maxTokenCount(MOST_TOKENS)
                    .maxNumberLength(MOST_NUMBER_LENGTH).maxStringLength(Integer.MAX_VALUE).maxNameLength(1_000).build())
            .build();

    private JsonReader() {}

    static Map<String, Object> read(byte[] body) {
        if (body.length == 0) {
            throw new BadJsonException("the body must be a JSON object; it is empty", null);
        }
        try (JsonParser parser = FACTORY.createParser(ObjectReadContext.empty(), text(body))) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                throw new BadJsonException("the body must be a JSON object, not " + (parser.currentToken() == null ? "empty"
                        : name(parser.currentToken())), null);
            }
            Map<String, Object> object = object(parser);
            if (parser.nextToken() != null) {
                throw new BadJsonException("the body must be one JSON object, and more follows it", null);
            }
            return object;
        } catch (UnexpectedEndOfInputException e) {
            throw new BadJsonException("the body is no valid JSON: it ends in the middle" + place(e), null);
        } catch (JacksonException e) {
            throw new BadJsonException("the body is no valid JSON: " + e.getOriginalMessage() + place(e), null);
        }
    }

    /** Decoded here, since the parser would guess UTF-16 and UTF-32 and let through some of what is no UTF-8. */
    private static String text(byte[] body) {
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(body)).toString();
        } catch (CharacterCodingException e) {
            throw new BadJsonException("the body is no valid UTF-8", null);
        }
    }

    private static String place(JacksonException e) {
        return e.getLocation() == null || e.getLocation().getLineNr() < 1 ? ""
                : " (line " + e.getLocation().getLineNr() + ", column " + e.getLocation().getColumnNr() + ")";
    }

    private static Map<String, Object> object(JsonParser parser) {
        Map<String, Object> object = new LinkedHashMap<>();
        while (parser.nextToken() != JsonToken.END_OBJECT) {
            String name = parser.currentName();
            parser.nextToken();
            object.put(name, value(parser));
        }
        return object;
    }

    private static List<Object> array(JsonParser parser) {
        List<Object> array = new ArrayList<>();
        while (parser.nextToken() != JsonToken.END_ARRAY) {
            array.add(value(parser));
        }
        return array;
    }

    /** Whole numbers become Long where they fit, all others Double. */
    private static Object value(JsonParser parser) {
        return switch (parser.currentToken()) {
            case START_OBJECT -> object(parser);
            case START_ARRAY -> array(parser);
            case VALUE_STRING -> parser.getString();
            case VALUE_NUMBER_INT -> parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER ? (Object) parser.getDoubleValue()
                    : (Object) parser.getLongValue();
            case VALUE_NUMBER_FLOAT -> parser.getDoubleValue();
            case VALUE_TRUE -> true;
            case VALUE_FALSE -> false;
            default -> null;
        };
    }

    private static String name(JsonToken token) {
        return switch (token) {
            case START_ARRAY -> "an array";
            case VALUE_STRING -> "a string";
            case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> "a number";
            case VALUE_TRUE, VALUE_FALSE -> "a boolean";
            default -> "null";
        };
    }
}
