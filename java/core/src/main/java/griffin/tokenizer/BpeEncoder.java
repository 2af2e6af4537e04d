package griffin.tokenizer;

import java.util.Arrays;

/**
 * Byte-pair encoding of one text: characters become tokens (or the tokens of their UTF-8 bytes), then of all adjacent
 * pairs the one with the lowest rank merges, the leftmost of equals first, until none is left. Working memory of one
 * call, not for sharing.
 *
 * <p>Text is cut wherever two neighbours can never be part of one token; merging the parts alone gives the same ids and
 * mostly works on single words. What remains is merged by scanning when short, by a heap over a linked list when long,
 * so that a text without any boundary takes {@code n log n}.
 */
final class BpeEncoder {

    private static final int SHORT = 40;
    private static final int REPLACEMENT = 0xFFFD;

    private final Vocabulary vocabulary;
    private final MergeTable merges;
    private final IntList out;
    private final int shortLimit;

    /** The symbols of the part being collected, {@code n} of them. */
    private int[] symbols = new int[64];
    /** Value of {@link MergeTable#find} for symbol i and the one after it. */
    private long[] pairs = new long[64];
    private int n;

    private int[] previous = {};
    private int[] next = {};
    private final LongHeap heap = new LongHeap();

    BpeEncoder(Vocabulary vocabulary, MergeTable merges, IntList out) {
        this(vocabulary, merges, out, SHORT);
    }

    /** With a {@code shortLimit} of 2 everything goes through the heap: tests compare the two ways. */
    BpeEncoder(Vocabulary vocabulary, MergeTable merges, IntList out, int shortLimit) {
        this.vocabulary = vocabulary;
        this.merges = merges;
        this.out = out;
        this.shortLimit = shortLimit;
    }

    /** Appends the ids of {@code text[from, to)}. */
    void encode(String text, int from, int to) {
        int before = -1;
        for (int i = from; i < to;) {
            int c = text.charAt(i++);
            if (c == ' ') {
                c = Vocabulary.SPACE;
            } else if (Character.isSurrogate((char) c)) {
                if (Character.isHighSurrogate((char) c) && i < to && Character.isLowSurrogate(text.charAt(i))) {
                    c = Character.toCodePoint((char) c, text.charAt(i++));
                } else {
                    c = REPLACEMENT;
                }
            }
            int id = vocabulary.characterId(c);
            if (id >= 0) {
                if (before >= 0 && !merges.mayJoin(before, c)) {
                    finishPart();
                }
                push(id);
                before = c;
            } else {
                pushBytes(c);
                // Bytes that do merge have no character to tell a boundary by; -1 keeps the part together.
                before = -1;
            }
        }
        finishPart();
    }

    private void pushBytes(int c) {
        if (!merges.mergesBytes()) {
            finishPart();
        }
        if (c < 0x80) {
            push(vocabulary.byteId(c));
        } else if (c < 0x800) {
            push(vocabulary.byteId(0xC0 | c >> 6));
            push(vocabulary.byteId(0x80 | c & 0x3F));
        } else if (c < 0x10000) {
            push(vocabulary.byteId(0xE0 | c >> 12));
            push(vocabulary.byteId(0x80 | c >> 6 & 0x3F));
            push(vocabulary.byteId(0x80 | c & 0x3F));
        } else {
            push(vocabulary.byteId(0xF0 | c >> 18));
            push(vocabulary.byteId(0x80 | c >> 12 & 0x3F));
            push(vocabulary.byteId(0x80 | c >> 6 & 0x3F));
            push(vocabulary.byteId(0x80 | c & 0x3F));
        }
        if (!merges.mergesBytes()) {
            finishPart();
        }
    }

    private void push(int id) {
        if (n == symbols.length) {
            int capacity = (int) Math.min(Integer.MAX_VALUE - 8, 2L * n);
            symbols = Arrays.copyOf(symbols, capacity);
            pairs = Arrays.copyOf(pairs, capacity);
        }
        symbols[n++] = id;
    }

    /** Merges what was collected, appends the result and starts anew. */
    private void finishPart() {
        if (n == 0) {
            return;
        }
        for (int i = 0; i < n - 1; i++) {
            pairs[i] = merges.find(symbols[i], symbols[i + 1]);
        }
        pairs[n - 1] = MergeTable.NONE;
        if (n < shortLimit) {
            mergeByScanning();
        } else {
            mergeByHeap();
        }
        n = 0;
    }

    private void mergeByScanning() {
        while (n > 1) {
            int best = 0;
            for (int i = 1; i < n - 1; i++) {
                // By rank alone, and strictly: equal ranks are equal pairs, and of those the leftmost goes first.
                if (pairs[i] < pairs[best]) {
                    best = i;
                }
            }
            if (pairs[best] == MergeTable.NONE) {
                break;
            }
            symbols[best] = (int) pairs[best];
            n--;
            System.arraycopy(symbols, best + 2, symbols, best + 1, n - best - 1);
            System.arraycopy(pairs, best + 1, pairs, best, n - best);
            if (best < n - 1) {
                pairs[best] = merges.find(symbols[best], symbols[best + 1]);
            }
            if (best > 0) {
                pairs[best - 1] = merges.find(symbols[best - 1], symbols[best]);
            }
        }
        for (int i = 0; i < n; i++) {
            out.add(symbols[i]);
        }
    }

    private void mergeByHeap() {
        link();
        while (!heap.isEmpty()) {
            long top = heap.pop();
            int i = (int) top;
            // An entry whose pair has changed since, or whose symbol is gone, is stale. A symbol's pair only ever grows,
            // and every rank belongs to one pair, so an equal rank means the same pair.
            if (pairs[i] == MergeTable.NONE || pairs[i] >>> 32 != top >>> 32) {
                continue;
            }
            int right = next[i];
            int after = next[right];
            symbols[i] = (int) pairs[i];
            pairs[right] = MergeTable.NONE;
            next[i] = after;
            if (after < n) {
                previous[after] = i;
            }
            offer(i, after);
            if (previous[i] >= 0) {
                offer(previous[i], i);
            }
        }
        for (int i = 0; i < n; i = next[i]) {
            out.add(symbols[i]);
        }
    }

    private void offer(int left, int right) {
        pairs[left] = right < n ? merges.find(symbols[left], symbols[right]) : MergeTable.NONE;
        if (pairs[left] != MergeTable.NONE) {
            heap.push(pairs[left] & 0xFFFF_FFFF_0000_0000L | left);
        }
    }

    private void link() {
        if (previous.length < n) {
            previous = new int[symbols.length];
            next = new int[symbols.length];
        }
        heap.clear();
        for (int i = 0; i < n; i++) {
            previous[i] = i - 1;
            next[i] = i + 1;
            if (pairs[i] != MergeTable.NONE) {
                heap.append(pairs[i] & 0xFFFF_FFFF_0000_0000L | i);
            }
        }
        heap.order();
    }
}
