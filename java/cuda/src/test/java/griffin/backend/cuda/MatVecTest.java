package griffin.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/** Launch geometry of the mat-vecs, on which the planner decides: it must fit every supported card. */
class MatVecTest {

    private static final CudaDriver.Device H100 = new CudaDriver.Device(0, "H100", 90, 132, 232_448, 233_472, 80L << 30);
    private static final CudaDriver.Device RTX = new CudaDriver.Device(0, "RTX 3080", 86, 68, 101_376, 102_400, 10L << 30);

    @Test
    void geometryOfTheReleasedModels() {
        MatVec h100 = new MatVec(H100, 2);
        for (int[] shape : new int[][] {{2560, 5120}, {2560, 7680}, {7680, 2560}, {4096, 8192}, {4096, 12288}, {12288, 4096},
            {2560, 256000}}) {
            MatVec.Shape found = h100.choose(1, shape[0], shape[1], true);
            assertTrue(found.threads() >= 256 && found.threads() <= 384, found::toString);
            assertEquals(123_488, found.shared(), "so much that two do not share a multiprocessor, and no more");
        }
        assertEquals(320, h100.choose(1, 2560, 5120, true).threads(), "39 rows a block: four rounds of ten warps");
        assertEquals(32 * 3, new MatVec(H100, 4).choose(8, 6144, 4096, false).threads(),
                "192 KB of rows that must be staged leave three warps a ring");
    }

    @Test
    void theRingCanBeSetForExperiments() {
        assertEquals(107_776, new MatVec(H100, 2, 107_776).choose(1, 2560, 5120, true).shared());
        assertEquals(H100.sharedPerBlock() - (15 << 10), new MatVec(H100, 2, 1 << 20).choose(1, 2560, 5120, true).shared(),
                "no more than a block can have");
    }

    @Test
    void rowsThatDoNotFitAreNotFused() {
        for (CudaDriver.Device device : new CudaDriver.Device[] {H100, RTX}) {
            for (int bytes : new int[] {2, 4}) {
                for (int rows : new int[] {1, 2, 4, 8}) {
                    for (int inputs : new int[] {1, 33, 2560, 4096, 12288}) {
                        MatVec.Shape found = new MatVec(device, bytes).choose(rows, inputs, 5120, false);
                        assertTrue(found == null || found.shared() <= device.sharedPerBlock() - (15 << 10), () -> device + " " + found);
                        assertTrue(found == null || found.shared() >= rows * (inputs * bytes + 128) + found.threads() / 32 * 5632);
                    }
                }
            }
        }
        assertNull(new MatVec(RTX, 4).choose(8, 4096, 4096, false), "132 KB of rows on a card of 99");
        assertNotNull(new MatVec(RTX, 4).choose(8, 4096, 4096, true), "read from L2 where they are aligned");
    }

    @Test
    void buckets() {
        assertEquals(1, CudaProgram.bucket(1));
        assertEquals(2, CudaProgram.bucket(2));
        assertEquals(4, CudaProgram.bucket(3));
        assertEquals(8, CudaProgram.bucket(5));
        assertEquals(64, CudaProgram.bucket(33));
        assertEquals(64, CudaProgram.bucket(64));
    }
}
