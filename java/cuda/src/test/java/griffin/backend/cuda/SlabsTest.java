package griffin.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.error.DeviceMemoryException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** How weights share allocations, on memory that is only counted. */
class SlabsTest {

    private static final long MIB = 1L << 20;
    private static final long START = 1L << 40;

    private final List<Long> asked = new ArrayList<>();
    private final List<Long> given = new ArrayList<>();
    private long largest = Long.MAX_VALUE;
    private long next = START;

    private long allocate(long bytes, String use) {
        asked.add(bytes);
        if (bytes > largest) {
            throw new DeviceMemoryException("cuMemAlloc of " + bytes + " bytes for " + use);
        }
        given.add(bytes);
        long address = next;
        next += bytes;
        return address;
    }

    @Test
    void whatIsExpectedSharesOneAllocation() {
        Slabs slabs = new Slabs(this::allocate);
        slabs.expect(100 * MIB);
        assertEquals(START, slabs.take(60 * MIB, "a weight"));
        assertEquals(START + 60 * MIB, slabs.take(3, "a bias"));
        assertEquals(START + 60 * MIB + 256, slabs.take(39 * MIB, "a weight"));
        assertEquals(List.of(100 * MIB), given);
    }

    @Test
    void whatComesBeyondHasItsOwnOrSharesABlock() {
        Slabs slabs = new Slabs(this::allocate);
        slabs.expect(10 * MIB);
        slabs.take(10 * MIB, "a weight");
        slabs.take(10 * MIB, "a weight");
        long small = slabs.take(1000, "a bias");
        assertEquals(small + 1024, slabs.take(1000, "a bias"));
        assertEquals(List.of(10 * MIB, 10 * MIB, Slabs.BLOCK), given);
    }

    @Test
    void withoutRoomInOnePlaceEachWeightAsksForItsOwn() {
        largest = 50 * MIB;
        Slabs slabs = new Slabs(this::allocate);
        slabs.expect(90 * MIB);
        slabs.take(45 * MIB, "a weight");
        slabs.take(45 * MIB, "a weight");
        assertEquals(List.of(90 * MIB, 45 * MIB, 45 * MIB), asked, "the slab is asked for once");
        largest = MIB;
        slabs.take(512, "a bias");
        assertEquals(List.of(45 * MIB, 45 * MIB, 512L), given, "no room for a block");
        String message = assertThrows(DeviceMemoryException.class, () -> slabs.take(2 * MIB, "gates")).getMessage();
        assertTrue(message.contains(2 * MIB + " bytes for gates"), message);
    }

    @Test
    void aWeightLargerThanWhatIsExpected() {
        Slabs slabs = new Slabs(this::allocate);
        slabs.expect(4 * MIB);
        slabs.take(6 * MIB, "a weight");
        slabs.take(4 * MIB, "a weight");
        assertEquals(List.of(6 * MIB, 4 * MIB), given);
    }
}
