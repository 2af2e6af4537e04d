package griffin.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.AttentionShape;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** How many blocks share the keys of a prompt's tile: see window_attention_wgmma.cu. */
class AttentionCallsTest {

    private static final int PROCESSORS = 132;
    private static final AttentionShape SHAPE = new AttentionShape(10, 256, 2048, 128, 10_000);

    private static int splits(int rows, int sequences, int before) {
        Extent extent = new Extent().set(rows, sequences, 1, false);
        extent.before = before;
        return AttentionCalls.splits(PROCESSORS, extent, SHAPE);
    }

    @Test
    void fewRowsAfterAFullWindowAreShared() {
        assertEquals(8, splits(1, 1, 6000));
        assertEquals(8, splits(25, 1, 6000));
        assertEquals(8, splits(128, 1, 6000), "11 tiles");
        assertEquals(4, splits(256, 1, 6000), "21 tiles");
        assertEquals(2, splits(512, 1, 6000), "41 tiles");
        assertEquals(1, splits(2048, 1, 6000), "more tiles than multiprocessors");
        assertEquals(1, splits(128, 1, 0), "128 keys are not worth it");
        assertEquals(8, splits(1, 1, Integer.MAX_VALUE), "whatever the sequences have become");
    }

    /** The scratch has room for multiprocessors * 128 items of all splits together. */
    @Test
    void partsFitTheirScratch() {
        Random random = new Random(3);
        for (int i = 0; i < 100_000; i++) {
            int rows = 1 + random.nextInt(1 << random.nextInt(13));
            int splits = splits(rows, 1 + random.nextInt(Math.min(rows, 64)), random.nextInt(1 << random.nextInt(20)));
            assertTrue(splits == 1 || splits == 2 || splits == 4 || splits == 8, rows + " rows: " + splits);
            assertTrue(splits == 1 || (long) splits * rows * SHAPE.heads() <= PROCESSORS * 128L, rows + " rows: " + splits);
        }
    }
}
