package griffin.benchmarks;

import griffin.backend.AttentionShape;
import griffin.backend.Buffer;
import griffin.backend.DType;
import griffin.backend.Step;
import griffin.backend.StepPlan;
import griffin.backend.TensorPart;
import griffin.backend.Weight;
import griffin.backend.WeightRole;
import griffin.backend.cpu.CpuBackend;
import griffin.sampling.SamplingParams;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** Single operations by shape, in microseconds. */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 1, jvmArgs = {"--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "-Xmx3g"})
public class OpsBenchmark {

    private static final SamplingParams PLAIN = SamplingParams.GREEDY.withTemperature(1);

    /** The MLP's first product, out of more than 1 GiB of weights so that no cache holds them. */
    @State(Scope.Benchmark)
    public static class Linear {
        @Param({"2b", "9b"})
        public String shape;
        @Param({"1", "2", "4", "8", "32", "512"})
        public int rows;
        private final Arena arena = Arena.ofShared();
        private final CpuBackend backend = new CpuBackend();
        private Weight[] weights;
        private Step step;
        private Buffer x;
        private Buffer y;
        private int next;

        @Setup(Level.Trial)
        public void setUp() {
            ModelShape s = ModelShape.named(shape);
            long bytes = 4L * s.mlpWidth * s.width;
            weights = new Weight[(int) ((1L << 30) / bytes) + 1];
            for (int i = 0; i < weights.length; i++) {
                weights[i] = backend.load(WeightRole.LINEAR, bf16(arena, 2 * s.mlpWidth, s.width, i));
            }
            step = step(backend, rows, 0, SamplingParams.GREEDY);
            x = filled(backend, rows, s.width);
            y = backend.allocate(DType.F32, rows, 2 * s.mlpWidth);
        }

        @TearDown(Level.Trial)
        public void tearDown() {
            backend.close();
            arena.close();
        }
    }

    /** Decode attention with a full window of the 2B model. */
    @State(Scope.Benchmark)
    public static class Attention {
        private final CpuBackend backend = new CpuBackend();
        private final AttentionShape shape = new AttentionShape(ModelShape.M2B.heads, ModelShape.M2B.headWidth, ModelShape.M2B.window,
                ModelShape.M2B.headWidth / 2, 10_000);
        private final Step step = step(backend, 1, 5000, SamplingParams.GREEDY);
        private final Buffer qkv = filled(backend, 1, (ModelShape.M2B.heads + 2) * ModelShape.M2B.headWidth);
        private final Buffer keys = filled(backend, 2 * ModelShape.M2B.window, ModelShape.M2B.headWidth);
        private final Buffer values = filled(backend, 2 * ModelShape.M2B.window, ModelShape.M2B.headWidth);
        private final Buffer out = backend.allocate(DType.F32, 1, ModelShape.M2B.heads * ModelShape.M2B.headWidth);

        @TearDown(Level.Trial)
        public void tearDown() {
            backend.close();
        }
    }

    /** Sampling from 256,000 logits. */
    @State(Scope.Benchmark)
    public static class Sampling {
        @Param({"greedy", "plain", "top-k 40", "top-p 0.9"})
        public String filter;
        private final CpuBackend backend = new CpuBackend();
        private Step step;
        private Buffer logits;
        private Buffer seen;

        @Setup(Level.Trial)
        public void setUp() {
            SamplingParams params = switch (filter) {
                case "greedy" -> SamplingParams.GREEDY;
                case "plain" -> PLAIN;
                case "top-k 40" -> PLAIN.withTopK(40);
                default -> PLAIN.withTopP(0.9f);
            };
            step = step(backend, 1, 0, params);
            logits = filled(backend, 1, ModelShape.M2B.vocabulary);
            seen = backend.allocate(DType.I32, 2, ModelShape.M2B.vocabulary / 32);
        }

        @TearDown(Level.Trial)
        public void tearDown() {
            backend.close();
        }
    }

    @Benchmark
    public void linear(Linear l) {
        l.next = (l.next + 1) % l.weights.length;
        l.backend.linear(l.step.rows(), l.x, l.weights[l.next], null, l.y);
    }

    @Benchmark
    public void windowAttention(Attention a) {
        a.backend.windowAttention(a.step, a.shape, a.qkv, a.keys, a.values, a.out);
    }

    @Benchmark
    public void sample(Sampling s) {
        s.backend.sample(s.step, s.logits, s.seen);
    }

    private static Step step(CpuBackend backend, int rows, int position, SamplingParams params) {
        Step step = backend.allocateStep(rows, 1, 1);
        StepPlan plan = new StepPlan(rows, 1);
        plan.add(0, position, new int[rows], 0, rows, StepPlan.Outputs.LAST, params, Integer.MAX_VALUE, new int[0]);
        backend.submit(step, plan);
        return step;
    }

    private static Buffer filled(CpuBackend backend, int rows, int columns) {
        Buffer buffer = backend.allocate(DType.F32, rows, columns);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment data = arena.allocate(buffer.bytes(), 4);
            MemorySegment.copy(Loops.normal(rows * columns, 6), 0, data, ValueLayout.JAVA_FLOAT, 0, rows * columns);
            backend.write(buffer, data);
        }
        return buffer;
    }

    private static TensorPart bf16(Arena arena, int rows, int columns, long seed) {
        MemorySegment data = arena.allocate(2L * rows * columns, 64);
        short[] row = new short[columns];
        Random random = new Random(seed);
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < columns; c++) {
                row[c] = r % 64 == 0 ? (short) (Float.floatToRawIntBits((float) random.nextGaussian()) >>> 16) : row[c];
            }
            MemorySegment.copy(row, 0, data, ValueLayout.JAVA_SHORT, 2L * r * columns, columns);
        }
        return new TensorPart(DType.BF16, rows, columns, data);
    }
}
