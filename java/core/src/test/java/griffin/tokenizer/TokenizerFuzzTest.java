package griffin.tokenizer;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import com.sun.management.ThreadMXBean;
import griffin.error.ModelFormatException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.TokenStreamFactory;
import tools.jackson.core.json.JsonFactory;

/** Damaged files either are refused by name or give a tokenizer that works; nothing crashes, hangs or allocates much. */
class TokenizerFuzzTest {

    private static final long SEED = Long.getLong("griffin.fuzz.seed", 42);
    private static final int MUTANTS = 3_000;
    /** The file has 128 kB; reading it undamaged allocates some megabytes. */
    private static final long ALLOCATION_LIMIT = 64L << 20;
    private static final String SAMPLE = "Once upon a time, the \uD83D\uDC3B said: \r\n<eos> caf\u00E9 \u2581\u0000  end";

    private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    private SplittableRandom random;

    @Test
    void damagedFilesAreRefusedOrWork() {
        System.out.println("tokenizer fuzz seed " + SEED + " (-Dgriffin.fuzz.seed)");
        random = new SplittableRandom(SEED);
        byte[] valid = TokenizerFiles.stories();
        byte[] small = smallFile();
        int[] outcomes = new int[2];
        Assertions.assertTimeoutPreemptively(Duration.ofMinutes(2), () -> {
            for (int i = 0; i < MUTANTS; i++) {
                byte[] mutant = mutate(i % 4 == 0 ? valid : small);
                outcomes[tryOne(mutant, i)]++;
            }
        });
        // Both kinds must occur in numbers, or the mutations test nothing.
        assertTrue(outcomes[0] > MUTANTS / 20 && outcomes[1] > MUTANTS / 2, Arrays.toString(outcomes));
    }

    private int tryOne(byte[] mutant, int number) {
        long before = threads.getCurrentThreadAllocatedBytes();
        int outcome = 0;
        try {
            Tokenizer tokenizer = TokenizerFiles.read(mutant);
            int[] ids = tokenizer.encode(SAMPLE);
            tokenizer.decode(ids, 0, ids.length, true);
            parseByJackson(mutant);
        } catch (ModelFormatException e) {
            outcome = 1;
        } catch (RuntimeException | Error e) {
            fail("mutant " + number + " of seed " + SEED, e);
        }
        long allocated = threads.getCurrentThreadAllocatedBytes() - before;
        assertTrue(allocated < ALLOCATION_LIMIT, () -> "mutant " + number + " of seed " + SEED + " allocated " + allocated + " bytes");
        return outcome;
    }

    /** What our scanner takes for JSON a general parser must take for JSON too; throws otherwise. */
    private static void parseByJackson(byte[] json) {
        JsonFactory factory = JsonFactory.builder().disable(TokenStreamFactory.Feature.CANONICALIZE_PROPERTY_NAMES).build();
        try (JsonParser parser = factory.createParser(ObjectReadContext.empty(), json)) {
            while (parser.nextToken() != null) {
                if (parser.currentToken() == JsonToken.VALUE_STRING) {
                    parser.getString();
                }
            }
        }
    }

    /** All the structure with few tokens, so that damage hits structure more often. */
    private static byte[] smallFile() {
        String json = new String(TokenizerFiles.stories(), StandardCharsets.UTF_8);
        int merges = json.indexOf("\"merges\": [") + "\"merges\": [".length();
        int end = json.lastIndexOf("]]");
        int keep = json.indexOf("]", merges + 400);
        return (json.substring(0, keep + 1) + json.substring(end + 1))
                .getBytes(StandardCharsets.UTF_8);
    }

    private byte[] mutate(byte[] valid) {
        byte[] bytes = valid.clone();
        for (int n = random.nextInt(1, 3); n > 0 && bytes.length > 16; n--) {
            bytes = switch (random.nextInt(6)) {
                case 0 -> flipBit(bytes);
                case 1 -> Arrays.copyOf(bytes, random.nextInt(bytes.length));
                case 2 -> splice(bytes, 0);
                case 3 -> splice(bytes, 2);
                case 4 -> replaceToken(bytes);
                default -> swapTokens(bytes);
            };
        }
        return bytes;
    }

    private byte[] flipBit(byte[] bytes) {
        bytes[place(bytes)] ^= (byte) (1 << random.nextInt(8));
        return bytes;
    }

    /** Repeats a short slice {@code times} times: 0 deletes it, 2 doubles it. */
    private byte[] splice(byte[] bytes, int times) {
        int from = place(bytes);
        int to = Math.min(bytes.length, from + random.nextInt(1, random.nextBoolean() ? 8 : 200));
        byte[] result = new byte[bytes.length + (to - from) * (times - 1)];
        System.arraycopy(bytes, 0, result, 0, from);
        for (int i = 0; i < times; i++) {
            System.arraycopy(bytes, from, result, from + i * (to - from), to - from);
        }
        System.arraycopy(bytes, to, result, from + times * (to - from), bytes.length - to);
        return result;
    }

    private byte[] replaceToken(byte[] bytes) {
        String[] values = {"null", "true", "-1", "2147483647", "2147483648", "1e308", "9".repeat(40), "\"\"", "[]", "{}", "\"\\ud800\"",
            "[".repeat(600), "\"" + "x".repeat(5_000) + "\""};
        int[] token = token(bytes);
        return replace(bytes, token, values[random.nextInt(values.length)].getBytes(StandardCharsets.UTF_8));
    }

    private byte[] swapTokens(byte[] bytes) {
        int[] one = token(bytes);
        int[] other = token(bytes);
        if (one[1] > other[0]) {
            return replace(bytes, one, Arrays.copyOfRange(bytes, other[0], other[1]));
        }
        byte[] first = Arrays.copyOfRange(bytes, one[0], one[1]);
        byte[] second = Arrays.copyOfRange(bytes, other[0], other[1]);
        return replace(replace(bytes, other, first), one, second);
    }

    /** The range from one delimiter to the next: a string, a number, a keyword. */
    private int[] token(byte[] bytes) {
        int from = place(bytes);
        while (from < bytes.length && " ,:[]{}".indexOf(bytes[from]) >= 0) {
            from++;
        }
        while (from > 0 && " ,:[]{}".indexOf(bytes[from - 1]) < 0) {
            from--;
        }
        int to = from;
        while (to < bytes.length && " ,:[]{}".indexOf(bytes[to]) < 0) {
            to++;
        }
        return new int[] {from, to};
    }

    private static byte[] replace(byte[] bytes, int[] range, byte[] by) {
        byte[] result = Arrays.copyOf(bytes, bytes.length - (range[1] - range[0]) + by.length);
        System.arraycopy(by, 0, result, range[0], by.length);
        System.arraycopy(bytes, range[1], result, range[0] + by.length, bytes.length - range[1]);
        return result;
    }

    /** Half of the time near the beginning, where the structure is. */
    private int place(byte[] bytes) {
        return random.nextInt(random.nextBoolean() ? bytes.length : Math.min(bytes.length, 3_000));
    }
}
