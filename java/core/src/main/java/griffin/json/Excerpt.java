package griffin.json;

import java.util.List;
import java.util.Map;

/** What messages show of text and values of unknown origin: at most a line, without control characters. */
public final class Excerpt {

    private static final int SHOWN_CHARS = 160;
    private static final int SHOWN_ELEMENTS = 16;

    private Excerpt() {}

    /** The text, cut to at most {@value #SHOWN_CHARS} characters and dots. */
    public static String of(String text) {
        String cut = text.length() <= SHOWN_CHARS ? text : text.substring(0, SHOWN_CHARS) + "...";
        return cut.replaceAll("\\p{Cntrl}", "?");
    }

    /** A value of a JSON tree: its type where that is not obvious, and what fits of it. */
    public static String ofValue(Object value) {
        return switch (value) {
            case null -> "null";
            case String text -> "\"" + of(text) + "\"";
            case Map<?, ?> map -> "an object with " + map.size() + " keys";
            case List<?> list when list.size() > SHOWN_ELEMENTS -> "a list of " + list.size() + " values";
            default -> of(value.toString());
        };
    }
}
