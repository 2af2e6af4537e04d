package griffin.hub;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Optional;

/**
 * What the content of a file must hash to.
 *
 * @param kind which hash
 * @param hex  its value, in lower case
 */
record Checksum(Kind kind, String hex) {

    /** Large files are named by their SHA-256, small ones by git: the SHA-1 of {@code blob LENGTH\0} and the content. */
    enum Kind {
        SHA256("SHA-256", 64), GIT_BLOB("SHA-1", 40);

        private final String algorithm;
        private final int digits;

        Kind(String algorithm, int digits) {
            this.algorithm = algorithm;
            this.digits = digits;
        }
    }

    /** The hash that a hub names, perhaps in quotes and marked weak as an ETag is; empty if it is neither kind. */
    static Optional<Checksum> of(String named) {
        String hex = named.replaceFirst("^W/", "").replace("\"", "").toLowerCase(Locale.ROOT);
        for (Kind kind : Kind.values()) {
            if (hex.length() == kind.digits && hex.matches("[0-9a-f]+")) {
                return Optional.of(new Checksum(kind, hex));
            }
        }
        return Optional.empty();
    }

    /** A digest that takes a content of that many bytes. */
    MessageDigest start(long bytes) {
        try {
            MessageDigest digest = MessageDigest.getInstance(kind.algorithm);
            if (kind == Kind.GIT_BLOB) {
                digest.update(("blob " + bytes + "\0").getBytes(StandardCharsets.US_ASCII));
            }
            return digest;
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has " + kind.algorithm, e);
        }
    }

    /** The hash that a digest has come to; ends it. */
    static String end(MessageDigest digest) {
        return HexFormat.of().formatHex(digest.digest());
    }

    @Override
    public String toString() {
        return (kind == Kind.SHA256 ? "sha256 " : "git blob ") + hex;
    }
}
