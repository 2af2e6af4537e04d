package griffin.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.cuda.TileProduct.Shape;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Launch geometry of products by tiles: what linear_tiles.cuh makes of it must fit on every supported card. */
class TileProductTest {

    private static final CudaDriver.Device H200 = new CudaDriver.Device(0, "H200", 90, 132, 232_448, 233_472, 141L << 30);
    private static final CudaDriver.Device RTX = new CudaDriver.Device(0, "RTX 3080 Ti", 86, 84, 101_376, 102_400, 12L << 30);
    private static final CudaDriver.Device A100 = new CudaDriver.Device(0, "A100", 80, 108, 166_912, 167_936, 40L << 30);
    private static final int STATIC = 1024;

    /** inputs, units, pair, most planes of the products of 2B and 9B, the logits last. */
    private static final int[][] PRODUCTS = {{2560, 5120, 1, 1}, {2560, 3072, 1, 1}, {2560, 2560, 1, 8}, {7680, 2560, 1, 8},
        {2560, 7680, 2, 1}, {4096, 8192, 1, 1}, {4096, 4608, 1, 1}, {4096, 4096, 1, 8}, {12288, 4096, 1, 8}, {4096, 12288, 2, 1},
        {2560, 256_000, 1, 1}, {4096, 256_000, 1, 1}};

    /** What the kernel derives from a launch. */
    private record Block(int tileRows, int partBytes, int stageBytes) {

        static Block of(Shape shape, int form, int units, int pair) {
            Block large = of(shape.blocks(), form, units, pair, 256);
            return large.stages(shape.shared()) >= 2 ? large : of(shape.blocks(), form, units, pair, 128);
        }

        private static Block of(int blocks, int form, int units, int pair, int limit) {
            int most = (units + blocks - 1) / blocks;
            int tiles = (most * pair + limit - 1) / limit;
            int tileRows = ((most + tiles - 1) / tiles * pair + 15) / 16 * 16;
            return new Block(tileRows, tileRows <= 64 ? 384 * form : 0, (tileRows + form) * 272);
        }

        int stages(int shared) {
            return (shared - partBytes) / stageBytes;
        }
    }

    private static List<CudaDriver.Device> cards() {
        List<CudaDriver.Device> cards = new ArrayList<>();
        for (int processors : new int[] {132, 84, 28}) {
            for (int shared : new int[] {232_448, 166_912, 101_376}) {
                cards.add(new CudaDriver.Device(0, processors + " of " + shared, 90, processors, shared, shared + 1024, 1L << 30));
            }
        }
        return cards;
    }

    private static void check(CudaDriver.Device card, TileProduct rule, int form, int inputs, int units, int pair, int most) {
        Shape shape = rule.choose(form, inputs, units, pair, most);
        String what = card + ", " + form + " rows of " + inputs + ", " + units + " units of " + pair + ": " + shape;
        assertNotNull(shape, what); // two stages of 128 and 32 rows are 87 KB
        Block block = Block.of(shape, form, units, pair);
        assertTrue(shape.planes() >= 1 && shape.planes() <= Math.min(most, (inputs + 127) / 128), what);
        assertEquals(card.processors() / shape.planes(), shape.blocks(), what);
        assertEquals(shape.planes() * shape.blocks(), shape.grid(), what);
        assertTrue(block.tileRows <= 256, what);
        assertTrue(shape.shared() <= card.sharedPerBlock() - STATIC, what);
        assertTrue(block.stages(shape.shared()) >= 2, what);
        assertTrue(shape.shared() <= block.partBytes + 8 * block.stageBytes, what);
    }

    @Test
    void geometryFitsOnEveryCard() {
        for (CudaDriver.Device card : cards()) {
            for (int form : TileProduct.forms()) {
                for (int ring : new int[] {0, 1, 64 << 10, 1 << 20}) {
                    TileProduct rule = new TileProduct(card, ring, 0);
                    for (int[] p : PRODUCTS) {
                        check(card, rule, form, p[0], p[1], p[2], p[3]);
                    }
                    for (int inputs : new int[] {1, 33, 128, 129, 5200}) {
                        for (int units : new int[] {1, 33, 207}) {
                            check(card, rule, form, inputs, units, 1, TileProduct.MOST_PLANES);
                            check(card, rule, form, inputs, units, 2, 1);
                        }
                    }
                }
            }
        }
    }

