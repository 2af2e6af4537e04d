package griffin.backend.cuda;

import griffin.backend.Rows;

/**
 * A live row count of a step, or part of it.
 *
 * @param outputs whether the output rows are counted, else all rows
 */
record CudaRows(CudaStep step, boolean outputs, int from, int limit) implements Rows {

    static CudaRows of(Rows rows) {
        return (CudaRows) rows;
    }

    @Override
    public Rows slice(int first, int most) {
        return new CudaRows(step, outputs, from + first, Math.max(0, Math.min(most, limit - first)));
    }

    /** How many rows there are, as the host knows it. */
    int count(Extent extent) {
        return Math.clamp((outputs ? extent.outputs : extent.rows) - from, 0, limit);
    }

    /** Address of the count on the device. */
    long countAddress() {
        return step.countAddress(outputs ? 2 : 0);
    }
}
