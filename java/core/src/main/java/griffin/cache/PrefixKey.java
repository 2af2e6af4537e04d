package griffin.cache;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.NavigableSet;

/**
 * A prefix of tokens of one model by its fingerprint.
 *
 * @param digest SHA-256 over the model's identity and the ids (little-endian), in hexadecimal digits: no two prefixes share one
 * @param length of the prefix, in tokens
 */
public record PrefixKey(String digest, int length) {

    /** The key of {@code ids[0, length)}. */
    public static PrefixKey of(byte[] identity, int[] ids, int length) {
        MessageDigest chain = start(identity);
        update(chain, ids, 0, length);
        return new PrefixKey(HexFormat.of().formatHex(chain.digest()), length);
    }

    /** The keys of all prefixes of {@code ids[0, most)} that have one of the lengths, the longest first: one pass over the ids. */
    public static List<PrefixKey> all(byte[] identity, int[] ids, int most, NavigableSet<Integer> lengths) {
        List<PrefixKey> keys = new ArrayList<>();
        MessageDigest chain = start(identity);
        int at = 0;
        for (int length : lengths.headSet(most, true)) {
            update(chain, ids, at, length);
            at = length;
            keys.addFirst(new PrefixKey(HexFormat.of().formatHex(copy(chain).digest()), length));
        }
        return keys;
    }

    private static MessageDigest start(byte[] identity) {
        try {
            MessageDigest chain = MessageDigest.getInstance("SHA-256");
            chain.update(identity);
            return chain;
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    private static MessageDigest copy(MessageDigest chain) {
        try {
            return (MessageDigest) chain.clone();
        } catch (CloneNotSupportedException e) {
            throw new IllegalStateException("the platform's SHA-256 can be copied", e);
        }
    }

    private static void update(MessageDigest chain, int[] ids, int from, int to) {
        byte[] bytes = new byte[4 * (to - from)];
        for (int i = from; i < to; i++) {
            int at = 4 * (i - from);
            bytes[at] = (byte) ids[i];
            bytes[at + 1] = (byte) (ids[i] >> 8);
            bytes[at + 2] = (byte) (ids[i] >> 16);
            bytes[at + 3] = (byte) (ids[i] >> 24);
        }
        chain.update(bytes);
    }
}
