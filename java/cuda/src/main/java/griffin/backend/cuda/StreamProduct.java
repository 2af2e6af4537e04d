package griffin.backend.cuda;

import java.lang.foreign.Arena;
import java.util.function.IntSupplier;

/**
 * Launch geometry of the bfloat16 products of 2 to 32 rows by streams, on Hopper alone: see cuda-kernels/src/linear_stream.cuh. There are
 * the same forms as by tiles ({@link TileProduct#forms}).
 */
final class StreamProduct {

    /** Of a cluster, which shares x. On an H200, 32 rows of 2B: gate|up 21.7 us with 2, 22.4 with 4; the others are within 0.5. */
    static final int CLUSTER = 2;
    /** Panels of a stage: with one, all products take half as long again. */
    static final int DEPTH = 2;
    /** Inputs of a panel, and bytes of a row of it. */
    static final int PANEL = 64;
    private static final int PANEL_ROW = 128;
    private static final int TILE_ROWS = 256;
    private static final int TILE_ROWS_UNIT = 8;
    /** Weight rows that a warpgroup multiplies, its threads, and those that ask for copies. */
    private static final int GROUP_ROWS = 64;
    private static final int GROUP_THREADS = 128;
    private static final int FETCHING_THREADS = 64;
    private static final int LEAST_STAGES = 2;
    private static final int MOST_STAGES = 32;
    private static final int ALIGNMENT = 1 << 10;
    /** Bytes of dynamic shared memory at most: of 110 KiB, gate|up takes 31.6 us instead of 21.7. */
    private static final int ROOM = 200 << 10;
    /** Static memory, and what the driver keeps. */
    private static final int STATIC = 1 << 10;
    /** Threads of the block with which it is asked how many clusters run at once: four multiply. */
    private static final int USUAL_THREADS = 320;
    /** More rounds than needed make tiles smaller, which can divide the work better; so many are tried. */
    private static final int ROUNDS_TRIED = 4;

    private final CudaDriver.Device device;
    private final int most;
    private final IntSupplier atOnce;
    private int blocks = -1;

    /**
     * @param most   the most rows that go by streams; 0 for none
     * @param atOnce how many blocks of clusters of {@link #CLUSTER} the card runs at once, asked when first needed
     */
    StreamProduct(CudaDriver.Device device, int most, IntSupplier atOnce) {
        this.device = device;
        this.most = device.capability() == CudaDriver.HOPPER ? Math.clamp(most, 0, TileProduct.MOST_ROWS) : 0;
        this.atOnce = atOnce;
    }

    /**
     * A launch.
     *
     * @param planes   parts of the inputs, whose sums are left apart
     * @param grid     blocks in all
     * @param tileRows weight rows of a tile
     * @param shared   bytes of dynamic shared memory
     */
    record Shape(int planes, int grid, int tileRows, int shared) {

        int threads() {
            return GROUP_THREADS * Launch.blocks(tileRows, GROUP_ROWS) + FETCHING_THREADS;
        }
    }

    /** How many blocks of such clusters run at once: not one on every multiprocessor, where a GPC has another number of them. */
    static int atOnce(CudaContext context, CudaKernels.Kernel kernel, int cluster) {
        if (cluster == 1) {
            return context.device.processors();
        }
        try (Arena arena = Arena.ofConfined()) {
            Launch question = new Launch(context, arena, kernel, new Arguments(arena), USUAL_THREADS, 1, room(context.device),
                    (extent, launch) -> launch.grid(0, 1, 1));
            return cluster * question.clustersAtOnce(cluster);
        }
    }

    private static int room(CudaDriver.Device device) {
        return Math.min(ROOM, device.sharedPerBlock() - STATIC);
    }

    /** The most rows that go by streams, whether or not cuBLASLt could do the product, too; 0 where the card has no such kernels. */
    int most() {
        return most;
    }

    /** Whether maps can describe both operands. @param pair weight rows of a unit: 1 or 2 */
    boolean takes(CudaBuffer in, CudaWeight w, int pair) {
        return in.address() % 16 == 0 && in.stride() % 8 == 0 && w.address() % 16 == 0 && w.columns() % 8 == 0
                && (pair == 1 || w.rows() / pair % 4 == 0);
    }

    /**
     * The geometry: of the planes and tiles with which two stages fit in a block's shared memory, those that cost the fewest bytes; null
     * where there are none.
     *
     * @param form   8, 16 or 32
     * @param inputs I
     * @param units  outputs, or pairs of gate and up
     * @param pair   weight rows of a unit: 1 or 2
     * @param planes that the output can take
     */
    Shape choose(int form, int inputs, int units, int pair, int planes) {
        Shape best = null;
        double fewest = Double.MAX_VALUE;
        int weightRows = units * pair;
        for (int parts = 1; parts <= Math.min(planes, Launch.blocks(inputs, PANEL)); parts++) {
            int side = blocks() / parts / CLUSTER * CLUSTER;
            int least = side == 0 ? 0 : Launch.blocks(weightRows, side * TILE_ROWS);
            for (int rounds = least; side > 0 && rounds < least + ROUNDS_TRIED; rounds++) {
                Shape shape = shape(form, inputs, weightRows, parts, side, rounds);
                double bytes = shape == null ? Double.MAX_VALUE : bytes(shape, form, inputs, units, rounds);
                if (bytes < fewest) {
                    best = shape;
                    fewest = bytes;
                }
            }
        }
        return best;
    }

    private int blocks() {
        if (blocks < 0) {
            blocks = atOnce.getAsInt();
        }
        return blocks;
    }

    /** What a block reads, x divided by the blocks that share it, and its share of writing and reading planes that must be added. */
    private double bytes(Shape shape, int form, int inputs, int units, int rounds) {
        double read = (double) PANEL_ROW * panels(inputs, shape.planes) * rounds * (shape.tileRows + (double) form / CLUSTER);
        return read + (shape.planes == 1 ? 0 : 8.0 * shape.planes * form * units / device.processors());
    }

    /** Of the plane that has the most. */
    private static int panels(int inputs, int planes) {
        return Launch.blocks(Launch.blocks(inputs, PANEL), planes);
    }

    /** @param side blocks of a plane at most @param rounds tiles of a block; null where two stages do not fit */
    private Shape shape(int form, int inputs, int weightRows, int planes, int side, int rounds) {
        int tileRows = Launch.blocks(Launch.blocks(weightRows, side * rounds), TILE_ROWS_UNIT) * TILE_ROWS_UNIT;
        int spare = ALIGNMENT + (Launch.blocks(tileRows, GROUP_ROWS) * GROUP_ROWS - tileRows) * PANEL_ROW;
        int stage = DEPTH * (tileRows + form) * PANEL_ROW;
        int useful = Math.max(LEAST_STAGES, rounds * Launch.blocks(panels(inputs, planes), DEPTH));
        int stages = Math.min(Math.min(MOST_STAGES, useful), (room(device) - spare) / stage);
        if (tileRows > TILE_ROWS || stages < LEAST_STAGES) {
            return null;
        }
        int used = Launch.blocks(Launch.blocks(Launch.blocks(weightRows, tileRows), rounds), CLUSTER) * CLUSTER;
        return new Shape(planes, planes * Math.min(side, used), tileRows, spare + stages * stage);
    }
}
