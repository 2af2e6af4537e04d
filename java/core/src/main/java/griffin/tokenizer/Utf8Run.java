package griffin.tokenizer;

/**
 * Puts UTF-8 back together from single bytes. A character is appended once its last byte is here; every byte that turns
 * out to belong to no character becomes one U+FFFD.
 */
final class Utf8Run {

    private static final char REPLACEMENT = '\uFFFD';

    private int codePoint;
    /** Bytes of the unfinished character seen, and those still missing. */
    private int seen;
    private int missing;
    /** Bounds of the next byte, narrower after E0, ED, F0 and F4: no overlong forms, no surrogates, nothing above U+10FFFF. */
    private int low;
    private int high;

    void append(int b, StringBuilder out) {
        if (missing > 0) {
            if (b >= low && b <= high) {
                proceed(b, out);
                return;
            }
            flush(out);
        }
        if (b < 0x80) {
            out.append((char) b);
        } else if (b >= 0xC2 && b <= 0xDF) {
            begin(b & 0x1F, 1, 0x80, 0xBF);
        } else if (b >= 0xE0 && b <= 0xEF) {
            begin(b & 0x0F, 2, b == 0xE0 ? 0xA0 : 0x80, b == 0xED ? 0x9F : 0xBF);
        } else if (b >= 0xF0 && b <= 0xF4) {
            begin(b & 0x07, 3, b == 0xF0 ? 0x90 : 0x80, b == 0xF4 ? 0x8F : 0xBF);
        } else {
            out.append(REPLACEMENT);
        }
    }

    private void begin(int bits, int continuations, int lowest, int highest) {
        codePoint = bits;
        seen = 1;
        missing = continuations;
        low = lowest;
        high = highest;
    }

    private void proceed(int b, StringBuilder out) {
        codePoint = codePoint << 6 | b & 0x3F;
        seen++;
        missing--;
        low = 0x80;
        high = 0xBF;
        if (missing == 0) {
            out.appendCodePoint(codePoint);
        }
    }

    /** No more bytes follow: gives up the unfinished character, if there is one. */
    void flush(StringBuilder out) {
        if (missing > 0) {
            for (int i = 0; i < seen; i++) {
                out.append(REPLACEMENT);
            }
            missing = 0;
        }
    }
}
