package griffin.tokenizer;

import java.util.Arrays;

/** A binary min-heap of longs. */
final class LongHeap {

    private long[] heap = new long[64];
    private int size;

    void clear() {
        size = 0;
    }

    boolean isEmpty() {
        return size == 0;
    }

    /** Adds without ordering: {@link #order} must follow before anything else. */
    void append(long value) {
        if (size == heap.length) {
            heap = Arrays.copyOf(heap, (int) Math.min(Integer.MAX_VALUE - 8, 2L * size));
        }
        heap[size++] = value;
    }

    void order() {
        for (int i = (size >>> 1) - 1; i >= 0; i--) {
            siftDown(i, heap[i]);
        }
    }

    void push(long value) {
        append(value);
        int i = size - 1;
        while (i > 0 && heap[i - 1 >>> 1] > value) {
            heap[i] = heap[i - 1 >>> 1];
            i = i - 1 >>> 1;
        }
        heap[i] = value;
    }

    long pop() {
        long top = heap[0];
        long last = heap[--size];
        if (size > 0) {
            siftDown(0, last);
        }
        return top;
    }

    private void siftDown(int from, long value) {
        int i = from;
        for (int child = 2 * i + 1; child < size; child = 2 * i + 1) {
            if (child + 1 < size && heap[child + 1] < heap[child]) {
                child++;
            }
            if (heap[child] >= value) {
                break;
            }
            heap[i] = heap[child];
            i = child;
        }
        heap[i] = value;
    }
}
