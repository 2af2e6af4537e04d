package griffin.backend.cuda;

import griffin.error.DeviceMemoryException;

/**
 * Device memory of weights, which is given back only with all the rest: a model has hundreds, and each allocation costs 50 microseconds. Where
 * it is known how many bytes will come they share one allocation; otherwise, and beyond it, the small ones share blocks.
 */
final class Slabs {

    /** Weights up to an eighth of it share one; also what the driver rounds every allocation up to. */
    static final long BLOCK = 2L << 20;
    private static final long ALIGNMENT = 256;

    /** Takes device memory. */
    interface Source {
        /** @throws DeviceMemoryException when there is not as much */
        long allocate(long bytes, String use);
    }

    /** What is left of an allocation. */
    private static final class Slab {
        long at;
        long left;

        Slab(long at, long left) {
            this.at = at;
            this.left = left;
        }

        long take(long bytes) {
            long address = at;
            at += bytes;
            left -= bytes;
            return address;
        }
    }

    private final Source source;
    private Slab slab = new Slab(0, 0);
    private Slab block = new Slab(0, 0);
    private long expected;

    Slabs(Source source) {
        this.source = source;
    }

    /** The weights that come next will have so many bytes together, about. */
    void expect(long bytes) {
        expected = bytes;
    }

    /** Memory for one weight, aligned to 256 bytes, with anything in it. */
    long take(long bytes, String use) {
        long size = roundUp(Math.max(bytes, 1), ALIGNMENT);
        if (expected >= size) {
            slab = reserve(roundUp(expected, BLOCK));
            expected = 0;
        }
        if (size <= slab.left) {
            return slab.take(size);
        }
        if (size > BLOCK / 8) {
            return source.allocate(size, use);
        }
        if (size > block.left) {
            Slab next = reserve(BLOCK);
            if (next.left == 0) {
                return source.allocate(size, use);
            }
            block = next;
        }
        return block.take(size);
    }

    /** Room for several weights, or none where there is not as much in one place: then each weight asks for its own. */
    private Slab reserve(long bytes) {
        try {
            return new Slab(source.allocate(bytes, "weights"), bytes);
        } catch (DeviceMemoryException e) {
            return new Slab(0, 0);
        }
    }

    private static long roundUp(long bytes, long to) {
        return Math.ceilDiv(bytes, to) * to;
    }
}
