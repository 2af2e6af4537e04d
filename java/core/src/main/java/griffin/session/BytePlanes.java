package griffin.session;

import java.util.Arrays;
import java.util.zip.DataFormatException;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

/**
 * Deflates one byte plane: the bytes of equal significance of many numbers. Signs and exponents of a state's numbers are few and worth
 * it; the lower bytes of their mantissas are noise, which is found out beforehand and kept as it is.
 */
final class BytePlanes {

    /** A plane is deflated if its bytes, taken one by one, carry no more than this many bits. */
    private static final double MOST_BITS = 7.6;

    private BytePlanes() {}

    /** The plane deflated, or the array itself where that would not be shorter. */
    static byte[] deflate(byte[] plane) {
        int[] counts = new int[256];
        for (byte b : plane) {
            counts[b & 255]++;
        }
        int most = 0;
        double bits = 0;
        for (int count : counts) {
            most = Math.max(most, count);
            bits -= count == 0 ? 0 : count * (Math.log((double) count / plane.length) / Math.log(2));
        }
        if (bits > MOST_BITS * plane.length) {
            return plane;
        }
        // Exponents have a skewed distribution and no repeated strings, so searching for those only costs time; where one byte
        // prevails, as in empty memory, runs of it are worth finding.
        Deflater deflater = new Deflater(Deflater.BEST_SPEED, true);
        try {
            deflater.setStrategy(most > plane.length / 2 ? Deflater.DEFAULT_STRATEGY : Deflater.HUFFMAN_ONLY);
            deflater.setInput(plane);
            deflater.finish();
            byte[] out = new byte[plane.length];
            int length = 0;
            while (!deflater.finished() && length < out.length) { // the first call may do no more than change the strategy
                length += deflater.deflate(out, length, out.length - length);
            }
            return deflater.finished() && length < plane.length ? Arrays.copyOf(out, length) : plane;
        } finally {
            deflater.end();
        }
    }

    /** The inverse; null if the bytes are not a whole deflated plane of exactly {@code length} bytes. */
    static byte[] inflate(byte[] deflated, int length) {
        byte[] plane = new byte[length];
        Inflater inflater = new Inflater(true);
        try {
            inflater.setInput(deflated);
            int found = inflater.inflate(plane);
            // The end of the stream may lie behind its last byte.
            boolean whole = found == length && (inflater.finished() || inflater.inflate(new byte[1]) == 0 && inflater.finished());
            return whole && inflater.getRemaining() == 0 ? plane : null;
        } catch (DataFormatException e) {
            return null;
        } finally {
            inflater.end();
        }
    }
}
