package griffin.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;

import griffin.backend.reference.ReferenceBackend;
import griffin.weights.BFloat16;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** The reference with bfloat16 operands against the one in float32: it differs by the roundings that the bf16 tolerances allow. */
class ReferenceConformanceTest extends BackendConformance {

    @Override
    Backend open() {
        return new ReferenceBackend(DType.BF16);
    }

    @Override
    Backend openReference() {
        return new ReferenceBackend();
    }

    @Override
    public DType operands() {
        return DType.BF16;
    }

    /** What an operation writes into a BF16 buffer is the nearest bfloat16 of what it writes into a float32 one. */
    @Test
    void roundsToNearestEven() {
        Random random = random();
        TensorPart w = Side.part(DType.BF16, 3, 5, normal(random, 15, 1));
        float[] x = normal(random, 10, 1);
        float[] exact = product(reference(), w, x);
        float[] found = product(device(), w, x);
        for (int i = 0; i < exact.length; i++) {
            assertEquals(BFloat16.round(exact[i]), found[i]);
        }
    }

    private static float[] product(Side side, TensorPart w, float[] x) {
        Side.Framed out = side.operandOutput(2, 3);
        side.backend.linear(side.step(Conformance.rows(2), 1).rows(), side.operandInput(x, 5).view, side.weight(WeightRole.LINEAR, w), null,
                out.view);
        return out.written(2);
    }
}
