package griffin.backend.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import griffin.backend.Buffer;
import griffin.backend.DType;
import griffin.backend.MlpWeights;
import griffin.backend.Step;
import griffin.backend.StepPlan;
import griffin.backend.TensorPart;
import griffin.backend.Weight;
import griffin.backend.WeightRole;
import griffin.backend.host.HostBuffer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Matrix products give the same bits in every form: scalar and vector, streamed and in panels, alone and in a batch. */
class ProductsTest {

    private final Random random = new Random(11);

    @ParameterizedTest
    @ValueSource(ints = {128, 256, 512})
    void vectorKernelsMatchScalar(int bits) {
        Kernels scalar = new ScalarKernels();
        Kernels vector = KernelChoice.vectors(bits);
        float[] lanes = new float[16 * Kernels.LANES + 3200];
        for (int n : new int[] {16, 80, 317, 3200}) {
            for (int rows : new int[] {1, 4, 7, 18}) {
                int m = 1 + random.nextInt(9);
                MemorySegment w = bf16(rows * n);
                float[] x = floats(m * n);
                float[] expected = new float[m * rows];
                float[] actual = new float[m * rows];
                for (int i = 0; i < m; i++) {
                    scalar.matvecBf16(w, 0, rows, n, x, i * n, expected, i * rows, lanes);
                    vector.matvecBf16(w, 0, rows, n, x, i * n, actual, i * rows, lanes);
                }
                assertArrayEquals(expected, actual, 0f, "matvec of " + rows + " x " + n);
                Arrays.fill(actual, 0);
                vector.matmulBf16(w, 0, rows, n, x, 0, n, m, actual, 0, rows, lanes);
                assertArrayEquals(expected, actual, 0f, "product of " + m + " x " + rows + " x " + n);
                int whole = n / 16 * 16;
                float[] wide = floats(rows * n);
                float[] sums = floats(m * rows * 16);
                float[] others = sums.clone();
                scalar.addProducts(x, 0, n, m, wide, 0, n, rows, whole, sums, 0);
                vector.addProducts(x, 0, n, m, wide, 0, n, rows, whole, others, 0);
                assertArrayEquals(sums, others, 0f, "partial sums of " + m + " x " + rows + " x " + whole);
            }
        }
    }

    /** 700 columns are side by side; of 2700, in blocks, the last has a tail; 101 rows leave an odd chunk. */
    @ParameterizedTest
    @ValueSource(ints = {5, 700, 2700})
    void rowsDoNotDependOnTheirBatch(int n) {
        int columns = 101;
        int most = 70;
        float[] x = floats(most * n);
        try (Arena arena = Arena.ofShared(); CpuBackend backend = new CpuBackend(2, new KernelChoice(vectors(), "test"))) {
            MemorySegment data = arena.allocate(2L * n * columns, 64).copyFrom(bf16(n * columns));
            Weight w = backend.load(WeightRole.LINEAR, new TensorPart(DType.BF16, columns, n, data));
            float[] alone = new float[most * columns];
            for (int i = 0; i < most; i++) {
                float[] row = product(backend, w, Arrays.copyOfRange(x, i * n, (i + 1) * n), 1, n, columns);
                System.arraycopy(row, 0, alone, i * columns, columns);
            }
            for (int m = 2; m <= most; m += m < 40 ? 1 : 6) {
                assertArrayEquals(Arrays.copyOf(alone, m * columns), product(backend, w, x, m, n, columns), 0f, m + " rows");
            }
        }
    }

    /** From some number of rows on what lies between its products stays in lanes. */
    @ParameterizedTest
    @ValueSource(ints = {5, 101, 960})
    void gatedMlpsDoNotDependOnTheirBatch(int hidden) {
        int n = 70;
        int most = 70;
        float[] x = floats(most * n);
        try (Arena arena = Arena.ofShared(); CpuBackend backend = new CpuBackend(2, new KernelChoice(vectors(), "test"))) {
            MlpWeights weights = new MlpWeights(
                    backend.load(WeightRole.LINEAR, part(arena, hidden, n), part(arena, hidden, n)),
                    backend.load(WeightRole.BIAS, part(arena, 1, 2 * hidden)),
                    backend.load(WeightRole.LINEAR, part(arena, n, hidden)), backend.load(WeightRole.BIAS, part(arena, 1, n)));
            float[] alone = new float[most * n];
            for (int i = 0; i < most; i++) {
                System.arraycopy(mlp(backend, weights, Arrays.copyOfRange(x, i * n, (i + 1) * n), 1, n, hidden), 0, alone, i * n, n);
            }
            for (int m : new int[] {2, 8, 16, 21, 22, 31, 32, 33, 64, most}) {
                assertArrayEquals(Arrays.copyOf(alone, m * n), mlp(backend, weights, x, m, n, hidden), 0f, m + " rows");
            }
        }
    }

    private TensorPart part(Arena arena, int rows, int columns) {
        return new TensorPart(DType.BF16, rows, columns, arena.allocate(2L * rows * columns, 64).copyFrom(bf16(rows * columns)));
    }

    private static float[] mlp(CpuBackend backend, MlpWeights weights, float[] x, int m, int n, int hidden) {
        Step step = backend.allocateStep(m, 1, 1);
        backend.submit(step, plan(m));
        Buffer in = backend.allocate(DType.F32, m, n);
        System.arraycopy(x, 0, HostBuffer.of(in).floats(), 0, m * n);
        Buffer out = backend.allocate(DType.F32, m, n);
        backend.gatedMlp(step.rows(), in, weights, backend.allocate(DType.F32, m, 2 * hidden), out);
        return HostBuffer.of(out).floats();
    }

    private static Kernels vectors() {
        return KernelChoice.vectors(VectorWidth.FLOATS.vectorBitSize());
    }

    private static float[] product(CpuBackend backend, Weight w, float[] x, int m, int n, int columns) {
        Step step = backend.allocateStep(m, 1, 1);
        backend.submit(step, plan(m));
        Buffer in = backend.allocate(DType.F32, m, n);
        System.arraycopy(x, 0, HostBuffer.of(in).floats(), 0, m * n);
        Buffer out = backend.allocate(DType.F32, m, columns);
        backend.linear(step.rows(), in, w, null, out);
        return HostBuffer.of(out).floats();
    }

    private static StepPlan plan(int m) {
        StepPlan plan = new StepPlan(m, 1);
        plan.add(0, 0, new int[m], 0, m, StepPlan.Outputs.NONE);
        return plan;
    }

    private float[] floats(int count) {
        float[] out = new float[count];
        for (int i = 0; i < count; i++) {
            out[i] = (float) random.nextGaussian();
        }
        return out;
    }

    private MemorySegment bf16(int count) {
        MemorySegment out = Arena.ofAuto().allocate(2L * count, 64);
        for (int i = 0; i < count; i++) {
            out.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (Float.floatToRawIntBits((float) random.nextGaussian()) >>> 16));
        }
        return out;
    }
}
