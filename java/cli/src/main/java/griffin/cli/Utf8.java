package griffin.cli;

import griffin.error.InvalidRequestException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.Locale;

/** Strict decoding: a prompt that is no UTF-8 would be read as something that nobody wrote. */
final class Utf8 {

    private Utf8() {}

    /**
     * The text of some bytes.
     *
     * @param where where they come from, for the message
     * @param first how many bytes came before them, so that the message's offset counts from the beginning
     * @throws InvalidRequestException when they are no UTF-8
     */
    static String text(byte[] bytes, String where, long first) {
        CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder().onMalformedInput(CodingErrorAction.REPORT);
        ByteBuffer in = ByteBuffer.wrap(bytes);
        CharBuffer out = CharBuffer.allocate(bytes.length);
        CoderResult result = decoder.decode(in, out, true);
        if (result.isError()) {
            throw new InvalidRequestException(String.format(Locale.ROOT,
                    "%s must be UTF-8 text; found byte 0x%02X at offset %d, which is none: convert it, as iconv does", where,
                    bytes[in.position()] & 0xFF, first + in.position()));
        }
        decoder.flush(out);
        return out.flip().toString();
    }
}
