package griffin.tokenizer;

import griffin.error.ModelFormatException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/** Reads one JSON value as Map, List, String, Long, Double, Boolean or null: for the small parts of a file. */
final class JsonTree {

    private static final int DEPTH_LIMIT = 32;

    private JsonTree() {}

    /** The value whose first token the parser stands on. */
    static Object read(JsonParser parser, String file) {
        return read(parser, file, DEPTH_LIMIT);
    }

    private static Object read(JsonParser parser, String file, int depth) {
        if (depth == 0) {
            throw new ModelFormatException(file + ": expected at most " + DEPTH_LIMIT + " levels of nesting, found more");
        }
        return switch (parser.currentToken()) {
            case START_OBJECT -> object(parser, file, depth);
            case START_ARRAY -> {
                List<Object> list = new ArrayList<>();
                while (parser.nextToken() != JsonToken.END_ARRAY) {
                    list.add(read(parser, file, depth - 1));
                }
                yield list;
            }
            case VALUE_STRING -> parser.getString();
            case VALUE_NUMBER_INT -> parser.getLongValue();
            case VALUE_NUMBER_FLOAT -> parser.getDoubleValue();
            case VALUE_TRUE -> Boolean.TRUE;
            case VALUE_FALSE -> Boolean.FALSE;
            case VALUE_NULL -> null;
            default -> throw new ModelFormatException(file + ": expected a JSON value, found " + parser.currentToken());
        };
    }

    private static Map<String, Object> object(JsonParser parser, String file, int depth) {
        Map<String, Object> object = new LinkedHashMap<>();
        while (parser.nextToken() != JsonToken.END_OBJECT) {
            String name = parser.currentName();
            parser.nextToken();
            if (object.containsKey(name)) {
                throw new ModelFormatException(file + ": key '" + name + "' appears twice in one object");
            }
            object.put(name, read(parser, file, depth - 1));
        }
        return object;
    }
}
