package griffin.weights;

import griffin.backend.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Optional;

/** Finds the first NaN or infinity of a tensor: an exponent of all ones, looked for in eight bytes at a time. */
final class FiniteScan {

    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final int BLOCK_BYTES = 1 << 20;

    private FiniteScan() {}

    static Optional<String> firstFault(Tensor tensor) {
        long index = tensor.dtype() == DType.I32 ? -1 : firstIndex(tensor);
        return index < 0 ? Optional.empty()
                : Optional.of(tensor.get(index) + " at index " + index + " of tensor '" + tensor.name() + "' in " + tensor.file());
    }

    private static long firstIndex(Tensor tensor) {
        int width = tensor.dtype().bytes();
        long bytes = tensor.data().byteSize();
        for (long at = 0; at < bytes; at += BLOCK_BYTES) {
            long length = Math.min(BLOCK_BYTES, bytes - at);
            if (anyFault(tensor.data().asSlice(at, length), tensor.dtype())) {
                for (long i = at / width; i < (at + length) / width; i++) {
                    if (!Float.isFinite(tensor.get(i))) {
                        return i;
                    }
                }
            }
        }
        return -1;
    }

    /** Adding one to the lowest exponent bit carries into the cleared sign bit exactly when all exponent bits are set. */
    private static boolean anyFault(MemorySegment block, DType type) {
        long exponent = switch (type) {
            case F32 -> 0x7F800000_7F800000L;
            case BF16 -> 0x7F807F80_7F807F80L;
            default -> 0x7C007C00_7C007C00L;
        };
        long lowest = exponent & ~(exponent << 1);
        long carries = 0;
        int whole = (int) block.byteSize() & ~7;
        for (int i = 0; i < whole; i += 8) {
            carries |= (block.get(LONG, i) & exponent) + lowest;
        }
        long last = 0;
        for (int i = whole; i < block.byteSize(); i++) {
            last |= (block.get(ValueLayout.JAVA_BYTE, i) & 0xFFL) << (8 * (i - whole));
        }
        carries |= (last & exponent) + lowest;
        return (carries & signs(type)) != 0;
    }

    private static long signs(DType type) {
        return type == DType.F32 ? 0x80000000_80000000L : 0x80008000_80008000L;
    }
}
