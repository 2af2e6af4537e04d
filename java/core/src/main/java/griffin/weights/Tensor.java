package griffin.weights;

import griffin.backend.DType;
import griffin.error.ModelFormatException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * A named array as it lies in a file: row-major, little-endian, not copied.
 *
 * @param name  its name in the file
 * @param dtype type of the elements
 * @param shape length of each axis, outermost first; empty for a scalar
 * @param data  exactly the elements' bytes; read-only; the address need not be aligned, so use unaligned layouts
 * @param file  full path of the file it lies in, for messages
 */
public record Tensor(String name, DType dtype, long[] shape, MemorySegment data, String file) {

    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    public Tensor {
        shape = shape.clone();
    }

    @Override
    public long[] shape() {
        return shape.clone();
    }

    /** Number of elements. */
    public long elements() {
        return data.byteSize() / dtype.bytes();
    }

    /**
     * Element {@code i} in row-major order, widened to float.
     *
     * @throws ModelFormatException if the elements are integers
     */
    public float get(long i) {
        return switch (dtype) {
            case F32 -> Float.intBitsToFloat(data.get(INT, i * 4));
            case BF16 -> Float.intBitsToFloat(data.get(SHORT, i * 2) << 16);
            case F16 -> Float.float16ToFloat(data.get(SHORT, i * 2));
            default -> throw wrongType("F32, BF16 or F16");
        };
    }

    /**
     * Element {@code i} in row-major order of an I32 tensor.
     *
     * @throws ModelFormatException if the elements are not I32
     */
    public int getInt(long i) {
        if (dtype != DType.I32) {
            throw wrongType("I32");
        }
        return data.get(INT, i * 4);
    }

    private ModelFormatException wrongType(String expected) {
        return new ModelFormatException(file + ": tensor '" + name + "': expected dtype " + expected + ", found " + dtype);
    }
}
