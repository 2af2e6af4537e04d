package griffin.backend.cuda;

import java.util.Arrays;

/**
 * Launch geometry of the bfloat16 products of 2 to 32 rows by tiles, where they do not go by streams ({@link StreamProduct}): see
 * cuda-kernels/src/linear_tiles.cuh. Eight rows cost what two do, so there are forms for 8, 16 and 32 alone.
 */
final class TileProduct {

    /** Threads of a block: eight warps multiply, four fetch. */
    static final int THREADS = 384;
    static final int MOST_PLANES = 8;
    /** Inputs of one mma: of no multiple of them, or of rows that are not aligned, the kernels add element by element. */
    static final int INPUTS_UNIT = 16;
    /** The most rows of any form. */
    static final int MOST_ROWS = 32;
    /** The most rows of each form. */
    private static final int[] FORMS = {8, 16, MOST_ROWS};
    /**
     * Where cuBLASLt serves, more rows go there, unless {@code griffin.cuda.tiles} says otherwise, for every block reads all of x: decode steps of
     * 2B on an H200 take 2.13 ms instead of cuBLASLt's 2.21 with 8 sequences, 2.72 instead of 2.51 with 32. Elsewhere all that a form takes
     * come here.
     */
    private static final int MOST_ROWS_BESIDE_CUBLASLT = 8;

    /** Inputs of a chunk, and bytes from one row of it to the next. */
    private static final int CHUNK = 128;
    private static final int PITCH = 272;
    /** The most weight rows of a tile: the fewer only where no two stages of the more fit. */
    private static final int[] TILE_LIMITS = {256, 128};
    private static final int TILE_ROWS_UNIT = 16;
    private static final int LEAST_STAGES = 2;
    private static final int MOST_STAGES = 8;
    /** In a tile of so few rows several warps share a sum; bytes of their parts for each row of x. */
    private static final int SHARED_TILE_ROWS = 64;
    private static final int PARTS = 384;
    /** With so much, no two blocks share a multiprocessor of an H200: linear_tiles.cuh has the figures. */
    private static final int ROOM = 136 << 10;
    /** Static memory, and what the driver keeps. */
    private static final int STATIC = 1 << 10;

    private final CudaDriver.Device device;
    private final int ring;
    private final int rows;

    TileProduct(CudaDriver.Device device) {
        this(device, 0, 0);
    }

    /**
     * @param ring bytes of dynamic shared memory to aim at; 0 for what was measured to be best
     * @param rows the most rows that go by tiles; 0 for the rule of {@link #most}
     */
    TileProduct(CudaDriver.Device device, int ring, int rows) {
        this.device = device;
        this.ring = ring;
        this.rows = rows;
    }

    /**
     * A launch.
     *
     * @param planes parts of the inputs, whose sums are left apart
     * @param blocks of a plane
     * @param shared bytes of dynamic shared memory
     */
    record Shape(int planes, int blocks, int shared) {

        int grid() {
            return planes * blocks;
        }
    }

    /** The most rows of each form, ascending. */
    static int[] forms() {
        return FORMS.clone();
    }

    /** The most rows that go by tiles. @param library whether cuBLASLt could do the product, too */
    int most(boolean library) {
        return rows > 0 ? Math.min(rows, MOST_ROWS) : library ? MOST_ROWS_BESIDE_CUBLASLT : MOST_ROWS;
    }

    /**
     * The geometry: of the numbers of planes with which two stages fit in a block's shared memory, that which costs the fewest bytes; null
     * where there is none.
     *
     * @param form   8, 16 or 32
     * @param inputs I
     * @param units  outputs, or pairs of gate and up
     * @param pair   weight rows of a unit: 1 or 2
     * @param most   planes that the output can take
     */
    Shape choose(int form, int inputs, int units, int pair, int most) {
        Shape best = null;
        double least = Double.MAX_VALUE;
        for (int planes = 1; planes <= Math.min(most, Math.min(device.processors(), Launch.blocks(inputs, CHUNK))); planes++) {
            int limit = limit(form, units, pair, planes);
            double bytes = limit == 0 ? Double.MAX_VALUE : bytes(form, inputs, units, pair, planes, limit);
            if (bytes < least) {
                best = shape(form, units, pair, planes, limit);
                least = bytes;
            }
        }
        return best;
    }

    /** The most weight rows of a tile of which two stages fit; 0 if none. */
    private int limit(int form, int units, int pair, int planes) {
        return Arrays.stream(TILE_LIMITS).filter(limit -> shape(form, units, pair, planes, limit) != null).findFirst().orElse(0);
    }

    /** Weight rows of the block that has the most. */
    private int weightRows(int units, int pair, int planes) {
        return Launch.blocks(units, device.processors() / planes) * pair;
    }

    /** What a block reads, once for each tile of it, and its share of writing and reading planes that must be added. */
    private double bytes(int form, int inputs, int units, int pair, int planes, int limit) {
        int own = weightRows(units, pair, planes);
        double read = 256.0 * Launch.blocks(Launch.blocks(inputs, CHUNK), planes) * (own + Launch.blocks(own, limit) * form);
        return read + (planes == 1 ? 0 : 8.0 * planes * form * units / device.processors());
    }

    private Shape shape(int form, int units, int pair, int planes, int limit) {
        int own = weightRows(units, pair, planes);
        int tiles = Launch.blocks(own, limit);
        int tileRows = Launch.blocks((long) Launch.blocks(own / pair, tiles) * pair, TILE_ROWS_UNIT) * TILE_ROWS_UNIT;
        int stage = PITCH * (tileRows + form);
        int parts = tileRows <= SHARED_TILE_ROWS ? PARTS * form : 0;
        int least = parts + LEAST_STAGES * stage;
        int most = Math.min(parts + MOST_STAGES * stage, device.sharedPerBlock() - STATIC);
        return least > most ? null
                : new Shape(planes, device.processors() / planes, Math.clamp(ring > 0 ? ring : ROOM, least, most));
    }
}
