package griffin.tokenizer;

import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * A growing set of token strings, numbered in the order they were added. All characters lie in one array and the index
 * is an open-addressing table, so a quarter of a million strings cost some megabytes and no objects.
 */
final class Pieces {

    /**
     * The hash is a polynomial in a number drawn per process: with a fixed one, a hostile file could be written whose
     * strings all fall into one slot, and reading it would take for ever.
     */
    private static final long BASE = new SplittableRandom().nextLong() | 1;

    private char[] chars;
    /** Entry e is {@code chars[starts[e] .. starts[e + 1])}. */
    private int[] starts;
    /** Upper half: hash. Lower half: entry + 1, so that 0 is an empty slot. */
    private long[] slots;
    private int size;

    /** @param expected about how many strings there will be */
    Pieces(int expected) {
        int capacity = Math.max(64, expected);
        chars = new char[8 * capacity];
        starts = new int[capacity + 2];
        slots = new long[Integer.highestOneBit(capacity) * 2];
    }

    int size() {
        return size;
    }

    int start(int entry) {
        return starts[entry];
    }

    int end(int entry) {
        return starts[entry + 1];
    }

    /** The array that every entry's characters lie in; not to be written. */
    char[] chars() {
        return chars;
    }

    String string(int entry) {
        return new String(chars, starts[entry], starts[entry + 1] - starts[entry]);
    }

    /** Continues {@code hash} (0 at the start of a string) by one character. */
    static long hash(long hash, char c) {
        return hash * BASE + c + 1;
    }

    static long hash(long hash, char[] text, int from, int to) {
        long h = hash;
        for (int i = from; i < to; i++) {
            h = hash(h, text[i]);
        }
        return h;
    }

    /** The entry equal to {@code text[from, to)}, or -1. */
    int find(char[] text, int from, int to) {
        return find(hash(0, text, from, to), text, from, to);
    }

    int find(String text) {
        char[] array = text.toCharArray();
        return find(array, 0, array.length);
    }

    /** {@link #find(char[], int, int)} for a caller that already has the hash of the characters. */
    int find(long hash, char[] text, int from, int to) {
        long mixed = mix(hash);
        int mask = slots.length - 1;
        for (int slot = (int) mixed & mask;; slot = slot + 1 & mask) {
            long found = slots[slot];
            if (found == 0) {
                return -1;
            }
            int entry = (int) found - 1;
            if ((found ^ mixed) >>> 32 == 0 && equal(entry, text, from, to)) {
                return entry;
            }
        }
    }

    /** As {@link #find(long, char[], int, int)}, but looks at entry {@code guess} and its successor first. */
    int find(int guess, long hash, char[] text, int from, int to) {
        for (int entry = guess; entry < Math.min(size, guess + 2); entry++) {
            if (equal(entry, text, from, to)) {
                return entry;
            }
        }
        return find(hash, text, from, to);
    }

    /** A plain loop: for a handful of characters, and before the compiler has warmed up, Arrays.equals is slower. */
    private boolean equal(int entry, char[] text, int from, int to) {
        int at = starts[entry];
        if (starts[entry + 1] - at != to - from) {
            return false;
        }
        for (int i = from; i < to; i++) {
            if (chars[at++] != text[i]) {
                return false;
            }
        }
        return true;
    }

    /** Adds {@code text[0, length)}; false, and nothing done, if it is there already. */
    boolean add(char[] text, int length) {
        long hash = hash(0, text, 0, length);
        if (find(hash, text, 0, length) >= 0) {
            return false;
        }
        reserve(length);
        int start = starts[size];
        System.arraycopy(text, 0, chars, start, length);
        starts[++size] = start + length;
        insert(mix(hash), size - 1);
        return true;
    }

    private void reserve(int length) {
        int needed = Math.addExact(starts[size], length);
        if (needed > chars.length) {
            chars = Arrays.copyOf(chars, (int) Math.min(Integer.MAX_VALUE - 8, Math.max(needed, 2L * chars.length)));
        }
        if (size + 2 > starts.length) {
            starts = Arrays.copyOf(starts, 2 * starts.length);
        }
        if (2 * (size + 1) > slots.length) {
            rehash();
        }
    }

    private void rehash() {
        slots = new long[2 * slots.length];
        for (int entry = 0; entry < size; entry++) {
            insert(mix(hash(0, chars, starts[entry], starts[entry + 1])), entry);
        }
    }

    private void insert(long mixed, int entry) {
        int mask = slots.length - 1;
        int slot = (int) mixed & mask;
        while (slots[slot] != 0) {
            slot = slot + 1 & mask;
        }
        slots[slot] = mixed & 0xFFFF_FFFF_0000_0000L | entry + 1;
    }

    /** A polynomial's low bits depend on few characters; the table's index is taken from well-stirred ones. */
    private static long mix(long hash) {
        long h = (hash ^ hash >>> 32) * 0x9E37_79B9_7F4A_7C15L;
        return h ^ h >>> 29;
    }
}