    /** The numbers of tile_launch of cuda-kernels/test/linear_launch.cuh with a room of 136 KiB. */
    @Test
    void geometryOfTheReleasedModels() {
        TileProduct rule = new TileProduct(H200);
        assertEquals(new Shape(1, 132, 384 * 8 + 8 * 272 * (48 + 8)), rule.choose(8, 2560, 5120, 1, 1), "eight stages are less");
        assertEquals(new Shape(1, 132, 139_264), rule.choose(8, 2560, 7680, 2, 1));
        assertEquals(new Shape(1, 132, 2 * 272 * (256 + 8)), rule.choose(8, 2560, 256_000, 1, 1), "two stages are more than that");
        assertEquals(new Shape(1, 132, 2 * 272 * (256 + 32)), rule.choose(32, 2560, 256_000, 1, 1));
        assertEquals(new Shape(1, 132, 384 * 8 + 8 * 272 * (32 + 8)), rule.choose(8, 2560, 3072, 1, 1), "eight stages are less");
        for (int form : TileProduct.forms()) {
            assertTrue(rule.choose(form, 7680, 2560, 1, TileProduct.MOST_PLANES).planes() > 1, "few outputs of many inputs");
            assertEquals(1, rule.choose(form, 7680, 2560, 1, 1).planes());
        }
    }

    /** Of 20 chunks and 2560 outputs: one plane reads 20 chunks of 20 weight rows and 8 of x a block, two 10 of 39 and 8, and so on. */
    @Test
    void planesAreThoseThatCostTheFewestBytes() {
        double least = Double.MAX_VALUE;
        int best = 0;
        for (int planes = 1; planes <= 8; planes++) {
            int rows = (2560 + 132 / planes - 1) / (132 / planes);
            double bytes = 256.0 * ((20 + planes - 1) / planes) * (rows + 8) + (planes == 1 ? 0 : 8.0 * planes * 8 * 2560 / 132);
            if (bytes < least) {
                least = bytes;
                best = planes;
            }
        }
        assertEquals(best, new TileProduct(H200).choose(8, 2560, 2560, 1, 8).planes());
        assertTrue(best > 1, "and that is more than one");
    }

    @Test
    void smallCardsHaveSmallerTiles() {
        Shape shape = new TileProduct(RTX).choose(32, 2560, 7680, 2, 1); // 92 pairs a block: two stages of 192 + 32 rows would be 119 KB
        assertEquals(96, Block.of(shape, 32, 7680, 2).tileRows);
        assertEquals(192, Block.of(new TileProduct(A100).choose(32, 2560, 256_000 / 13, 1, 1), 32, 256_000 / 13, 1).tileRows);
    }

    @Test
    void whereNothingFitsThereIsNoLaunch() {
        assertNull(new TileProduct(new CudaDriver.Device(0, "tiny", 80, 28, 49_152, 49_152, 1L << 30)).choose(32, 2560, 256_000, 1, 1));
    }

    @Test
    void theRingCanBeSetForExperiments() {
        assertEquals(200_000, new TileProduct(H200, 200_000, 0).choose(8, 2560, 7680, 2, 1).shared());
        assertEquals(H200.sharedPerBlock() - STATIC, new TileProduct(H200, 1 << 20, 0).choose(8, 2560, 7680, 2, 1).shared(),
                "no more than a block can have");
    }

    @Test
    void theMostRows() {
        assertEquals(8, new TileProduct(H200).most(true));
        assertEquals(32, new TileProduct(H200).most(false));
        assertEquals(16, new TileProduct(H200, 0, 16).most(true));
        assertEquals(1, new TileProduct(H200, 0, 1).most(false));
        assertEquals(32, new TileProduct(H200, 0, 1000).most(true), "no form takes more");
    }
}
