package griffin.json;

import griffin.error.ModelFormatException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Reads JSON from bytes, piece by piece, in two situations: files of a kilobyte when a command starts, so there is little code to load
 * and warm up, and a tokenizer's million short strings, which end in one reused array without an object each. Strict: what JSON or UTF-8
 * do not allow is a {@link ModelFormatException}, half a surrogate pair too.
 */
public final class JsonScanner {

    private static final int NUMBER_LIMIT = 64;
    private static final int STRING_LIMIT = 1 << 20;
    private static final int FOUND_BYTES = 20;
    /** Some editors begin a file with it; allowed to be ignored. */
    private static final byte[] BYTE_ORDER_MARK = {(byte) 0xEF, (byte) 0xBB, (byte) 0xBF};

    private final byte[] bytes;
    private final String file;
    private int at;
    private char[] text = new char[256];

    /** Reads {@code bytes}; {@code file} names them in messages. */
    public JsonScanner(byte[] bytes, String file) {
        this.bytes = bytes;
        this.file = file;
        if (Arrays.mismatch(bytes, BYTE_ORDER_MARK) >= BYTE_ORDER_MARK.length) {
            at = BYTE_ORDER_MARK.length;
        }
    }

    /** Offset of the byte that is read next. */
    public int position() {
        return at;
    }

    /** Goes on reading at an offset. */
    public void position(int position) {
        at = position;
    }

    /** The next byte that is not white space, which stays to be read; -1 at the end. */
    public int peek() {
        while (at < bytes.length) {
            int b = bytes[at];
            if (b != ' ' && b != '\n' && b != '\r' && b != '\t') {
                return b & 0xFF;
            }
            at++;
        }
        return -1;
    }

    /** Reads {@code c} after white space; {@code what} is it in the words of a message. */
    public void expect(char c, String what) {
        if (peek() != c) {
            throw error("expected " + what);
        }
        at++;
    }

    /** Reads {@code ,} or the closing bracket; whether another element follows. */
    public boolean more(char close) {
        int next = peek();
        if (next != ',' && next != close) {
            throw error("expected ',' or '" + close + "'");
        }
        at++;
        return next == ',';
    }

    /** After an opening bracket: whether there is a first element; if not, the closing one has been read. */
    public boolean any(char close) {
        if (peek() == close) {
            at++;
            return false;
        }
        return true;
    }

    /** A name and its colon. */
    public String name() {
        String name = string("a name in quotes");
        expect(':', "':'");
        return name;
    }

    /** A string; {@code what} is it in the words of a message. */
    public String string(String what) {
        int length = string(0, what);
        return new String(text, 0, length);
    }

    /** What {@link #string(int, String)} read; valid until the next string. */
    public char[] text() {
        return text;
    }

