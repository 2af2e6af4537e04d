package griffin.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.DType;
import griffin.backend.WeightRole;
import griffin.backend.cuda.StreamProduct.Shape;
import org.junit.jupiter.api.Test;

/** Launch geometry of products by streams: what linear_stream.cuh makes of it must fit. */
class StreamProductTest {

    private static final int SHARED = 232_448;
    private static final int PROCESSORS = 132;

    private static CudaDriver.Device card(int capability, int shared) {
        return new CudaDriver.Device(0, "card", capability, PROCESSORS, shared, shared + 1024, 141L << 30);
    }

    private static StreamProduct h200() {
        return new StreamProduct(card(90, SHARED), 32);
    }

    private static Shape choose(int form, int inputs, int units, int pair, int planes) {
        return h200().choose(form, inputs, units, pair, planes, StreamProduct.ROOM);
    }

    /** The numbers of stream_launch of cuda-kernels/test/stream_launch.cuh for 216 KiB. */
    @Test
    void geometryOfTheReleasedModels() {
        int[][] expected = { // rows, inputs, units, pair, most planes: planes, grid, rows of a tile, shared memory
            {8, 2560, 5120, 1, 1, 1, 128, 40, 202_752}, {16, 2560, 5120, 1, 1, 1, 128, 40, 208_896},
            {32, 2560, 5120, 1, 1, 1, 128, 40, 196_608}, {8, 2560, 3072, 1, 1, 1, 128, 24, 172_032},
            {32, 2560, 3072, 1, 1, 1, 128, 24, 215_040}, {8, 2560, 2560, 1, 8, 8, 128, 160, 134_144},
            {32, 2560, 2560, 1, 8, 8, 128, 160, 152_576}, {8, 7680, 2560, 1, 8, 8, 128, 160, 220_160},
            {32, 7680, 2560, 1, 8, 8, 128, 160, 201_728}, {8, 2560, 7680, 2, 1, 1, 128, 120, 202_752},
            {16, 2560, 7680, 2, 1, 1, 128, 120, 219_136}, {32, 2560, 7680, 2, 1, 1, 128, 120, 174_080},
            {32, 4096, 4608, 1, 1, 1, 116, 40, 196_608}, {32, 12288, 4096, 1, 8, 8, 128, 256, 148_480},
            {32, 4096, 12288, 2, 1, 1, 128, 192, 173_056}, {16, 2560, 256_000, 1, 1, 1, 132, 216, 184_320},
            {32, 2560, 256_000, 1, 1, 1, 132, 216, 196_608}, {32, 4096, 256_000, 1, 1, 1, 132, 216, 196_608}};
        for (int[] e : expected) {
            assertEquals(new Shape(e[5], e[6], e[7], e[8]), choose(e[0], e[1], e[2], e[3], e[4]),
                    e[0] + " rows of " + e[1] + ", " + e[2] + " units of " + e[3]);
        }
        assertEquals(320, choose(32, 2560, 5120, 1, 1).threads(), "two sets of a warpgroup for 40 rows, two warps that fetch");
        assertEquals(576, choose(32, 2560, 7680, 2, 1).threads());
        assertEquals(576, choose(32, 12288, 4096, 1, 8).threads());
    }

    /** What the kernel would trap on, and rows that no block would have. */
    @Test
    void everyShapeFits() {
        for (int inputs : new int[] {8, 40, 64, 72, 200, 2560, 5200, 12288}) {
            for (int units : new int[] {1, 4, 33, 207, 1000, 7680, 256_000}) {
                for (int pair : new int[] {1, 2}) {
                    for (int form : TileProduct.forms()) {
                        check(choose(form, inputs, units, pair, pair == 1 ? TileProduct.MOST_PLANES : 1), form, inputs,
                                units * pair);
                    }
                }
            }
        }
    }

    private static void check(Shape shape, int form, int inputs, int weightRows) {
        String what = form + " rows of " + inputs + " for " + weightRows + ": " + shape;
        assertNotNull(shape, what);
        int blocks = shape.grid() / shape.planes();
        int groups = (shape.tileRows() + 63) / 64;
        int sets = groups <= 2 ? 2 : 1;
        int sums = sets == 2 ? 256 * groups * form : 0;
        int stages = (shape.shared() - 1024 - 128 * (64 * groups - shape.tileRows()) - sums) / (256 * (shape.tileRows() + form));
        assertTrue(shape.planes() >= 1 && shape.planes() <= (inputs + 63) / 64, what);
        assertTrue(shape.grid() <= PROCESSORS && shape.grid() == blocks * shape.planes(), what);
        assertTrue(shape.tileRows() % 8 == 0 && shape.tileRows() <= 256, what);
        assertTrue(stages >= 2 * sets && stages % sets == 0 && shape.shared() <= StreamProduct.ROOM, what);
        assertEquals(128 * groups * sets + 64, shape.threads(), what);
    }

    @Test
    void planesAreForFewOutputsOfManyInputs() {
        assertEquals(8, choose(32, 7680, 2560, 1, 8).planes());
        assertEquals(1, choose(32, 7680, 2560, 1, 1).planes());
        assertEquals(1, choose(32, 64, 2560, 1, 8).planes(), "one panel");
    }

    /** What follows may need room on the same multiprocessor. */
    @Test
    void lessRoomIsFewerStages() {
        Shape all = choose(32, 2560, 5120, 1, 1);
        Shape beside = h200().choose(32, 2560, 5120, 1, 1, StreamProduct.ROOM_BESIDE);
        assertEquals(all.tileRows(), beside.tileRows());
        assertTrue(beside.shared() <= StreamProduct.ROOM_BESIDE && beside.shared() < all.shared(), all + ", " + beside);
    }

    @Test
    void whereNothingFitsThereIsNoLaunch() {
        assertNull(new StreamProduct(card(90, 49_152), 32).choose(32, 2560, 256_000, 1, 1, StreamProduct.ROOM));
    }

    @Test
    void theMostRows() {
        assertEquals(32, h200().most());
        assertEquals(0, new StreamProduct(card(90, SHARED), 0).most());
        assertEquals(32, new StreamProduct(card(90, SHARED), 1000).most(), "no form takes more");
        for (int capability : new int[] {80, 89, 100, 120}) {
            assertEquals(0, new StreamProduct(card(capability, SHARED), 32).most(), "code for 9.0 alone");
        }
    }

    private static boolean takes(long x, int stride, long weights, int rows, int columns, int pair) {
        return h200().takes(new CudaBuffer(DType.BF16, x, stride, 32, columns),
                new CudaWeight(WeightRole.LINEAR, DType.BF16, weights, 0, rows, columns, 0), pair);
    }

    @Test
    void mapsWantAlignedOperands() {
        assertTrue(takes(4096, 520, 8192, 33, 40, 1));
        assertTrue(takes(4096, 520, 8192, 24, 40, 2));
        assertFalse(takes(4098, 520, 8192, 33, 40, 1), "x");
        assertFalse(takes(4096, 516, 8192, 33, 40, 1), "its rows");
        assertFalse(takes(4096, 520, 8200, 33, 40, 1), "weights");
        assertFalse(takes(4096, 520, 8192, 33, 36, 1), "their rows");
        assertFalse(takes(4096, 520, 8192, 20, 40, 2), "no whole groups of four gates");
    }
}
