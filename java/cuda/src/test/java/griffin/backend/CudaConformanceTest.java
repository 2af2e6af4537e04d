package griffin.backend;

import griffin.backend.cuda.Gpu;
import org.junit.jupiter.api.Nested;

/** Every operation on a real GPU against the reference with the same operand type. */
class CudaConformanceTest {

    @Nested
    class InFloat32 extends OnGpu {
        @Override
        Backend open() {
            return Gpu.open(DType.F32);
        }

        @Override
        public DType operands() {
            return DType.F32;
        }
    }

    @Nested
    class InBfloat16 extends OnGpu {
        @Override
        Backend open() {
            return Gpu.open(DType.BF16);
        }

        @Override
        public DType operands() {
            return DType.BF16;
        }
    }

    @Nested
    class InBfloat16WithoutCublas extends OnGpu {
        @Override
        Backend open() {
            return Gpu.withoutCublas(DType.BF16);
        }

        @Override
        public DType operands() {
            return DType.BF16;
        }
    }

    /** Fusions keep more digits than their default bodies. */
    private abstract static class OnGpu extends BackendConformance {
        @Override
        public Tolerances tolerances() {
            return new Tolerances(operands(), false);
        }
    }
}
