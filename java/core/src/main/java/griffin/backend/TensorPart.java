package griffin.backend;

import java.lang.foreign.MemorySegment;

/**
 * A row-major tensor in (usually mapped) memory.
 *
 * @param dtype F32, BF16 or F16
 * @param rows  product of all dimensions but the last
 * @param columns the last dimension
 * @param data  rows x columns elements, little-endian, at any alignment
 */
public record TensorPart(DType dtype, int rows, int columns, MemorySegment data) {

    public TensorPart {
        long expected = (long) rows * columns * dtype.bytes();
        if (data.byteSize() != expected) {
            throw new IllegalArgumentException("a part [" + rows + ", " + columns + "] of " + dtype + " has " + expected + " bytes, not "
                    + data.byteSize());
        }
    }
}
