package griffin.server.engine;

import griffin.tokenizer.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A single token as text and as bytes: a token can be a part of a character, which no text shows. */
public final class TokenText {

    private static final Pattern BYTE = Pattern.compile("<0x([0-9A-F]{2})>");

    private TokenText() {}

    /** The token as text; special ones by their names. */
    public static String text(Tokenizer tokenizer, int id) {
        return tokenizer.decode(new int[] {id}, 0, 1, true);
    }

    /** The token's UTF-8 bytes. */
    public static byte[] bytes(Tokenizer tokenizer, int id) {
        Matcher matcher = id < tokenizer.vocabularySize() ? BYTE.matcher(tokenizer.piece(id)) : null;
        return matcher != null && matcher.matches() ? new byte[] {(byte) Integer.parseInt(matcher.group(1), 16)}
                : text(tokenizer, id).getBytes(StandardCharsets.UTF_8);
    }
}
