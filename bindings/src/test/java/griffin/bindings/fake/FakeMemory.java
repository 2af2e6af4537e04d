package griffin.bindings.fake;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentSkipListMap;

/** Device and pinned memory: host memory, each allocation in an arena of its own, kept by address. */
final class FakeMemory {

    /** As the real driver aligns. */
    private static final long ALIGNMENT = 256;

    /** As float or bf16 it is NaN, so that reading what was never written shows. */
    private static final byte UNWRITTEN = (byte) 0xFF;

    volatile long total;

    private final ConcurrentSkipListMap<Long, Block> device = new ConcurrentSkipListMap<>();
    private final ConcurrentSkipListMap<Long, Block> pinned = new ConcurrentSkipListMap<>();
    private final ConcurrentSkipListMap<Long, Long> registered = new ConcurrentSkipListMap<>();

    /** The address, or 0 if there is not that much left. */
    synchronized long allocate(long bytes) {
        return bytes > total - allocatedBytes() ? 0 : add(device, bytes);
    }

    long pin(long bytes) {
        return add(pinned, bytes);
    }

    boolean free(long address) {
        return remove(device, address);
    }

    boolean unpin(long address) {
        return remove(pinned, address);
    }

    /** False if registered already. */
    boolean register(long address, long bytes) {
        return registered.putIfAbsent(address, bytes) == null;
    }

    boolean unregister(long address) {
        return registered.remove(address) != null;
    }

    /** Whether the host may be asked for a device address of this pointer. */
    boolean isMapped(long address) {
        Map.Entry<Long, Long> range = registered.floorEntry(address);
        return block(pinned, address, 1) != null || range != null && address < range.getKey() + range.getValue();
    }

    long allocatedBytes() {
        return device.values().stream().mapToLong(block -> block.segment.byteSize()).sum();
    }

    List<String> leaks() {
        List<String> leaks = new ArrayList<>();
        device.values().forEach(block -> leaks.add("device memory of " + block.segment.byteSize() + " bytes"));
        pinned.values().forEach(block -> leaks.add("pinned memory of " + block.segment.byteSize() + " bytes"));
        registered.values().forEach(bytes -> leaks.add("registered memory of " + bytes + " bytes"));
        return leaks;
    }

    /** The bytes behind a device pointer (mapped pinned memory included), or null if not all of them are allocated. */
    MemorySegment at(long address, long bytes) {
        MemorySegment found = block(device, address, bytes);
        return found != null ? found : block(pinned, address, bytes);
    }

    private static MemorySegment block(ConcurrentSkipListMap<Long, Block> blocks, long address, long bytes) {
        Map.Entry<Long, Block> entry = blocks.floorEntry(address);
        if (entry == null || bytes < 0 || address - entry.getKey() > entry.getValue().segment.byteSize() - bytes) {
            return null;
        }
        return entry.getValue().segment.asSlice(address - entry.getKey(), bytes);
    }

    private static long add(ConcurrentSkipListMap<Long, Block> blocks, long bytes) {
        Arena arena = Arena.ofShared();
        MemorySegment segment = arena.allocate(bytes, ALIGNMENT).fill(UNWRITTEN);
        blocks.put(segment.address(), new Block(arena, segment));
        return segment.address();
    }

    private static boolean remove(ConcurrentSkipListMap<Long, Block> blocks, long address) {
        Block block = blocks.remove(address);
        if (block != null) {
            block.arena.close();
        }
        return block != null;
    }

    private record Block(Arena arena, MemorySegment segment) {}
}
