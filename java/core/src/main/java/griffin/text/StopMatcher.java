package griffin.text;

import griffin.error.InvalidRequestException;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Looks for stop strings in text that arrives in pieces. Text that cannot be the beginning of a stop string passes at
 * once; the rest is held back until that is decided.
 *
 * <p>The match that is complete first wins, of several that end at the same character the longest; so the result does not
 * depend on how the text was cut into pieces. Takes time linear in the text (times the number of stop strings) and
 * allocates nothing after construction. Not for use by several threads at once.
 */
public final class StopMatcher {

    private final String[] stops;
    /** {@code borders[s][n]}: longest proper prefix of the first n characters of stop s that also ends them. */
    private final int[][] borders;
    /** How many characters at the end of the text are the beginning of stop s. */
    private final int[] matched;
    /** The held text is the first {@code held} characters of {@code stops[holder]}: it needs no buffer. */
    private int holder;
    private int held;
    private String stop;

    /**
     * @param stops the strings to stop at, possibly none
     * @throws InvalidRequestException if one of them is empty
     */
    public StopMatcher(List<String> stops) {
        this.stops = stops.toArray(String[]::new);
        this.borders = new int[this.stops.length][];
        this.matched = new int[this.stops.length];
        for (int s = 0; s < this.stops.length; s++) {
            if (this.stops[s].isEmpty()) {
                throw new InvalidRequestException("stop string " + s + " is empty, which every text contains: leave it out");
            }
            borders[s] = borders(this.stops[s]);
        }
    }

    private static int[] borders(String stop) {
        int[] borders = new int[stop.length() + 1];
        for (int n = 2, k = 0; n <= stop.length(); n++) {
            while (k > 0 && stop.charAt(k) != stop.charAt(n - 1)) {
                k = borders[k];
            }
            if (stop.charAt(k) == stop.charAt(n - 1)) {
                k++;
            }
            borders[n] = k;
        }
        return borders;
    }

    /**
     * Takes more text and appends to {@code out} what may be shown. After a match, what precedes the stop string has been
     * appended, and all further text is dropped.
     *
     * @return whether a stop string was found, now or earlier
     */
    public boolean append(CharSequence text, StringBuilder out) {
        for (int i = 0; i < text.length() && stop == null; i++) {
            append(text.charAt(i), out);
        }
        return stop != null;
    }

    private void append(char c, StringBuilder out) {
        int longest = 0;
        int longestAt = 0;
        for (int s = 0; s < stops.length; s++) {
            int k = advance(s, c);
            boolean complete = k == stops[s].length();
            if (complete && (stop == null || k > stop.length())) {
                stop = stops[s];
            }
            if (k > longest) {
                longest = k;
                longestAt = s;
            }
        }
        int keep = stop == null ? longest : stop.length();
        int pass = held + 1 - keep;
        if (pass > 0 && held > 0) {
            out.append(stops[holder], 0, Math.min(pass, held));
        }
        if (pass > held) {
            out.append(c);
        }
        held = stop == null ? longest : 0;
        holder = longestAt;
    }

    private int advance(int s, char c) {
        String string = stops[s];
        int k = matched[s];
        while (k > 0 && string.charAt(k) != c) {
            k = borders[s][k];
        }
        if (string.charAt(k) == c) {
            k++;
        }
        // A complete match ends the matching, so k never stays at the string's length.
        matched[s] = k;
        return k;
    }

    /** The stop string that was found. */
    public Optional<String> matched() {
        return Optional.ofNullable(stop);
    }

    /** The text has ended: appends what was held back, which is no stop string any more. */
    public void flush(StringBuilder out) {
        if (held > 0) {
            out.append(stops[holder], 0, held);
            held = 0;
        }
        Arrays.fill(matched, 0);
    }
}
