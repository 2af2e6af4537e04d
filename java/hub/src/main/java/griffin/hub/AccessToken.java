package griffin.hub;

import griffin.error.HubException;
import griffin.error.InvalidRequestException;
import griffin.io.FileErrors;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Pattern;

/** What proves to a hub who asks. Its text form says where it comes from, never what it is. */
public final class AccessToken {

    /** What may stand in a header of a request. */
    private static final Pattern VALID = Pattern.compile("[\\x21-\\x7E]{1,4096}");

    private final String value;
    private final String source;

    private AccessToken(String value, String source) {
        this.value = value;
        this.source = source;
    }

    /**
     * A token.
     *
     * @param value  the token; white space around it is dropped
     * @param source where it comes from, for messages: the name of a variable or of a file
     * @throws InvalidRequestException when it cannot be one; the message does not repeat it
     */
    public static AccessToken of(String value, String source) {
        String token = value.strip();
        if (!VALID.matcher(token).matches()) {
            throw new InvalidRequestException("the token from " + source + " must be one word of printable ASCII characters, found "
                    + (token.isEmpty() ? "nothing" : "other characters (" + token.length() + " in all)") + ": copy it again");
        }
        return new AccessToken(token, source);
    }

    /**
     * The token in a file.
     *
     * @throws HubException            when it cannot be read
     * @throws InvalidRequestException when it holds none
     */
    public static AccessToken read(Path file) {
        try (var in = Files.newInputStream(file)) {
            return of(new String(in.readNBytes(1 << 16), StandardCharsets.UTF_8), file.toString());
        } catch (IOException e) {
            throw new HubException("the token file " + file + " cannot be read: " + FileErrors.reason(e), e);
        }
    }

    String value() {
        return value;
    }

    /** Where it comes from. */
    public String source() {
        return source;
    }

    @Override
    public String toString() {
        return "token from " + source;
    }
}
