package griffin;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Locale;
import org.junit.jupiter.api.Test;

/** What compression does to the embedded model's states, and to what it goes on with. */
class StateCompressionTest {

    private static final String TEXT =
            "Once upon a time, there was a little girl named Lily. She loved to play with her toys and eat yummy "
                    + "food. One day, her mom told her that they were going to the park. Lily was very excited and ran to get her shoes. ";

    @Test
    void exactOnesChangeNothingAndEightBitsLittle() {
        try (Griffin griffin = TestModels.open(TestModels.STORIES, 128); Session session = griffin.newSession()) {
            session.read(TEXT.repeat(7), new GenerationListener() {});
            assertTrue(session.length() > griffin.config().window(), "the window is full");
            int[] next = griffin.tokenizer().encode(TEXT);
            float[][] exact = logits(griffin, session.snapshot(), next);
            byte[] lossless = session.snapshot(StateCompression.LOSSLESS);
            float[][] same = logits(griffin, lossless, next);
            for (int i = 0; i < next.length; i++) {
                assertArrayEquals(exact[i], same[i], "bit for bit");
            }
            byte[] q8 = session.snapshot(StateCompression.Q8);
            double plain = session.snapshot().length;
            System.out.printf(Locale.ROOT, "embedded model, %d tokens: lossless %.3f, q8 %.3f of the size without%n", session.length(),
                    lossless.length / plain, q8.length / plain);
            assertTrue(lossless.length < 0.95 * plain && q8.length < 0.35 * plain, "sizes");
            compare(exact, logits(griffin, q8, next));
        }
    }

    private static float[][] logits(Griffin griffin, byte[] snapshot, int[] ids) {
        float[][] rows = new float[ids.length][];
        try (Session session = griffin.restore(snapshot)) {
            session.score(ids, (index, logits) -> rows[index] = logits.clone());
        }
        return rows;
    }

    private static void compare(float[][] exact, float[][] q8) {
        double largest = 0;
        double divergence = 0;
        int agree = 0;
        for (int i = 0; i < exact.length; i++) {
            for (int v = 0; v < exact[i].length; v++) {
                largest = Math.max(largest, Math.abs(exact[i][v] - q8[i][v]));
            }
            divergence += divergence(exact[i], q8[i]) / exact.length;
            agree += best(exact[i]) == best(q8[i]) ? 1 : 0;
        }
        System.out.printf(Locale.ROOT,
                "embedded model, q8: logits off by %.4f at most, divergence %.2e nats on average, best token the same "
                        + "%d times of %d%n",
                largest, divergence, agree, exact.length);
        assertTrue(largest > 0 && largest < 0.5, "logits off by " + largest);
        assertTrue(divergence < 1e-3, "divergence " + divergence);
        assertEquals(exact.length, agree, exact.length * 0.05, "best tokens");
    }

    /** Kullback-Leibler divergence of the second distribution from the first. */
    private static double divergence(float[] p, float[] q) {
        double a = logSum(p);
        double b = logSum(q);
        double sum = 0;
        for (int v = 0; v < p.length; v++) {
            sum += Math.exp(p[v] - a) * (p[v] - a - q[v] + b);
        }
        return sum;
    }

    private static double logSum(float[] logits) {
        double sum = 0;
        for (float x : logits) {
            sum += Math.exp(x);
        }
        return Math.log(sum);
    }

    private static int best(float[] logits) {
        int best = 0;
        for (int v = 1; v < logits.length; v++) {
            best = logits[v] > logits[best] ? v : best;
        }
        return best;
    }
}
