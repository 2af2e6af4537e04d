package griffin.tokenizer;

import java.util.SplittableRandom;

/**
 * The merges of a byte-pair encoding: (left id, right id) to (rank, merged id), in one open-addressing table whose two
 * words per slot share a cache line.
 */
final class MergeTable {

    /** {@link #find} of a pair that does not merge; greater than every other result. */
    static final long NONE = Long.MAX_VALUE;

    private static final int BOUNDARY_BITS = 19;

    /** Drawn per process, so that no file can be made whose pairs all collide. */
    private static final long MULTIPLIER = new SplittableRandom().nextLong() | 1;

    /** Slot s: key at 2s ((left + 1) << 32 | right, 0 when empty), value at 2s + 1 (rank << 32 | merged). */
    private final long[] slots;
    private final int shift;
    /**
     * Pairs of characters that some merge joins, hashed to single bits. A pair whose bit is clear is a boundary that no
     * token crosses; a bit set by chance only costs time.
     */
    private final long[] joined = new long[1 << BOUNDARY_BITS - 6];
    /** Whether some merge takes a byte token: then byte tokens are symbols like others, else they are final at once. */
    private final boolean mergesBytes;

    MergeTable(MergeList merges, Vocabulary vocabulary) {
        int bits = Math.max(4, Long.SIZE - Long.numberOfLeadingZeros(3L * merges.size() / 2));
        slots = new long[2 << bits];
        shift = 64 - bits;
        boolean bytes = false;
        for (int rank = 0; rank < merges.size(); rank++) {
            int left = merges.left(rank);
            int right = merges.right(rank);
            // A control token is never made of text: whoever types "<bos>" gets five ordinary characters.
            if (!vocabulary.isSpecial(merges.merged(rank))) {
                put(left, right, (long) rank << 32 | merges.merged(rank));
                bytes |= vocabulary.isByte(left) || vocabulary.isByte(right);
                int bit = boundary(merges.lastOfLeft(rank), merges.firstOfRight(rank));
                joined[bit >> 6] |= 1L << bit;
            }
        }
        mergesBytes = bytes;
    }

    boolean mergesBytes() {
        return mergesBytes;
    }

    /** False only if no token holds these two code points side by side. */
    boolean mayJoin(int leftCodePoint, int rightCodePoint) {
        int bit = boundary(leftCodePoint, rightCodePoint);
        return (joined[bit >> 6] & 1L << bit) != 0;
    }

    private static int boundary(int left, int right) {
        return (left * 0x9E37_79B1 + right) * 0x85EB_CA6B >>> 32 - BOUNDARY_BITS;
    }

    /** {@code rank << 32 | merged id} of a pair of tokens, or {@link #NONE}; a smaller value merges earlier. */
    long find(int left, int right) {
        long key = left + 1L << 32 | right;
        int mask = slots.length - 2;
        for (int slot = slot(key);; slot = slot + 2 & mask) {
            long found = slots[slot];
            if (found == key) {
                return slots[slot + 1];
            }
            if (found == 0) {
                return NONE;
            }
        }
    }

    /** Whether some merge results in token {@code id}. Looks at every merge. */
    boolean makes(int id) {
        for (int slot = 0; slot < slots.length; slot += 2) {
            if (slots[slot] != 0 && (int) slots[slot + 1] == id) {
                return true;
            }
        }
        return false;
    }

    /** Of a pair that is listed twice the later rank counts, as in the reference library. */
    private void put(int left, int right, long value) {
        long key = left + 1L << 32 | right;
        int mask = slots.length - 2;
        int slot = slot(key);
        while (slots[slot] != 0 && slots[slot] != key) {
            slot = slot + 2 & mask;
        }
        slots[slot] = key;
        slots[slot + 1] = value;
    }

    private int slot(long key) {
        return (int) (key * MULTIPLIER >>> shift) << 1;
    }
}
