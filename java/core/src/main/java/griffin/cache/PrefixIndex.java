package griffin.cache;

import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.NavigableSet;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * What is held, in memory and on disk, and who leaves memory when its budget is spent. That is decided by the greedy-dual rule: an entry
 * is worth the tokens it saves, times how often it was used or continued, per byte, on top of the worth of the last one that had to
 * leave. So long shared prefixes stay, and what nobody asks for any more ages. Not thread-safe.
 */
public final class PrefixIndex {

    /** One prefix. */
    public static final class Entry {

        private final PrefixKey key;
        private byte[] snapshot;
        private float[] logits;
        private long diskBytes = -1;
        private boolean pending;
        private long uses;
        private double worth;

        private Entry(PrefixKey key) {
            this.key = key;
        }

        public PrefixKey key() {
            return key;
        }

        /** The snapshot, or null if it is on disk alone. */
        public byte[] snapshot() {
            return snapshot;
        }

        /** The logits after the last token, or null. */
        public float[] logits() {
            return logits;
        }

        /** Whether a file is known to have it. */
        public boolean onDisk() {
            return diskBytes >= 0;
        }

        /** Whether it waits to be written. */
        public boolean pending() {
            return pending;
        }

        /** It waits no longer. */
        public void settled() {
            pending = false;
        }

        private long bytes() {
            return snapshot == null ? 0 : bytesOf(snapshot, logits);
        }
    }

    /** About what the objects of an entry take beside their arrays. */
    private static final int OVERHEAD = 256;

    private final long budget;
    private final Map<PrefixKey, Entry> entries = new HashMap<>();
    private final TreeMap<Integer, Integer> lengths = new TreeMap<>();
    private long bytes;
    private int inMemory;
    private double clock;
    private long evictions;

    /** @param budget most bytes in memory */
    public PrefixIndex(long budget) {
        this.budget = budget;
    }

    /** What an entry takes in memory. */
    public static long bytesOf(byte[] snapshot, float[] logits) {
        return snapshot.length + 4L * (logits == null ? 0 : logits.length) + OVERHEAD;
    }

    public Entry get(PrefixKey key) {
        return entries.get(key);
    }

    public Collection<Entry> entries() {
        return entries.values();
    }

    /** The lengths of all prefixes that are held. */
    public NavigableSet<Integer> lengths() {
        return new TreeSet<>(lengths.keySet());
    }

    /** Notes a use: of the entry itself, or of a longer one that continues it. */
    public void use(Entry entry) {
        entry.uses++;
        appraise(entry);
    }

    private void appraise(Entry entry) {
        entry.worth = clock + (double) entry.key.length() * (1 + entry.uses) / Math.max(1, entry.bytes());
    }

    /** Notes that a file has it. */
    public void onDisk(PrefixKey key, long diskBytes) {
        entry(key).diskBytes = diskBytes;
    }

    /** Notes that no file has it. */
    public void offDisk(Entry entry) {
        entry.diskBytes = -1;
        removeIfEmpty(entry);
    }

    /**
     * Holds a snapshot in memory, in place of an earlier one of the same prefix, and lets others leave for it.
     *
     * @param pending whether it waits to be written from now on
     */
    public Entry hold(PrefixKey key, byte[] snapshot, float[] logits, boolean pending) {
        Entry entry = entry(key);
        entry.pending |= pending;
        account(entry, snapshot, logits);
        appraise(entry);
        while (bytes > budget) {
            evict();
        }
        return entry;
    }

    private Entry entry(PrefixKey key) {
        return entries.computeIfAbsent(key, fresh -> {
            lengths.merge(fresh.length(), 1, Integer::sum);
            return new Entry(fresh);
        });
    }

    private void account(Entry entry, byte[] snapshot, float[] logits) {
        bytes -= entry.bytes();
        inMemory += (snapshot == null ? 0 : 1) - (entry.snapshot == null ? 0 : 1);
        entry.snapshot = snapshot;
        entry.logits = logits;
        bytes += entry.bytes();
    }

    /** The least worthy leaves memory; first among those that are on disk or need not be. */
    private void evict() {
        Entry least = null;
        for (Entry entry : entries.values()) {
            if (entry.snapshot != null && (least == null || comesBefore(entry, least))) {
                least = entry;
            }
        }
        clock = Math.max(clock, least.worth);
        evictions++;
        account(least, null, null);
        removeIfEmpty(least);
    }

    private static boolean comesBefore(Entry a, Entry b) {
        return a.pending != b.pending ? b.pending : a.worth < b.worth;
    }

    private void removeIfEmpty(Entry entry) {
        if (entry.snapshot == null && !entry.onDisk() && entries.remove(entry.key) != null) {
            lengths.computeIfPresent(entry.key.length(), (length, count) -> count == 1 ? null : count - 1);
        }
    }

    public long bytes() {
        return bytes;
    }

    public int inMemory() {
        return inMemory;
    }

    public long evictions() {
        return evictions;
    }

    /** Entries on disk, and the bytes of their files. */
    public long[] disk() {
        long[] sums = new long[2];
        for (Entry entry : entries.values()) {
            if (entry.onDisk()) {
                sums[0]++;
                sums[1] += entry.diskBytes;
            }
        }
        return sums;
    }
}
