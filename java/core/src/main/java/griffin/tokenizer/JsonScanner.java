package griffin.tokenizer;

import griffin.error.ModelFormatException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads JSON from bytes, for a file that is little but a million short strings: they end in one reused array, without an
 * object each, and there is little code to warm up, which is most of the time a command spends here. Strict: what JSON or
 * UTF-8 do not allow is a {@link ModelFormatException}, half a surrogate pair too.
 */
final class JsonScanner {

    private static final int DEPTH_LIMIT = 32;
    private static final int NUMBER_LIMIT = 100;

    private final byte[] bytes;
    private final String file;
    private int at;
    private char[] text = new char[256];

    JsonScanner(byte[] bytes, String file) {
        this.bytes = bytes;
        this.file = file;
    }

    int position() {
        return at;
    }

    void position(int position) {
        at = position;
    }

    /** The next byte that is not white space, which stays to be read; -1 at the end. */
    int peek() {
        while (at < bytes.length) {
            int b = bytes[at];
            if (b != ' ' && b != '\n' && b != '\r' && b != '\t') {
                return b & 0xFF;
            }
            at++;
        }
        return -1;
    }

    void expect(char c, String what) {
        if (peek() != c) {
            throw error("expected " + what);
        }
        at++;
    }

    /** Reads {@code ,} or the closing bracket; whether another element follows. */
    boolean more(char close) {
        int next = peek();
        if (next != ',' && next != close) {
            throw error("expected ',' or '" + close + "'");
        }
        at++;
        return next == ',';
    }

    /** After an opening bracket: whether there is a first element; if not, the closing one has been read. */
    boolean any(char close) {
        if (peek() == close) {
            at++;
            return false;
        }
        return true;
    }

    /** A name and its colon. */
    String name() {
        int length = string(0, "a name in quotes");
        expect(':', "':'");
        return new String(text, 0, length);
    }

    /** What {@link #string} read; valid until the next string. */
    char[] text() {
        return text;
    }

    /** Reads a string into {@link #text} from {@code offset} on; returns the offset behind it. */
    int string(int offset, String what) {
        expect('"', what);
        int length = offset;
        while (at < bytes.length) {
            int b = bytes[at++];
            if (length + 2 > text.length) {
                text = Arrays.copyOf(text, (int) Math.min(Integer.MAX_VALUE - 8, 2L * text.length));
            }
            if (b == '"') {
                return length;
            }
            if (b >= 0x20 && b != '\\') {
                text[length++] = (char) b;
            } else if (b < 0) {
                length += Character.toChars(multiByte(b & 0xFF), text, length);
            } else if (b == '\\') {
                length += Character.toChars(escape(), text, length);
            } else {
                at--;
                throw error("expected a string without control characters");
            }
        }
        throw error("expected the end of a string");
    }

    private int multiByte(int first) {
        int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
        int c = first & 0x3F >> more;
        for (int i = 0; i < more; i++) {
            int b = at < bytes.length ? bytes[at++] : 0;
            if ((b & 0xC0) != 0x80) {
                throw error("expected UTF-8");
            }
            c = c << 6 | b & 0x3F;
        }
        int least = more == 1 ? 0x80 : more == 2 ? 0x800 : 0x10000;
        if (first < 0xC2 || first > 0xF4 || c < least || c > 0x10FFFF || c >= 0xD800 && c < 0xE000) {
            throw error("expected UTF-8");
        }
        return c;
    }

    private int escape() {
        int c = at < bytes.length ? bytes[at++] : -1;
        return switch (c) {
            case '"', '\\', '/' -> c;
            case 'b' -> '\b';
            case 'f' -> '\f';
            case 'n' -> '\n';
            case 'r' -> '\r';
            case 't' -> '\t';
            case 'u' -> unicodeEscape();
            default -> throw error("expected a known escape");
        };
    }

    private int unicodeEscape() {
        char c = fourDigits();
        if (!Character.isSurrogate(c)) {
            return c;
        }
        if (Character.isHighSurrogate(c) && at + 6 <= bytes.length && bytes[at] == '\\' && bytes[at + 1] == 'u') {
            at += 2;
            char low = fourDigits();
            if (Character.isLowSurrogate(low)) {
                return Character.toCodePoint(c, low);
            }
        }
        throw error("expected both halves of a surrogate pair");
    }

