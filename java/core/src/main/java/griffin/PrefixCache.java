package griffin;

import griffin.cache.PrefixKey;
import griffin.error.InvalidRequestException;
import griffin.error.StateFormatException;
import griffin.session.Packing;
import griffin.session.SnapshotHeader;
import griffin.session.StateSnapshot;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;

/**
 * Snapshots of one model, found by the tokens that led to them, so that a prompt is read from where an earlier one parted from it. A
 * fingerprint (SHA-256 over the model's identity and the tokens) finds them, and the snapshot's own hash of its tokens is compared as
 * well. Memory is bounded by a budget; who leaves is decided by tokens saved per byte, by use and by age. A directory makes a second
 * tier that outlives the process and may be shared by several: a snapshot is written to it in the background, and one that is damaged
 * or of another model is removed. Thread-safe. Works on bytes and needs no device.
 */
public final class PrefixCache implements AutoCloseable {

    private static final int IDENTITY_BYTES = 32;

    private final Builder settings;
    private final PrefixTiers tiers;

    /**
     * What a search found. The arrays are the cache's own: they must not be changed.
     *
     * @param tokens   of the prompt that the snapshot has
     * @param snapshot for {@link Griffin#restore}
     * @param logits   [V] after the last token, or null if nobody kept them
     */
    public record Hit(int tokens, byte[] snapshot, float[] logits) {}

    /** How a cache is made. */
    public static final class Builder {

        private long memory = 512L << 20;
        private Path directory;
        private long diskBudget = 8L << 30;
        private StateCompression compression = StateCompression.NONE;
        private byte[] identity;

        private Builder() {}

        /** Most bytes of snapshots and logits in memory; 512 MiB by default. */
        public Builder memory(long bytes) {
            memory = require("memory", bytes);
            return this;
        }

        /** Where snapshots are kept beyond the process, or null, the default, for nowhere. */
        public Builder directory(Path path) {
            directory = path;
            return this;
        }

        /** Most bytes of all files in the directory; 8 GiB by default. */
        public Builder diskBudget(long bytes) {
            diskBudget = require("diskBudget", bytes);
            return this;
        }

        /**
         * How snapshots are kept; as they come by default. {@code LOSSLESS} happens in the background, soon after {@link #put};
         * {@code Q8} within it, so that the same prompt always finds the same state. A directory keeps exact states and those in 8 bits
         * apart: neither kind of cache finds the other's.
         */
        public Builder compression(StateCompression value) {
            compression = value;
            return this;
        }

        /** The model: {@link Griffin#modelIdentity}. Needed. */
        public Builder identity(byte[] value) {
            identity = value.clone();
            return this;
        }

        private static long require(String name, long value) {
            if (value < 0) {
                throw new InvalidRequestException(name + " must be at least 0 bytes, not " + value);
            }
            return value;
        }

        /**
         * Makes the cache, and the directory where it is missing.
         *
         * @throws UncheckedIOException when the directory cannot be made or read
         */
        public PrefixCache build() {
            if (identity == null || identity.length != IDENTITY_BYTES) {
                throw new InvalidRequestException("a prefix cache needs its model's identity, " + IDENTITY_BYTES + " bytes: "
                        + "give it what Griffin.modelIdentity returns");
            }
            return new PrefixCache(this);
        }
    }

    public static Builder builder() {
        return new Builder();
    }

    private PrefixCache(Builder b) {
        settings = b;
        tiers = new PrefixTiers(b.identity, b.memory, b.directory, b.diskBudget, b.compression);
    }

    /** The longest prefix of {@code ids} that is stored, up to all of them. */
    public Optional<Hit> find(int[] ids) {
        return tiers.find(ids);
    }

    /** Whether {@code ids[0, length)} is stored, in memory or on disk. */
    public boolean contains(int[] ids, int length) {
        return tiers.contains(PrefixKey.of(settings.identity, ids, length));
    }

    /**
     * Stores the state after {@code ids[0, length)}. Nothing happens if it is stored already, unless logits come that were missing.
     * The arrays must not be changed afterwards. A scheduler passes over a snapshot whose last token is pending, as of a session that
     * has just generated: it goes on from a shorter one.
     *
     * @param snapshot what {@link Session#snapshot} returned
     * @param logits   [V] after the last token, or null
     * @throws StateFormatException    when the snapshot is none, or another model's
     * @throws InvalidRequestException when it is not of these tokens, or has lost something to 8 bits and this cache is not of such states
     */
    public void put(int[] ids, int length, byte[] snapshot, float[] logits) {
        if (length < 1 || length > ids.length) {
            throw new InvalidRequestException("a prefix must have 1 to " + ids.length + " tokens here, not " + length);
        }
        SnapshotHeader header = StateSnapshot.header(MemorySegment.ofArray(snapshot), "the snapshot");
        if (!Arrays.equals(header.identity(), settings.identity)) {
            throw new StateFormatException(
                    "the snapshot belongs to another model (" + header.shape() + "): a prefix cache is of one model");
        }
        if (!header.isOf(ids, length)) {
            throw new InvalidRequestException("the snapshot is of " + header.tokens() + " tokens that are not the first " + length
                    + " given with it: give the tokens that the session has read and reported");
        }
        if (header.packing() == Packing.Q8 && settings.compression != StateCompression.Q8) {
            throw new InvalidRequestException("the snapshot is in 8 bits, and this prefix cache keeps exact ones (compression "
                    + settings.compression.word() + "): give it an exact one, or make the cache with compression q8");
        }
        tiers.put(ids, length, snapshot, header.plainBytes(), logits);
    }

    public CacheStatistics statistics() {
        return tiers.statistics();
    }

    /** Waits until everything that was put has been compressed and written. */
    public void flush() throws InterruptedException {
        tiers.flush();
    }

    /** Waits for what is to be written. Files stay; what was in memory alone is gone. */
    @Override
    public void close() {
        tiers.close();
    }
}
