package griffin.backend.cuda;

/**
 * Launch geometry of the bfloat16 products of 2 to 32 rows by streams, on Hopper alone: see cuda-kernels/src/linear_stream.cuh. There are
 * the same forms as by tiles ({@link TileProduct#forms}).
 */
final class StreamProduct {

    /** Panels of a stage. */
    private static final int STAGE_PANELS = 2;
    /** Inputs of a panel, and bytes of a row of it. */
    static final int PANEL = 64;
    private static final int PANEL_ROW = 128;
    private static final int TILE_ROWS = 256;
    private static final int TILE_ROWS_UNIT = 8;
    /** Weight rows that a warpgroup multiplies, its threads, and those that ask for copies. */
    private static final int GROUP_ROWS = 64;
    private static final int GROUP_THREADS = 128;
    private static final int FETCHING_THREADS = 64;
    /** So many groups have a second set beside them. */
    private static final int PAIRED_GROUPS = 2;
    /** Of a set: it keeps a place until the products of its next stage are under way. */
    private static final int LEAST_STAGES = 2;
    private static final int MOST_STAGES = 32;
    private static final int ALIGNMENT = 1 << 10;
    /** Bytes of dynamic shared memory at most, such that blocks of the norm still fit beside. */
    static final int ROOM = 216 << 10;
    /** The same where what follows needs more: blocks of the recurrence or of attention, which fetch states while the product still runs. */
    static final int ROOM_BESIDE = 141 << 10;
    /** Static memory, and what the driver keeps. */
    private static final int STATIC = 1 << 10;
    /** More rounds than needed make tiles smaller, which can divide the work better; so many are tried. */
    private static final int ROUNDS_TRIED = 4;

    private final CudaDriver.Device device;
    private final int most;

    /** @param most the most rows that go by streams; 0 for none */
    StreamProduct(CudaDriver.Device device, int most) {
        this.device = device;
        this.most = device.capability() == CudaDriver.HOPPER ? Math.clamp(most, 0, TileProduct.MOST_ROWS) : 0;
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
            int groups = Launch.blocks(tileRows, GROUP_ROWS);
            return GROUP_THREADS * groups * sets(groups) + FETCHING_THREADS;
        }
    }

    /** That take turns at the stages. */
    private static int sets(int groups) {
        return groups <= PAIRED_GROUPS ? 2 : 1;
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
     * The geometry: of the planes and tiles with which the fewest stages fit in a block's shared memory, those that cost the fewest bytes; null
     * where there are none.
     *
     * @param form   8, 16 or 32
     * @param inputs I
     * @param units  outputs, or pairs of gate and up
     * @param pair   weight rows of a unit: 1 or 2
     * @param planes that the output can take
     * @param room   bytes of dynamic shared memory at most
     */
    Shape choose(int form, int inputs, int units, int pair, int planes, int room) {
        Shape best = null;
        double fewest = Double.MAX_VALUE;
        int weightRows = units * pair;
        for (int parts = 1; parts <= Math.min(planes, Launch.blocks(inputs, PANEL)); parts++) {
            int side = device.processors() / parts;
            int least = side == 0 ? 0 : Launch.blocks(weightRows, side * TILE_ROWS);
            for (int rounds = least; side > 0 && rounds < least + ROUNDS_TRIED; rounds++) {
                Shape shape = shape(form, inputs, weightRows, parts, side, rounds, room);
                double bytes = shape == null ? Double.MAX_VALUE : bytes(shape, form, inputs, units, rounds);
                if (bytes < fewest) {
                    best = shape;
                    fewest = bytes;
                }
            }
        }
        return best;
    }

    /** What a block reads, and its share of writing and reading planes that must be added. */
    private double bytes(Shape shape, int form, int inputs, int units, int rounds) {
        double read = (double) PANEL_ROW * panels(inputs, shape.planes) * rounds * ((double) shape.tileRows + form);
        return read + (shape.planes == 1 ? 0 : 8.0 * shape.planes * form * units / device.processors());
    }

    /** Of the plane that has the most. */
    private static int panels(int inputs, int planes) {
        return Launch.blocks(Launch.blocks(inputs, PANEL), planes);
    }

    /** @param side blocks of a plane at most @param rounds tiles of a block; null where two stages do not fit */
    private Shape shape(int form, int inputs, int weightRows, int planes, int side, int rounds, int room) {
        int tileRows = Launch.blocks(Launch.blocks(weightRows, side * rounds), TILE_ROWS_UNIT) * TILE_ROWS_UNIT;
        int groups = Launch.blocks(tileRows, GROUP_ROWS);
        int sums = (sets(groups) - 1) * groups * GROUP_THREADS * form / 2 * Float.BYTES;
        int fixed = ALIGNMENT + (groups * GROUP_ROWS - tileRows) * PANEL_ROW + sums;
        int stage = STAGE_PANELS * (tileRows + form) * PANEL_ROW;
        int least = LEAST_STAGES * sets(groups);
        int useful = Math.max(least, rounds * Launch.blocks(panels(inputs, planes), STAGE_PANELS));
        int stages = Math.min(Math.min(MOST_STAGES, useful), (Math.min(room, device.sharedPerBlock() - STATIC) - fixed) / stage);
        stages -= stages % sets(groups); // a place belongs to one set
        if (tileRows > TILE_ROWS || stages < least) {
            return null;
        }
        int used = Launch.blocks(Launch.blocks(weightRows, tileRows), rounds);
        return new Shape(planes, planes * Math.min(side, used), tileRows, fixed + stages * stage);
    }
}
