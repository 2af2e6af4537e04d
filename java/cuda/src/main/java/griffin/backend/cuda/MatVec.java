package griffin.backend.cuda;

/** Launch geometry of the mat-vecs: one row, in float32 up to 8; see cuda-kernels/src/linear.cuh. More rows: {@link TileProduct}. */
final class MatVec {

    static final int MOST_ROWS = 8;
    private static final int MOST_WARPS = 12;
    private static final int GOOD_WARPS = 8;
    /** A warp's smallest ring: one chunk. */
    private static final int RING_OF_WARP = 5632;
    private static final int STAGED_LIMIT = 80 << 10;
    /** Static shared memory of these kernels. */
    private static final int STATIC = 15 << 10;
    /**
     * Part of a block's most shared memory that a mat-vec of one row takes: a little more than lets two of them share a multiprocessor.
     * More only makes the queue in front of the memory longer: on an H100, a step of 2B took 0.775 of the read bandwidth with 120 KB, 0.762 with
     * 150, 0.747 with 195, and 0.664 with two beside each other; of 9B 0.870, 0.865, 0.854, 0.688.
     */
    private static final int RING_NUMERATOR = 17;
    private static final int RING_DENOMINATOR = 32;
    /** What a mat-vec of several rows leaves of a multiprocessor: its own static memory, and a small kernel beside it. */
    private static final int SMALL_KERNEL = 32 << 10;

    private final CudaDriver.Device device;
    private final int elementBytes;
    private final int ring;

    MatVec(CudaDriver.Device device, int elementBytes) {
        this(device, elementBytes, 0);
    }

    /** @param ring bytes of dynamic shared memory to aim at; 0 for what was measured to be best */
    MatVec(CudaDriver.Device device, int elementBytes, int ring) {
        this.device = device;
        this.elementBytes = elementBytes;
        this.ring = ring;
    }

    private long ring(int rows) {
        int block = device.sharedPerBlock();
        return ring > 0 ? ring : rows == 1 ? (long) block * RING_NUMERATOR / RING_DENOMINATOR : block - SMALL_KERNEL;
    }

    /** Threads of a block, and its bytes of dynamic shared memory. */
    record Shape(int threads, int shared) {}

    /** The kernel's suffix for so many rows: the next of 1, 2, 4, 8. */
    static int bucket(int rows) {
        return rows <= 1 ? 1 : Integer.highestOneBit(rows - 1) * 2;
    }

    /**
     * The geometry, or null where the rows do not fit in a block's shared memory.
     *
     * @param rows    1, 2, 4 or 8
     * @param inputs  I
     * @param units   outputs, or pairs of gate and up
     * @param vectors whether the input's rows can be read 16 bytes at a time
     */
    Shape choose(int rows, int inputs, int units, boolean vectors) {
        long staged = (long) rows * ((long) inputs * elementBytes + 128);
        boolean stages = rows == 1 || !vectors || staged <= STAGED_LIMIT;
        long x = stages ? (staged + 127) / 128 * 128 : 0;
        int most = device.sharedPerBlock() - STATIC;
        long room = Math.min(most, Math.max(ring(rows), x + GOOD_WARPS * RING_OF_WARP));
        int warps = warps(Math.max(1, Launch.blocks(units, device.processors())), x, room);
        if (warps == 0) {
            warps = (int) Math.min(GOOD_WARPS - 1, (most - x) / RING_OF_WARP);
        }
        long least = x + (long) warps * RING_OF_WARP;
        return warps < 1 ? null : new Shape(32 * warps, (int) Math.max(least, Math.min(room, x + 8L * warps * RING_OF_WARP)));
    }

    /** The number of good warps that leaves the fewest idle in the last round of the work, the larger if equal; 0 where none fits. */
    private static int warps(int work, long x, long room) {
        int best = 0;
        int leastIdle = Integer.MAX_VALUE;
        for (int warps = MOST_WARPS; warps >= GOOD_WARPS; warps--) {
            int idle = Launch.blocks(work, warps) * warps - work;
            if (x + (long) warps * RING_OF_WARP <= room && idle < leastIdle) {
                best = warps;
                leastIdle = idle;
            }
        }
        return best;
    }

    int processors() {
        return device.processors();
    }
}
