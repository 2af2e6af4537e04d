package griffin.server.json;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/**
 * An object that a client sent. Each question names a field and the kind of value it must have; null is as good as absent, and a value of
 * another kind is refused in words.
 */
public final class JsonObject {

    private final Map<String, Object> fields;
    private final String path;

    private JsonObject(Map<String, Object> fields, String path) {
        this.fields = fields;
        this.path = path;
    }

    /**
     * Reads a body.
     *
     * @throws BadJsonException when it is not exactly one JSON object in UTF-8
     */
    public static JsonObject parse(byte[] body) {
        return new JsonObject(JsonReader.read(body), "");
    }

    /** The object that has no fields. */
    public static JsonObject empty() {
        return new JsonObject(Map.of(), "");
    }

    public boolean has(String name) {
        return fields.get(name) != null;
    }

    /** The value as it was parsed: String, Long, Double, Boolean, List or Map; null when absent. */
    public Object raw(String name) {
        return fields.get(name);
    }

    public Optional<String> string(String name) {
        return get(name, "a string", v -> v instanceof String s ? s : null);
    }

    /**
     * The value of a field that must be there.
     *
     * @throws BadJsonException when it is not
     */
    public String requiredString(String name) {
        return string(name).orElseThrow(() -> missing(name, "a string"));
    }

    public Optional<Boolean> bool(String name) {
        return get(name, "true or false", v -> v instanceof Boolean b ? b : null);
    }

    /** A number that must lie in a range. */
    public Optional<Double> number(String name, double least, double most) {
        String expected = "a number from " + plain(least) + " to " + plain(most);
        return get(name, expected, v -> v instanceof Number n && n.doubleValue() >= least && n.doubleValue() <= most ? n.doubleValue()
                : null);
    }

    /** A whole number that must lie in a range; 3.0 is one, too. */
    public Optional<Long> integer(String name, long least, long most) {
        return get(name, "a whole number from " + least + " to " + most, v -> {
            Long value = v instanceof Long l ? l : v instanceof Double d && d == Math.rint(d) && Math.abs(d) < 1L << 53 ? d.longValue()
                    : null;
            return value != null && value >= least && value <= most ? value : null;
        });
    }

    public Optional<JsonObject> object(String name) {
        return get(name, "an object", v -> v instanceof Map<?, ?> m ? new JsonObject(cast(m), at(name) + ".") : null);
    }

    /** A list whose elements are all objects. */
    public Optional<List<JsonObject>> objects(String name) {
        Optional<List<?>> list = list(name, "an array of objects");
        return list.map(values -> {
            List<JsonObject> out = new ArrayList<>();
            for (Object value : values) {
                if (!(value instanceof Map<?, ?> map)) {
                    throw wrong(name + "[" + out.size() + "]", "an object", value);
                }
                out.add(new JsonObject(cast(map), at(name) + "[" + out.size() + "]."));
            }
            return out;
        });
    }

    /** A list, or anything else as a list of one; empty when absent. */
    public List<?> listOrOne(String name) {
        Object value = fields.get(name);
        return value == null ? List.of() : value instanceof List<?> list ? list : List.of(value);
    }

    /** A string, or a list of strings; empty when absent. */
    public List<String> strings(String name) {
        List<String> out = new ArrayList<>();
        for (Object value : listOrOne(name)) {
            if (!(value instanceof String s)) {
                throw wrong(name, "a string or an array of strings", value);
            }
            out.add(s);
        }
        return out;
    }

    /** Whether the field has something in it: not absent, null, false, 0, or an empty string, list or object. */
    public boolean isSet(String name) {
        return switch (fields.get(name)) {
            case null -> false;
            case Boolean b -> b;
            case Number n -> n.doubleValue() != 0;
            case String s -> !s.isEmpty();
            case List<?> l -> !l.isEmpty();
            case Map<?, ?> m -> !m.isEmpty();
            default -> true;
        };
    }

    private Optional<List<?>> list(String name, String expected) {
        return get(name, expected, v -> v instanceof List<?> l ? l : null);
    }

    private <T> Optional<T> get(String name, String expected, Function<Object, T> convert) {
        Object value = fields.get(name);
        if (value == null) {
            return Optional.empty();
        }
        T converted = convert.apply(value);
        if (converted == null) {
            throw wrong(name, expected, value);
        }
        return Optional.of(converted);
    }

    /** The refusal of a field that is not there. */
    public BadJsonException missing(String name, String expected) {
        return new BadJsonException(at(name) + " is missing: it must be " + expected, at(name));
    }

    /** The refusal of a field's value. */
    public BadJsonException wrong(String name, String expected, Object found) {
        return new BadJsonException(at(name) + " must be " + expected + ", not " + describe(found), at(name));
    }

    /** The refusal of a field for another reason. */
    public BadJsonException refuse(String name, String why) {
        return new BadJsonException(at(name) + ": " + why, at(name));
    }

    private String at(String name) {
        return path + name;
    }

    private static String describe(Object value) {
        return switch (value) {
            case null -> "null";
            case String s -> "the string \"" + (s.length() <= 40 ? s : s.substring(0, 40) + "...") + "\"";
            case List<?> l -> "an array of " + l.size();
            case Map<?, ?> m -> "an object";
            default -> value.toString();
        };
    }

    private static String plain(double value) {
        return value == Math.rint(value) && Math.abs(value) < 1e15 ? Long.toString((long) value) : Double.toString(value);
    }

    @SuppressWarnings("unchecked") // the reader puts nothing but strings there
    private static Map<String, Object> cast(Map<?, ?> map) {
        return (Map<String, Object>) map;
    }
}
