package griffin;

import java.util.Optional;

/** Where a scheduler finds states by the tokens that led to them. Thread-safe, and without a device. */
interface PrefixStore {

    /**
     * A stored state.
     *
     * @param tokens   how many of the ids are in it
     * @param snapshot the state
     * @param logits   float32 [V] after the last of them, or null
     */
    record Found(int tokens, byte[] snapshot, float[] logits) {}

    /** The longest stored prefix of {@code ids}. */
    Optional<Found> find(int[] ids);

    boolean contains(int[] ids, int length);

    /** Stores the state after ids[0, length). */
    void put(int[] ids, int length, byte[] snapshot, float[] logits);
}
