package griffin.backend;

/** A matrix in device memory that never moves. Views share the memory of what they were cut from. */
public interface Buffer {

    /** F32, I32 or the backend's {@link Backend#operandType}. */
    DType type();

    int rows();

    int columns();

    /** Columns [from, from + count) of every row, as a view. */
    Buffer columns(int from, int count);

    /** Rows [from, from + count), as a view. */
    Buffer rows(int from, int count);

    /** rows x columns x element size. */
    default long bytes() {
        return (long) rows() * columns() * type().bytes();
    }
}
