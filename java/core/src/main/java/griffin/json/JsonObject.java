package griffin.json;

import griffin.error.ModelFormatException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** One JSON object with typed access; a missing key or a wrong type is a {@link ModelFormatException} naming file, key and value. */
public final class JsonObject {

    private final Map<String, Object> members;
    private final String file;
    private final String path;

    private JsonObject(Map<String, Object> members, String file, String path) {
        this.members = members;
        this.file = file;
        this.path = path;
    }

    @SuppressWarnings("unchecked")
    private static JsonObject of(Object members, String file, String path) {
        return new JsonObject((Map<String, Object>) members, file, path);
    }

    JsonObject(Map<String, Object> members, String file) {
        this(members, file, "");
    }

    /** The file this object was read from, for messages. */
    public String file() {
        return file;
    }

    /** The keys, in the order of the file. */
    public Set<String> keys() {
        return members.keySet();
    }

    /** Whether a key is present with a value other than null. */
    public boolean has(String key) {
        return members.get(key) != null;
    }

    /** The raw value of a key, or null if it is absent or null. */
    public Object get(String key) {
        return members.get(key);
    }

    /** A required integer within bounds, both included. */
    public long integer(String key, long least, long most) {
        Object value = required(key);
        if (value instanceof Long number && number >= least && number <= most) {
            return number;
        }
        throw fault(key, "an integer from " + least + " to " + most);
    }

    /** An integer within bounds, or the given value if the key is absent or null. */
    public long integer(String key, long absent, long least, long most) {
        return has(key) ? integer(key, least, most) : absent;
    }

    /** A finite number within bounds, or the given value if the key is absent or null. */
    public double number(String key, double absent, double least, double most) {
        Object value = members.get(key);
        if (value == null) {
            return absent;
        }
        if (value instanceof Number number && number.doubleValue() >= least && number.doubleValue() <= most) {
            return number.doubleValue();
        }
        throw fault(key, "a number from " + least + " to " + most);
    }

    /** A boolean, or the given value if the key is absent or null. */
    public boolean bool(String key, boolean absent) {
        Object value = members.get(key);
        if (value == null) {
            return absent;
        }
        if (value instanceof Boolean bool) {
            return bool;
        }
        throw fault(key, "true or false");
    }

    /** A required string. */
    public String string(String key) {
        if (required(key) instanceof String text) {
            return text;
        }
        throw fault(key, "a string");
    }

    /** A string, or the given value if the key is absent or null. */
    public String string(String key, String absent) {
        return has(key) ? string(key) : absent;
    }

    /** A required list. */
    public List<?> list(String key) {
        if (required(key) instanceof List<?> list) {
            return list;
        }
        throw fault(key, "a list");
    }

    /** A required object. */
    public JsonObject object(String key) {
        Object value = required(key);
        if (value instanceof Map<?, ?>) {
            return of(value, file, path + key + ".");
        }
        throw fault(key, "an object");
    }

    /** An object, or empty if the key is absent or null. */
    public Optional<JsonObject> optionalObject(String key) {
        return has(key) ? Optional.of(object(key)) : Optional.empty();
    }

    /** The error for a key whose value is not what it must be. */
    public ModelFormatException fault(String key, String expected) {
        return new ModelFormatException(
                file + ": key '" + where(key) + "' must be " + expected + ", found " + Excerpt.ofValue(members.get(key)));
    }

    private Object required(String key) {
        Object value = members.get(key);
        if (value == null) {
            String found = members.containsKey(key) ? "is null" : "is missing";
            throw new ModelFormatException(file + ": key '" + where(key) + "' " + found + "; the model cannot be read without it");
        }
        return value;
    }

    private String where(String key) {
        return Excerpt.of(path + key);
    }
}
