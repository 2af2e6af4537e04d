package griffin.backend;

/** How many rows of its buffers an operation works on: a count that lives on the device and may change between runs. */
public interface Rows {

    /** At most {@code limit} of these rows, from row {@code from} on; the buffers given with it start at that row. */
    Rows slice(int from, int limit);
}
