package griffin.backend.cuda;

import griffin.backend.Buffer;
import griffin.backend.DType;

/**
 * A matrix in device memory, or a view of one.
 *
 * @param type    F32, BF16 or I32
 * @param address of element (0, 0)
 * @param stride  elements from one row to the next
 */
record CudaBuffer(DType type, long address, int stride, int rows, int columns) implements Buffer {

    static CudaBuffer of(Buffer buffer) {
        return (CudaBuffer) buffer;
    }

    boolean isFloat() {
        return type == DType.F32;
    }

    /** Whether rows can be read 16 bytes at a time. */
    boolean aligned() {
        return address % 16 == 0 && (long) stride * type.bytes() % 16 == 0 && (long) columns * type.bytes() % 16 == 0;
    }

    @Override
    public CudaBuffer columns(int from, int count) {
        assert from >= 0 && count > 0 && from + count <= columns;
        return new CudaBuffer(type, address + (long) from * type.bytes(), stride, rows, count);
    }

    @Override
    public CudaBuffer rows(int from, int count) {
        assert from >= 0 && count > 0 && from + count <= rows;
        return new CudaBuffer(type, address + (long) from * stride * type.bytes(), stride, count, columns);
    }
}