    /** Reads a string into {@link #text} from {@code offset} on; returns the offset behind it. */
    public int string(int offset, String what) {
        expect('"', what);
        int length = offset;
        while (at < bytes.length) {
            int b = bytes[at++];
            if (length + 2 > text.length) {
                text = Arrays.copyOf(text, 2 * text.length);
            }
            if (b == '"') {
                return length;
            }
            if (length - offset >= STRING_LIMIT) {
                throw fault("expected a string of at most " + STRING_LIMIT + " characters, found more");
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
        int start = at - 1;
        int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
        int c = first & 0x3F >> more;
        for (int i = 0; i < more; i++) {
            int b = at < bytes.length ? bytes[at++] : 0;
            if ((b & 0xC0) != 0x80) {
                throw errorAt(start, "expected UTF-8");
            }
            c = c << 6 | b & 0x3F;
        }
        int least = more == 1 ? 0x80 : more == 2 ? 0x800 : 0x10000;
        if (first < 0xC2 || first > 0xF4 || c < least || c > 0x10FFFF || c >= 0xD800 && c < 0xE000) {
            throw errorAt(start, "expected UTF-8");
        }
        return c;
    }

    private int escape() {
        int start = at - 1;
        int c = byteAt();
        at++;
        return switch (c) {
            case '"', '\\', '/' -> c;
            case 'b' -> '\b';
            case 'f' -> '\f';
            case 'n' -> '\n';
            case 'r' -> '\r';
            case 't' -> '\t';
            case 'u' -> unicodeEscape(start);
            default -> throw errorAt(start, "expected a known escape");
        };
    }

    private int unicodeEscape(int start) {
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
        throw errorAt(start, "expected both halves of a surrogate pair");
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

    /** Reads a number: Long without fraction and exponent, unless it is beyond 64 bits, else Double. */
    public Object number() {
        int from = at;
        skip("-");
        int first = byteAt();
        int whole = digits();
        boolean valid = whole == 1 || whole > 1 && first != '0';
        boolean fraction = skip(".");
        valid &= !fraction || digits() > 0;
        boolean exponent = skip("eE");
        if (exponent) {
            skip("+-");
            valid &= digits() > 0;
        }
        int to = at;
        at = from;
        if (!valid) {
            throw error(whole == 0 ? "expected a value" : "expected a number as JSON writes it");
        }
        if (to - from > NUMBER_LIMIT) {
            throw fault("expected a number of at most " + NUMBER_LIMIT + " characters, found " + (to - from));
        }
        Object number = parsed(new String(bytes, from, to - from, StandardCharsets.ISO_8859_1), !fraction && !exponent);
        at = to;
        return number;
    }

    /** Reads one byte if it is one of those; whether it was. */
    private boolean skip(String choice) {
        boolean here = at < bytes.length && choice.indexOf(bytes[at]) >= 0;
        at += here ? 1 : 0;
        return here;
    }

    private Object parsed(String number, boolean integral) {
        if (integral) {
            try {
                return Long.parseLong(number);
            } catch (NumberFormatException beyond64Bits) {
                return Double.parseDouble(number);
            }
        }
        double value = Double.parseDouble(number);
        if (Double.isInfinite(value)) {
            throw fault("expected a number within the range of a double, found " + number);
        }
        return value;
    }

    /** Reads digits, perhaps none; returns how many. */
    private int digits() {
        int from = at;
        while (byteAt() >= '0' && byteAt() <= '9') {
            at++;
        }
        return at - from;
    }

    /** The next byte, -1 at the end; negative beyond ASCII, which no caller looks for. */
    private int byteAt() {
        return at < bytes.length ? bytes[at] : -1;
    }

    /** Reads an id, 0 to 2^31 - 1: the fast way for plain digits. */
    public int id(String what) {
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

    /** Reads a literal: {@code true}, {@code false} or {@code null}. */
    public void word(String word) {
        int from = at;
        for (int i = 0; i < word.length(); i++, at++) {
            if (byteAt() != word.charAt(i)) {
                at = from;
                throw error("expected " + word);
            }
        }
    }

    /** Checks that nothing but white space is left. */
    public void end() {
        if (peek() >= 0) {
            throw error("expected the end of the file after the end of the JSON value");
        }
    }

    /** An error at the place reached, with the text that stands there. */
    public ModelFormatException error(String problem) {
        return fault(problem + ", found " + (at >= bytes.length ? "the end: is the file complete?"
                : "'" + Excerpt.of(new String(bytes, at, Math.min(FOUND_BYTES, bytes.length - at), StandardCharsets.UTF_8)) + "'"));
    }

    private ModelFormatException errorAt(int position, String problem) {
        at = position;
        return error(problem);
    }

    /** An error at the place reached, which is named by line and column, both from 1. */
    public ModelFormatException fault(String problem) {
        int line = 1;
        int column = 1;
        for (int i = 0; i < Math.min(at, bytes.length); i++) {
            if (bytes[i] == '\n') {
                line++;
                column = 1;
            } else if ((bytes[i] & 0xC0) != 0x80) {
                column++;
            }
        }
        return new ModelFormatException(file + ": JSON, line " + line + " column " + column + ": " + problem);
    }
}
