package griffin.json;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads the values of a file to trees of {@code Map<String, Object>} (in the order of the file), {@code List<Object>}, {@link String},
 * {@link Long}, {@link Double} (fractions, exponents, integers beyond a long), {@link Boolean} and null. Depth, number of values and
 * length of keys are limited, so that a file's tree is not much larger than a file, and duplicate keys are refused.
 */
public final class JsonTree {

    private static final int MAX_DEPTH = 64;
    private static final int MAX_VALUES = 4_000_000;
    private static final int MAX_KEY_CHARS = 4096;

    private final JsonScanner json;
    /** Values and keys read so far, of all trees of the file. */
    private int values;

    /** Reads from where the scanner stands, which others may move between two values. */
    public JsonTree(JsonScanner json) {
        this.json = json;
    }

    /** The value that comes next. */
    public Object value() {
        return value(0);
    }

    private Object value(int depth) {
        count();
        return switch (json.peek()) {
            case '{' -> members(depth + 1);
            case '[' -> elements(depth + 1);
            case '"' -> json.string("a string");
            case 't' -> word("true", true);
            case 'f' -> word("false", false);
            case 'n' -> word("null", null);
            default -> json.number();
        };
    }

    private Object word(String word, Object value) {
        json.word(word);
        return value;
    }

    private Map<String, Object> members(int depth) {
        open('{', depth);
        Map<String, Object> members = new LinkedHashMap<>();
        for (boolean more = json.any('}'); more; more = json.more('}')) {
            json.peek();
            int start = json.position();
            String key = json.name();
            if (key.length() > MAX_KEY_CHARS || members.containsKey(key)) {
                json.position(start);
                throw json.fault(key.length() > MAX_KEY_CHARS
                        ? "expected keys of at most " + MAX_KEY_CHARS + " characters, found " + key.length()
                        : "duplicate key '" + Excerpt.of(key) + "'");
            }
            count();
            members.put(key, value(depth));
        }
        return members;
    }

    private List<Object> elements(int depth) {
        open('[', depth);
        List<Object> elements = new ArrayList<>();
        for (boolean more = json.any(']'); more; more = json.more(']')) {
            elements.add(value(depth));
        }
        return elements;
    }

    private void open(char bracket, int depth) {
        if (depth > MAX_DEPTH) {
            throw json.fault("expected at most " + MAX_DEPTH + " levels of nesting, found more");
        }
        json.expect(bracket, "'" + bracket + "'");
    }

    private void count() {
        if (++values > MAX_VALUES) {
            throw json.fault("expected at most " + MAX_VALUES + " values and keys, found more");
        }
    }
}
