package griffin.tokenizer;

import java.util.Arrays;

/** The merges of a file in the order of their rank: ids of left, right and merged token, and the characters at the seam. */
final class MergeList {

    private static final int FIELDS = 5;

    private int[] fields = new int[FIELDS << 10];
    private int size;

    void add(int left, int right, int merged, int lastOfLeft, int firstOfRight) {
        int at = Math.multiplyExact(FIELDS, size);
        if (at + FIELDS > fields.length) {
            fields = Arrays.copyOf(fields, Math.multiplyExact(2, fields.length));
        }
        fields[at] = left;
        fields[at + 1] = right;
        fields[at + 2] = merged;
        fields[at + 3] = lastOfLeft;
        fields[at + 4] = firstOfRight;
        size++;
    }

    int size() {
        return size;
    }

    int left(int rank) {
        return fields[FIELDS * rank];
    }

    int right(int rank) {
        return fields[FIELDS * rank + 1];
    }

    int merged(int rank) {
        return fields[FIELDS * rank + 2];
    }

    /** Last code point of the left token's text. */
    int lastOfLeft(int rank) {
        return fields[FIELDS * rank + 3];
    }

    /** First code point of the right token's text. */
    int firstOfRight(int rank) {
        return fields[FIELDS * rank + 4];
    }
}
