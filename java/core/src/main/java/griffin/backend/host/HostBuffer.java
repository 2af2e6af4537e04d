package griffin.backend.host;

import griffin.backend.Buffer;
import griffin.backend.DType;

/**
 * A matrix in a Java array, or a view of one. Element (r, c) is {@code floats[offset + r * stride + c]}, or the same of
 * {@code ints}.
 *
 * @param floats the elements when the type is F32, else null
 * @param ints   the elements when the type is I32, else null
 */
public record HostBuffer(float[] floats, int[] ints, int offset, int stride, int rows, int columns) implements Buffer {

    static HostBuffer allocate(DType type, int rows, int columns) {
        int length = Math.multiplyExact(rows, columns);
        return switch (type) {
            case F32 -> new HostBuffer(new float[length], null, 0, columns, rows, columns);
            case I32 -> new HostBuffer(null, new int[length], 0, columns, rows, columns);
            default -> throw new IllegalArgumentException("host buffers hold F32 or I32, not " + type);
        };
    }

    /** The host buffer behind an operation's argument. */
    public static HostBuffer of(Buffer buffer) {
        return (HostBuffer) buffer;
    }

    @Override
    public DType type() {
        return floats != null ? DType.F32 : DType.I32;
    }

    /** Index of element (row, 0). */
    public int at(int row) {
        return offset + row * stride;
    }

    @Override
    public Buffer columns(int from, int count) {
        assert from >= 0 && count > 0 && from + count <= columns;
        return new HostBuffer(floats, ints, offset + from, stride, rows, count);
    }

    @Override
    public Buffer rows(int from, int count) {
        assert from >= 0 && count > 0 && from + count <= rows;
        return new HostBuffer(floats, ints, at(from), stride, count, columns);
    }
}
