package griffin.backend.host;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.StateLayout;
import griffin.backend.reference.ReferenceBackend;
import griffin.error.DeviceMemoryException;
import org.junit.jupiter.api.Test;

/** How many sessions fit in Java arrays. */
class HostStatesTest {

    /** Refused by the numbers, before anything is allocated. */
    @Test
    void moreSessionsThanAnArrayHolds() {
        StateLayout large = new StateLayout(18, 8, 2560, 3, 2048, 256, 256_000);
        try (ReferenceBackend backend = new ReferenceBackend()) {
            for (int slots : new int[] {4095, 1 << 20, Integer.MAX_VALUE}) {
                DeviceMemoryException e = assertThrows(DeviceMemoryException.class, () -> backend.allocateStates(large, slots));
                assertTrue(e.getMessage().contains("at most 4094 sessions"), e.getMessage());
            }
            assertEquals(5, backend.allocateStates(new StateLayout(1, 1, 4, 3, 8, 4, 40), 5).slots());
        }
    }
}
