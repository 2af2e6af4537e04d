package griffin.server.openai;

import griffin.server.json.JsonObject;
import java.util.ArrayList;
import java.util.List;

/** The prompts of a completion: a text, several texts, token ids, or several lists of them. */
final class TextPrompts {

    private static final int MOST = 128;
    private static final String EXPECTED = "a string, token ids, or an array of either";

    private TextPrompts() {}

    /** Each a String or an int[], at least one. */
    static List<Object> read(JsonObject body) {
        Object prompt = body.raw("prompt");
        if (prompt == null) {
            throw body.missing("prompt", EXPECTED);
        }
        if (prompt instanceof String) {
            return List.of(prompt);
        }
        if (!(prompt instanceof List<?> list) || list.isEmpty()) {
            throw body.wrong("prompt", EXPECTED, prompt);
        }
        if (list.getFirst() instanceof Number) {
            return List.of(ids(body, list));
        }
        if (list.size() > MOST) {
            throw body.refuse("prompt", "at most " + MOST + " prompts in one request");
        }
        List<Object> prompts = new ArrayList<>();
        for (Object one : list) {
            if (!(one instanceof String) && !(one instanceof List<?> inner && !inner.isEmpty())) {
                throw body.wrong("prompt", EXPECTED, one);
            }
            prompts.add(one instanceof List<?> inner ? ids(body, inner) : one);
        }
        return prompts;
    }

    private static int[] ids(JsonObject body, List<?> values) {
        int[] ids = new int[values.size()];
        for (int i = 0; i < ids.length; i++) {
            if (!(values.get(i) instanceof Long id) || id < 0 || id > Integer.MAX_VALUE) {
                throw body.wrong("prompt", "token ids throughout", values.get(i));
            }
            ids[i] = (int) (long) id;
        }
        return ids;
    }
}
