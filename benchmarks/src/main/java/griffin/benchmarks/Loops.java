package griffin.benchmarks;

import griffin.backend.Buffer;
import griffin.backend.DType;
import griffin.backend.Step;
import griffin.backend.StepPlan;
import griffin.backend.TensorPart;
import griffin.backend.Weight;
import griffin.backend.WeightRole;
import griffin.backend.cpu.CpuBackend;
import griffin.backend.cpu.KernelLoops;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import java.util.function.DoubleSupplier;

/** The recurrence and the convolution alone, on rows that no cache holds. */
final class Loops {

    private static final int ROWS = 8192;

    private Loops() {}

    /** RG-LRU given gate pre-activations: three arrays read, one written. */
    static void scan(Options o) {
        int width = o.shape.lruWidth;
        float[] zi = normal(ROWS * width, 1);
        float[] zr = normal(ROWS * width, 2);
        float[] x = normal(ROWS * width, 3);
        float[] decay = new float[width];
        Arrays.fill(decay, -0.5f);
        float[] h = new float[width];
        float[] out = new float[ROWS * width];
        CopyCeiling copy = new CopyCeiling(o.threads);
        double bytes = 16.0 * ROWS * width / 1e9;
        double[] ceilings = new double[o.runs];
        double full =
                rate(o, copy::measure, ceilings, bytes, () -> split(o, width, (from, n) -> KernelLoops.lru(zi, zr, decay, x, h, out, ROWS,
                        width, from, n)));
        double ceiling = Team.median(ceilings);
        double plain = rate(o, copy::measure, ceilings, bytes, () -> split(o, width, (from, n) -> KernelLoops.plain(zi, zr, x, h, out, ROWS,
                width, from, n)));
        double cached =
                rate(o, copy::measure, ceilings, bytes, () -> split(o, width, (from, n) -> KernelLoops.lru(zi, zr, decay, x, h, out, ROWS,
                        0, from, n)));
        Results.line("RG-LRU scan", full, "GB/s", ceiling, "copy ceiling");
        Results.line("RG-LRU scan, time that its arithmetic takes in the cache", 100 * full / cached, "%");
        Results.line("RG-LRU scan without exp, div, sqrt", plain, "GB/s", ceiling, "copy ceiling");
    }

    /** Convolution of four taps: one array read, one written. */
    static void conv(Options o) {
        int width = o.shape.lruWidth;
        try (Arena arena = Arena.ofShared(); CpuBackend backend = KernelLoops.vectorBackend(o.threads)) {
            Buffer x = backend.allocate(DType.F32, ROWS, width);
            Buffer y = backend.allocate(DType.F32, ROWS, width);
            Buffer state = backend.allocate(DType.F32, 2 * 3, width);
            Weight taps = weight(backend, arena, WeightRole.CONV_TAPS, width, 4);
            Weight bias = weight(backend, arena, WeightRole.BIAS, 1, width);
            Step step = backend.allocateStep(ROWS, 1, 1);
            StepPlan plan = new StepPlan(ROWS, 1);
            plan.add(0, 0, new int[ROWS], 0, ROWS, StepPlan.Outputs.NONE);
            backend.submit(step, plan);
            CopyCeiling copy = new CopyCeiling(o.threads);
            double[] ceilings = new double[o.runs];
            double rate = rate(o, copy::measure, ceilings, 8.0 * ROWS * width / 1e9, () -> {
                long start = System.nanoTime();
                backend.causalConv(step, x, taps, bias, state, y);
                return (System.nanoTime() - start) / 1e9;
            });
            Results.line("causal conv", rate, "GB/s", Team.median(ceilings), "copy ceiling");
        }
    }

    static Weight weight(CpuBackend backend, Arena arena, WeightRole role, int rows, int columns) {
        MemorySegment data = arena.allocate(4L * rows * columns, 64);
        MemorySegment.copy(normal(rows * columns, 4), 0, data, ValueLayout.JAVA_FLOAT, 0, rows * columns);
        return backend.load(role, new TensorPart(DType.F32, rows, columns, data));
    }

    static float[] normal(int count, long seed) {
        float[] table = new float[4099];
        Random random = new Random(seed);
        for (int i = 0; i < table.length; i++) {
            table[i] = (float) random.nextGaussian();
        }
        float[] out = new float[count];
        for (int i = 0; i < count; i++) {
            out[i] = table[i % table.length];
        }
        return out;
    }

    private interface Channels {
        void run(int from, int n);
    }

    private static double split(Options o, int width, Channels body) {
        int each = (Math.ceilDiv(width, o.threads) + 15) / 16 * 16;
        return Team.seconds(o.threads, id -> {
            int from = Math.min(width, id * each);
            body.run(from, Math.min(each, width - from));
        });
    }

    /** Median of GB/s, after three runs for the compiler. */
    private static double rate(Options o, DoubleSupplier ceiling, double[] ceilings, double gigabytes, DoubleSupplier seconds) {
        for (int i = 0; i < 3; i++) {
            double warm = seconds.getAsDouble();
            assert warm > 0;
        }
        double[] rates = new double[o.runs];
        for (int i = 0; i < o.runs; i++) {
            ceilings[i] = ceiling.getAsDouble();
            rates[i] = gigabytes / seconds.getAsDouble();
        }
        return Team.median(rates);
    }
}
