package griffin.cli;

import griffin.error.InvalidRequestException;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Sizes as people write them: 2048M, 2G, 512K, or plain bytes. */
final class ByteSize {

    private static final Pattern SIZE = Pattern.compile("(\\d{1,12})\\s*([KMGT]?)(?:i?B)?", Pattern.CASE_INSENSITIVE);

    private ByteSize() {}

    /**
     * Bytes of a size.
     *
     * @param option names the option in messages
     */
    static long parse(String option, String text) {
        Matcher matcher = SIZE.matcher(text.strip());
        if (matcher.matches()) {
            int shift = 10 * ("KMGT".indexOf(matcher.group(2).toUpperCase(Locale.ROOT)) + 1);
            long value = Long.parseLong(matcher.group(1));
            if (!matcher.group(2).isEmpty() && value <= Long.MAX_VALUE >> shift) {
                return value << shift;
            }
            if (matcher.group(2).isEmpty()) {
                return value;
            }
        }
        throw new InvalidRequestException(option + " must be a size such as 2048M or 2G, not '" + text + "'");
    }

    /** For people. */
    static String text(long bytes) {
        return bytes < 10L << 20 ? String.format(Locale.ROOT, "%.1f MiB", bytes / 1048576.0) : (bytes >> 20) + " MiB";
    }
}
