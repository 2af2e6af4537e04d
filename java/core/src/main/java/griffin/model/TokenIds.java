package griffin.model;

import griffin.json.JsonObject;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;

/** Token ids in configuration files: absent, null, a number, or a list of numbers. */
final class TokenIds {

    private static final int MAX_IDS = 1024;

    private TokenIds() {}

    static OptionalInt one(JsonObject json, String key) {
        return json.has(key) ? OptionalInt.of((int) json.integer(key, 0, Integer.MAX_VALUE)) : OptionalInt.empty();
    }

    static List<Integer> list(JsonObject json, String key) {
        if (!(json.get(key) instanceof List<?> values)) {
            return one(json, key).stream().boxed().toList();
        }
        List<Integer> ids = new ArrayList<>();
        for (Object value : values) {
            if (!(value instanceof Long id) || id < 0 || id > Integer.MAX_VALUE || ids.size() == MAX_IDS) {
                throw json.fault(key, "a token id or a list of at most " + MAX_IDS + " token ids");
            }
            ids.add(id.intValue());
        }
        return List.copyOf(ids);
    }
}