    private char fourDigits() {
        int value = 0;
        for (int i = 0; i < 4; i++) {
            int digit = at < bytes.length && bytes[at] >= 0 ? Character.digit(bytes[at++], 16) : -1;
            if (digit < 0) {
                throw error("expected four hexadecimal digits");
            }
            value = value << 4 | digit;
        }
        return (char) value;
    }

    /** Reads a number: Long without fraction and exponent, else Double. */
    Object number() {
        int from = at;
        while (at < bytes.length && "+-.eE0123456789".indexOf(bytes[at]) >= 0) {
            at++;
        }
        if (at - from > NUMBER_LIMIT) {
            throw error("expected a number of at most " + NUMBER_LIMIT + " digits");
        }
        String number = new String(bytes, from, at - from, StandardCharsets.ISO_8859_1);
        // Ids, by far the most frequent; regular expressions take time to start up.
        if (isPlain(number)) {
            return Long.parseLong(number);
        }
        if (!number.matches("-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][+-]?[0-9]+)?")) {
            at = from;
            throw error("expected a value");
        }
        if (!number.matches("-?[0-9]+")) {
            return Double.parseDouble(number);
        }
        try {
            return Long.parseLong(number);
        } catch (NumberFormatException e) {
            at = from;
            throw error("expected a number of 64 bits");
        }
    }

    private static boolean isPlain(String number) {
        boolean plain = !number.isEmpty() && number.length() < 18 && number.charAt(0) != '0';
        for (int i = 0; i < number.length(); i++) {
            plain &= number.charAt(i) >= '0' && number.charAt(i) <= '9';
        }
        return plain;
    }

    /** Reads an id, 0 to 2^31 - 1: the fast way for plain digits. */
    int id(String what) {
        int first = peek();
        if (first < '0' || first > '9') {
            throw error(what + ": expected an integer id that is not out of range");
        }
        int from = at;
        long id = 0;
        while (at < bytes.length && bytes[at] >= '0' && bytes[at] <= '9' && id <= Integer.MAX_VALUE) {
            id = 10 * id + bytes[at++] - '0';
        }
        int next = peek();
        if (id > Integer.MAX_VALUE || first == '0' && id > 0 || next != ',' && next != '}') {
            at = from;
            throw error(what + ": expected an integer id that is not out of range");
        }
        return (int) id;
    }

    /** Reads any value as Map, List, String, Long, Double, Boolean or null. */
    Object tree() {
        return tree(DEPTH_LIMIT);
    }

    private Object tree(int depth) {
        if (depth == 0) {
            throw error("expected at most " + DEPTH_LIMIT + " levels of nesting");
        }
        return switch (peek()) {
            case '{' -> object(depth);
            case '[' -> array(depth);
            case '"' -> {
                int length = string(0, "a string");
                yield new String(text, 0, length);
            }
            case 't' -> word("true", Boolean.TRUE);
            case 'f' -> word("false", Boolean.FALSE);
            case 'n' -> word("null", null);
            default -> number();
        };
    }

    private Object word(String word, Object value) {
        for (int i = 0; i < word.length(); i++, at++) {
            if (at == bytes.length || bytes[at] != word.charAt(i)) {
                throw error("expected " + word);
            }
        }
        return value;
    }

    private List<Object> array(int depth) {
        at++;
        List<Object> list = new ArrayList<>();
        for (boolean more = any(']'); more; more = more(']')) {
            list.add(tree(depth - 1));
        }
        return list;
    }

    private Map<String, Object> object(int depth) {
        at++;
        Map<String, Object> object = new LinkedHashMap<>();
        for (boolean more = any('}'); more; more = more('}')) {
            String name = name();
            if (object.containsKey(name)) {
                throw error("name '" + TokenizerReader.shorten(name) + "' appears twice in one object");
            }
            object.put(name, tree(depth - 1));
        }
        return object;
    }

    /** An error at the place reached, which it describes. */
    ModelFormatException error(String problem) {
        String found = at >= bytes.length ? "the end of the file"
                : "'" + new String(bytes, at, Math.min(20, bytes.length - at), StandardCharsets.UTF_8) + "'";
        return new ModelFormatException(file + ": JSON, byte " + at + ": " + problem + ", found " + found);
    }
}
