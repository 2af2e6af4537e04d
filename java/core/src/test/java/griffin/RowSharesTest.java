package griffin;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(Seed.class)
class RowSharesTest {

    private static int[] share(int budget, int... wanted) {
        int[] rows = wanted.clone();
        RowShares.share(rows, rows.length, budget);
        return rows;
    }

    @Test
    void whatFitsIsGiven() {
        assertArrayEquals(new int[] {100, 50, 106}, share(256, 100, 50, 106));
        assertArrayEquals(new int[] {256}, share(256, 6000));
        assertArrayEquals(new int[0], share(256));
    }

    @Test
    void theFirstHasHalfAndAShortOneAllItNeeds() {
        assertArrayEquals(new int[] {226, 30}, share(256, 6000, 30));
        assertArrayEquals(new int[] {128, 128}, share(256, 6000, 6000));
        assertArrayEquals(new int[] {128, 59, 10, 59}, share(256, 6000, 6000, 10, 6000));
        assertArrayEquals(new int[] {10, 123, 123}, share(256, 10, 6000, 6000), "what the first does not need");
    }

    @Test
    void everyPromptAdvancesInEveryStep() {
        Random random = Seed.random("shares");
        for (int i = 0; i < 20_000; i++) {
            int[] wanted = random.ints(1 + random.nextInt(12), 1, random.nextBoolean() ? 20 : 5000).toArray();
            int budget = wanted.length + random.nextInt(300);
            int[] rows = share(budget, wanted);
            String what = Arrays.toString(wanted) + " of " + budget + ": " + Arrays.toString(rows);
            assertEquals(Math.min(budget, Arrays.stream(wanted).sum()), Arrays.stream(rows).sum(), what);
            for (int q = 0; q < rows.length; q++) {
                assertTrue(rows[q] >= 1 && rows[q] <= wanted[q], what);
                int fair = Math.max(1, budget / 2 / Math.max(1, rows.length - 1));
                assertTrue(rows[q] >= Math.min(wanted[q], fair), what);
            }
        }
    }
}
