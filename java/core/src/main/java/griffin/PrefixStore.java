package griffin;

import java.util.Optional;

/** Where a scheduler finds states by the tokens that led to them: a {@link PrefixCache}, or what a test has instead. Thread-safe. */
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

    static PrefixStore of(PrefixCache cache) {
        return new PrefixStore() {
            @Override
            public Optional<Found> find(int[] ids) {
                return cache.find(ids).map(hit -> new Found(hit.tokens(), hit.snapshot(), hit.logits()));
            }

            @Override
            public boolean contains(int[] ids, int length) {
                return cache.contains(ids, length);
            }

            @Override
            public void put(int[] ids, int length, byte[] snapshot, float[] logits) {
                cache.put(ids, length, snapshot, logits);
            }
        };
    }
}
