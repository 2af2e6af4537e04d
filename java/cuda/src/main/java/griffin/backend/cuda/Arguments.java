package griffin.backend.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/** Packs the arguments of a kernel as C does: each at a multiple of its own size, structs at one of their alignment. */
final class Arguments {

    private static final int LARGEST = 1024;
    /** What any argument's alignment divides, so that structs can be made where they lie. */
    private static final int MOST_ALIGNED = 64;

    private final MemorySegment block;
    private final List<Long> offsets = new ArrayList<>();
    private long bytes;

    Arguments(Arena arena) {
        block = arena.allocate(LARGEST, MOST_ALIGNED);
    }

    Arguments pointer(long address) {
        return wide(address);
    }

    /** A 64-bit integer. */
    Arguments wide(long value) {
        block.set(ValueLayout.JAVA_LONG, align(8), value);
        bytes += 8;
        return this;
    }

    Arguments integer(int value) {
        block.set(ValueLayout.JAVA_INT, align(4), value);
        bytes += 4;
        return this;
    }

    Arguments real(float value) {
        block.set(ValueLayout.JAVA_FLOAT, align(4), value);
        bytes += 4;
        return this;
    }

    /** A pointer and a row stride. */
    Arguments matrix(CudaBuffer buffer) {
        return pointer(buffer.address()).integer(buffer.stride());
    }

    /** count, from, limit. */
    Arguments rows(CudaRows rows) {
        return pointer(rows.countAddress()).integer(rows.from()).integer(rows.limit());
    }

    /** The struct of a step, by value. */
    Arguments step(CudaStep step) {
        MemorySegment struct = step.struct();
        struct(struct.byteSize(), 8).copyFrom(struct);
        return this;
    }

    /** The place of a struct by value, to be filled in. @param size bytes @param alignment what C aligns it to, at most 64 bytes */
    MemorySegment struct(long size, int alignment) {
        MemorySegment place = block.asSlice(align(alignment), size);
        bytes += size;
        return place;
    }

    private long align(int to) {
        bytes = (bytes + to - 1) / to * to;
        offsets.add(bytes);
        return bytes;
    }

    MemorySegment block() {
        return block;
    }

    /** Where each argument lies: an array of pointers, in their order. */
    MemorySegment pointers(Arena arena) {
        MemorySegment pointers = arena.allocate(ValueLayout.ADDRESS, offsets.size());
        for (int i = 0; i < offsets.size(); i++) {
            pointers.setAtIndex(ValueLayout.ADDRESS, i, block.asSlice(offsets.get(i)));
        }
        return pointers;
    }

    long bytes() {
        return bytes;
    }
}
