package griffin.backend.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Packs the arguments of a kernel as C does: each at a multiple of its own size. */
final class Arguments {

    private static final int LARGEST = 1024;

    private final MemorySegment block;
    private long bytes;

    Arguments(Arena arena) {
        block = arena.allocate(LARGEST, 16);
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
        MemorySegment.copy(struct, 0, block, align(8), struct.byteSize());
        bytes += struct.byteSize();
        return this;
    }

    private long align(int to) {
        bytes = (bytes + to - 1) / to * to;
        return bytes;
    }

    MemorySegment block() {
        return block;
    }

    long bytes() {
        return bytes;
    }
}
