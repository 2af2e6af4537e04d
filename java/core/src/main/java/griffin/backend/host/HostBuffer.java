package griffin.backend.host;

import griffin.backend.Buffer;
import griffin.backend.DType;

/**
 * A matrix in a Java array, or a view of one. Element (r, c) is {@code floats[offset + r * stride + c]}, or the same of
 * {@code ints}. A BF16 buffer keeps its elements widened; whoever writes it ends with {@link #round}.
 *
 * @param type   F32, BF16 or I32
 * @param floats the elements when the type is F32 or BF16, else null
 * @param ints   the elements when the type is I32, else null
 */
public record HostBuffer(DType type, float[] floats, int[] ints, int offset, int stride, int rows, int columns) implements Buffer {

    static HostBuffer allocate(DType type, int rows, int columns) {
        int length = Math.multiplyExact(rows, columns);
        return switch (type) {
            case F32, BF16 -> new HostBuffer(type, new float[length], null, 0, columns, rows, columns);
            case I32 -> new HostBuffer(type, null, new int[length], 0, columns, rows, columns);
            case F16 -> throw new IllegalArgumentException("host buffers hold F32, BF16 or I32, not " + type);
        };
    }

    /** The host buffer behind an operation's argument. */
    public static HostBuffer of(Buffer buffer) {
        return (HostBuffer) buffer;
    }

    /** Index of element (row, 0). */
    public int at(int row) {
        return offset + row * stride;
    }

    /** In a BF16 buffer, rounds every element to the nearest bfloat16, ties to even; what is rounded already stays. */
    public void round() {
        if (type == DType.BF16) {
            for (int r = 0; r < rows; r++) {
                for (int at = at(r); at < at(r) + columns; at++) {
                    floats[at] = Float.intBitsToFloat(bfloat16(floats[at]) << 16);
                }
            }
        }
    }

    /** The nearest bfloat16, ties to even, in the low 16 bits; NaN stays NaN. */
    public static int bfloat16(float value) {
        int bits = Float.floatToRawIntBits(value);
        return Float.isNaN(value) ? bits >>> 16 | 0x40 : bits + 0x7FFF + (bits >>> 16 & 1) >>> 16;
    }

    @Override
    public Buffer columns(int from, int count) {
        assert from >= 0 && count > 0 && from + count <= columns;
        return new HostBuffer(type, floats, ints, offset + from, stride, rows, count);
    }

    @Override
    public Buffer rows(int from, int count) {
        assert from >= 0 && count > 0 && from + count <= rows;
        return new HostBuffer(type, floats, ints, at(from), stride, count, columns);
    }
}
