package griffin.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.DType;
import griffin.backend.MemoryNeed;
import griffin.backend.StateLayout;
import griffin.error.DeviceMemoryException;
import org.junit.jupiter.api.Test;

/** The plan before loading: what is needed, what is free, what would fit. */
class MemoryPlanTest {

    private static final long GIB = 1L << 30;
    /** About the released 2B model. */
    private static final StateLayout LAYOUT = new StateLayout(18, 8, 2560, 3, 2048, 256, 256_000);
    private static final MemoryNeed NEED = new MemoryNeed(2_680_000_000L, 1_000_000, LAYOUT, 2, 2048, 32_000, 7_680, 16);

    private static String refusal(MemoryNeed need, DType type, long free) {
        return assertThrows(DeviceMemoryException.class, () -> MemoryPlan.require(need, type, "cuda:0 (Card)", free, 80 * GIB))
                .getMessage();
    }

    @Test
    void whatFitsIsNotMentioned() {
        assertDoesNotThrow(() -> MemoryPlan.require(NEED, DType.BF16, "cuda:0", 8 * GIB, 8 * GIB));
    }

    @Test
    void float32ThatDoesNotFitMayFitInBfloat16() {
        String text = refusal(NEED, DType.F32, 8 * GIB);
        assertTrue(text.contains("on cuda:0 (Card)") && text.contains("weights 10227 MiB in f32") && text.contains("8192 MiB of 81920 MiB"),
                text);
        assertTrue(text.endsWith("what would fit: --compute bf16 --chunk 2048 with 2 sessions"), text);
    }

    @Test
    void tooManySessionsOrTooLargeChunks() {
        String sessions = refusal(NEED.with(1000, 2048), DType.BF16, 8 * GIB);
        assertTrue(sessions.matches(".*--compute bf16 --chunk 2048 with 1\\d\\d sessions"), sessions);
        String chunks = refusal(NEED.with(2, 65536), DType.BF16, 8 * GIB);
        assertTrue(chunks.matches(".*--compute bf16 --chunk \\d+ with 2 sessions"), chunks);
        int chunk = Integer.parseInt(chunks.replaceAll(".*--chunk (\\d+) .*", "$1"));
        assertTrue(MemoryPlan.bytes(NEED.with(2, chunk), DType.BF16) <= 8 * GIB);
        assertTrue(MemoryPlan.bytes(NEED.with(2, 2 * chunk), DType.BF16) > 8 * GIB, "the largest that fits");
    }

    @Test
    void nothingFits() {
        String text = refusal(NEED, DType.BF16, GIB);
        assertTrue(text.contains("nothing would fit") && text.contains("--device cpu"), text);
    }

    @Test
    void aStateInBfloat16HasItsRecurrenceInFloat32() {
        long h = 4L * 18 * 2560;
        long rest = 2L * (18L * 3 * 2560 + 8L * 2 * 2048 * 256);
        assertEquals(3 * (h + rest + 4L * 8000), NEED.stateBytes(DType.BF16));
        assertEquals(3 * LAYOUT.bytes(), NEED.stateBytes(DType.F32));
    }
}
