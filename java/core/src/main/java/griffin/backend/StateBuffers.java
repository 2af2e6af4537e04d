package griffin.backend;

import java.util.List;

/**
 * State slots of many sequences; slot {@code slots} is the scrap slot.
 *
 * @param layout shape of one slot
 * @param slots  usable slots
 * @param h      per recurrent layer [slots + 1, E], F32
 * @param conv   per recurrent layer [(slots + 1) (C-1), E], of the backend's operand type, as are keys and values
 * @param keys   per attention layer [(slots + 1) W, K], rotated, row = position mod W
 * @param values per attention layer, like keys
 * @param seen   [slots + 1, ceil(V/32)] I32
 */
public record StateBuffers(StateLayout layout, int slots, List<Buffer> h, List<Buffer> conv, List<Buffer> keys, List<Buffer> values,
        Buffer seen) {

    /** The slot that rows without a sequence write to. */
    public int scrapSlot() {
        return slots;
    }
}
