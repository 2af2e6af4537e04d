package griffin.model;

import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.Backend;
import griffin.backend.DType;
import griffin.backend.cuda.Gpu;
import griffin.backend.reference.ReferenceBackend;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The golden cases on a GPU: in float32 within four times their tolerances, in bfloat16 as near as rounding allows. */
class CudaGoldenTest {

    private static final float FACTOR = 4;
    /** How much larger than the reference's own error in bfloat16 the device's may be. */
    private static final double ROUNDING = 3;

    static List<String> cases() {
        return Golden.CASES;
    }

    private static GoldenParity parity(String name) {
        return new GoldenParity(name, () -> Gpu.open(DType.F32), FACTOR);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void oneShot(String name) {
        parity(name).oneShot();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void chunked(String name) {
        parity(name).chunked();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void stepByStepAfterAPrompt(String name) {
        parity(name).stepByStepAfterAPrompt();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void shortPrompt(String name) {
        parity(name).shortPrompt();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void packedDocuments(String name) {
        parity(name).packedDocuments();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void greedy(String name) {
        parity(name).greedy();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void inBfloat16(String name) {
        Golden golden = new Golden(name);
        double rounding = error(golden, new ReferenceBackend(DType.BF16), false);
        for (boolean stepByStep : new boolean[] {false, true}) {
            double found = error(golden, Gpu.open(DType.BF16), stepByStep);
            assertTrue(found <= ROUNDING * rounding, name + (stepByStep ? " step by step" : " one-shot") + ": error " + found
                    + ", and the reference's with the same roundings is " + rounding);
        }
    }

    /** The largest difference from the golden logits. */
    private static double error(Golden golden, Backend backend, boolean stepByStep) {
        int[] ids = golden.ints("input_ids");
        float[] expected = golden.floats("logits");
        double largest = 0;
        try (ModelHarness m = new ModelHarness(golden.directory, backend, ids.length, 1)) {
            int size = stepByStep ? 1 : ids.length;
            for (int from = 0; from < ids.length; from += size) {
                float[][] rows = m.score(0, ids, from, from + size);
                for (int i = 0; i < rows.length * rows[0].length; i++) {
                    int v = rows[0].length;
                    largest = Math.max(largest, Math.abs(expected[from * v + i] - rows[i / v][i % v]));
                }
            }
        }
        return largest;
    }
}
