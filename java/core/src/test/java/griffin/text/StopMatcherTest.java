package griffin.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeout;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.error.InvalidRequestException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class StopMatcherTest {

    @Test
    void textBeforeTheStopPassesAndNothingElse() {
        StopMatcher matcher = new StopMatcher(List.of("\n\n", "END"));
        StringBuilder out = new StringBuilder();
        assertFalse(matcher.append("one\ntwo", out));
        assertEquals("one\ntwo", out.toString());
        assertFalse(matcher.append(" EN", out));
        assertEquals("one\ntwo ", out.toString());
        assertTrue(matcher.append("D and more", out));
        assertTrue(matcher.append("ignored", out));
        matcher.flush(out);
        assertEquals("one\ntwo ", out.toString());
        assertEquals(Optional.of("END"), matcher.matched());
    }

    @Test
    void heldTextComesWhenItIsNoStop() {
        StopMatcher matcher = new StopMatcher(List.of("aab"));
        StringBuilder out = new StringBuilder();
        matcher.append("xaaa", out);
        assertEquals("xa", out.toString());
        matcher.flush(out);
        assertEquals("xaaa", out.toString());
        assertEquals(Optional.empty(), matcher.matched());
        assertFalse(matcher.append("b", out), "the text had ended: this is a new one");
    }

    @Test
    void firstCompleteMatchWinsAndOfThoseTheLongest() {
        check(List.of("abcd", "bc"), "xabcd", "xa", "bc");
        check(List.of("bc", "abc"), "xabcd", "x", "abc");
        check(List.of(), "abc", "abc", null);
    }

    @Test
    void anEmptyStopIsRefused() {
        assertThrows(InvalidRequestException.class, () -> new StopMatcher(List.of("a", "")));
    }

    /** Two letters, so that beginnings of stops are everywhere; against a search of every prefix; cut at random. */
    @Test
    void equalsPlainSearchHoweverTheTextIsCut() {
        SplittableRandom random = new SplittableRandom(5);
        for (int i = 0; i < 20_000; i++) {
            List<String> stops = new ArrayList<>();
            for (int n = random.nextInt(4); n > 0; n--) {
                stops.add(letters(random, random.nextInt(1, 7)));
            }
            String text = letters(random, random.nextInt(30));
            String stop = null;
            int end = 0;
            while (stop == null && end < text.length()) {
                String prefix = text.substring(0, ++end);
                stop = stops.stream().filter(prefix::endsWith).max(Comparator.comparingInt(String::length)).orElse(null);
            }
            String expected = stop == null ? text : text.substring(0, end - stop.length());
            StopMatcher matcher = new StopMatcher(stops);
            StringBuilder out = new StringBuilder();
            for (int from = 0; from < text.length();) {
                int to = Math.min(text.length(), from + random.nextInt(1, 6));
                boolean found = matcher.append(text.substring(from, to), out);
                assertEquals(stop != null && end <= to, found);
                assertEquals(shown(stops, text, expected, to, found), out.toString(), stops + " in " + text);
                from = to;
            }
            matcher.flush(out);
            assertEquals(expected, out.toString(), stops + " in " + text);
            assertEquals(Optional.ofNullable(stop), matcher.matched());
        }
    }

    /** Neither less nor more is held than the longest end of the text that begins a stop. */
    private static String shown(List<String> stops, String text, String expected, int to, boolean found) {
        if (found) {
            return expected;
        }
        for (int from = 0; from < to; from++) {
            String tail = text.substring(from, to);
            if (stops.stream().anyMatch(s -> s.startsWith(tail))) {
                return text.substring(0, from);
            }
        }
        return text.substring(0, to);
    }

    @Test
    void takesLinearTime() {
        StopMatcher matcher = new StopMatcher(List.of("a".repeat(50_000) + "b"));
        StringBuilder out = new StringBuilder();
        assertTimeout(Duration.ofSeconds(5), () -> {
            for (int i = 0; i < 1_000_000; i++) {
                matcher.append("a", out);
            }
        });
        assertEquals(950_000, out.length());
        assertTrue(matcher.append("b", out));
        assertEquals(950_000, out.length());
    }

    private static void check(List<String> stops, String text, String expected, String stop) {
        StopMatcher matcher = new StopMatcher(stops);
        StringBuilder out = new StringBuilder();
        matcher.append(text, out);
        matcher.flush(out);
        assertEquals(expected, out.toString());
        assertEquals(Optional.ofNullable(stop), matcher.matched());
    }

    private static String letters(SplittableRandom random, int length) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < length; i++) {
            text.append(random.nextBoolean() ? 'a' : 'b');
        }
        return text.toString();
    }
}
