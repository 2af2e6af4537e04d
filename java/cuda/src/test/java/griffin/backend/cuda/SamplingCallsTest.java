package griffin.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/** How many blocks share a sequence's slices of the vocabulary (sample.cu). */
class SamplingCallsTest {

    private static final int SLICES = 125; // of 256,000 tokens
    private static final int ROOM = 4 * 132;

    @Test
    void aSliceABlockAsLongAsThereIsRoom() {
        assertEquals(125, SamplingCalls.sliceBlocks(SLICES, 1, ROOM));
        assertEquals(125, SamplingCalls.sliceBlocks(SLICES, 4, ROOM));
        assertEquals(63, SamplingCalls.sliceBlocks(SLICES, 8, ROOM), "two slices each, the last one");
        assertEquals(16, SamplingCalls.sliceBlocks(SLICES, 32, ROOM));
        assertEquals(SLICES, SamplingCalls.sliceBlocks(SLICES, 0, ROOM));
    }

    @Test
    void neverMoreThanOneRoundAndNeverNone() {
        for (int sequences = 1; sequences <= 300; sequences++) {
            int blocks = SamplingCalls.sliceBlocks(SLICES, sequences, ROOM);
            assertTrue(blocks >= 1 && blocks <= SLICES, blocks + " blocks of " + sequences);
            assertTrue(sequences > ROOM / 2 || blocks * sequences <= ROOM + sequences, blocks + " blocks of " + sequences);
        }
    }
}
