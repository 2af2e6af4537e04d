package griffin.backend.cpu;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * Runs every vector kernel on a little data until the compiler has made machine code of it, which shows in the time of a call: before
 * that, each vector operation is a method call with an object, fifty times slower or worse. What never gets fast is never used.
 */
final class KernelWarmup implements Runnable {

    /** One call of a kernel on warm-up data. */
    private interface Call {
        void run(Kernels kernels);
    }

    private static final int N = 256;
    /** One tile of each size: 6 + 4. */
    private static final int ROWS = 10;
    /** Calls after which the compiler has been asked; from then on a few calls now and then show when it is done. */
    private static final int ENOUGH_CALLS = 2500;
    private static final int BATCH = 100;
    private static final int PROBES = 20;
    private static final long GIVE_UP_NANOS = 60_000_000_000L;
    /** A kernel that takes longer per element of its work is not compiled, whatever the machine. */
    private static final double SLOWEST_NANOS = 4;

    private final AdaptiveKernels target;
    private final Kernels vector;
    private final int[] order = new int[AdaptiveKernels.COUNT];
    private final Call[] calls = new Call[AdaptiveKernels.COUNT];
    private final double[] limits = new double[AdaptiveKernels.COUNT];
    private final int[] done = new int[AdaptiveKernels.COUNT];
    private int count;

    private final float[] a = new float[ROWS * N];
    private final float[] b = new float[ROWS * N];
    private final float[] c = new float[ROWS * N];
    private final float[] out = new float[ROWS * N];
    private final float[] sums = new float[ROWS * ROWS * Kernels.LANES];
    /** Rows of x side by side, and what their products need. */
    private final float[] laid = new float[32 * 64];
    private final float[] tile = new float[Kernels.ROW_LANES_TILE * Kernels.ROW_LANES_STRIDE];
    private final float[] tileSums = new float[4096];
    private final float[][] tapRows = {a, a, b, b};
    private final int[] tapAt = new int[4];

    KernelWarmup(AdaptiveKernels target, Kernels vector) {
        this.target = target;
        this.vector = vector;
    }

    @Override
    public void run() {
        try (Arena arena = Arena.ofShared()) {
            plan(weights(arena));
            long start = System.nanoTime();
            for (int left = count; left > 0 && System.nanoTime() - start < GIVE_UP_NANOS;) {
                left = round();
                if (left > 0) {
                    Thread.sleep(1);
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt(); // whoever ends this thread wants no vectors
        }
    }

    /** Runs every kernel that is not ready for a while and returns how many are still not. */
    private int round() {
        int left = 0;
        for (int i = 0; i < count; i++) {
            int kernel = order[i];
            if (done[kernel] < 0) {
                continue;
            }
            int times = done[kernel] < ENOUGH_CALLS ? BATCH : PROBES;
            if (best(calls[kernel], times) < limits[kernel]) {
                target.ready(kernel);
                done[kernel] = -1;
            } else {
                done[kernel] += times;
                left++;
            }
        }
        return left;
    }

    private double best(Call call, int times) {
        long best = Long.MAX_VALUE;
        for (int i = 0; i < times; i++) {
            long start = System.nanoTime();
            call.run(vector);
            best = Math.min(best, System.nanoTime() - start);
        }
        return best;
    }

    /** Most wanted first. {@code work} is in elements that go through one multiply-add, or a small part of an exp. */
    private void plan(MemorySegment w) {
        add(AdaptiveKernels.MATVEC_BF16, ROWS * N, k -> k.matvecBf16(w, 0, ROWS, N, a, 0, out, 0, sums));
        add(AdaptiveKernels.MATMUL_BF16, 4 * ROWS * N, k -> k.matmulBf16(w, 0, ROWS, N, a, 0, N, 4, out, 0, ROWS, sums));
        add(AdaptiveKernels.DOT, N, k -> k.dot(a, 0, b, 0, N, sums));
        add(AdaptiveKernels.GATED_GELU, 4 * N, k -> k.gatedGelu(a, 0, b, 0, out, 0, N, sums));
        add(AdaptiveKernels.GATE_BF16, 16 * N, k -> k.gateBf16(a, 0, w, 0, 64, 0, 64, b, 0, out, 0));
        add(AdaptiveKernels.LRU, 10 * N, k -> k.lru(a, 0, b, 0, a, N, b, N, false, c, 0, out, 0, N));
        add(AdaptiveKernels.SCALE, N, k -> k.scale(a, 0, 1, b, N, out, 0));
        add(AdaptiveKernels.ADD, N, k -> k.add(a, 0, b, 0, N));
        add(AdaptiveKernels.CONV, 4 * N, k -> k.conv(tapRows, tapAt, 4, c, N, b, 0, N, out, 0));
        add(AdaptiveKernels.WEIGHTED_SUM, ROWS * N, k -> k.weightedSum(a, 0, b, 0, N, ROWS, out, 0, N));
        add(AdaptiveKernels.MATMUL, 4 * ROWS * N, k -> k.matmul(a, 0, N, 4, b, 0, N, ROWS, N, out, 0, ROWS, sums));
        add(AdaptiveKernels.EXP_SCALED, 4 * N, k -> k.expScaled(out, 0, N, 0, 1));
        add(AdaptiveKernels.MAX, N, k -> k.max(a, 0, N));
        add(AdaptiveKernels.SOFT_CAP, 4 * N, k -> k.softCap(out, 0, N, 30));
        add(AdaptiveKernels.WIDEN_BF16, N, k -> k.widenBf16(w, 0, N, out, 0));
        add(AdaptiveKernels.ADD_PRODUCTS, 4 * ROWS * N, k -> k.addProducts(a, 0, N, 4, b, 0, N, ROWS, N, sums, 0));
        int width = vector.rowLanes();
        add(AdaptiveKernels.MATMUL_ROW_LANES, 16 * width * 64, k -> {
            k.matmulRowLanes(laid, 0, width, width, tile, 64, a, 0, out, 0, 2, tileSums);
            k.matmulRowLanes(laid, 0, width, 1, tile, 64, a, 0, out, 0, 2, tileSums); // one vector of rows
        });
        add(AdaptiveKernels.WIDEN_ROWS, 4 * N, k -> k.widenRows(w, 0, 2, N, tile, 0));
        add(AdaptiveKernels.TRANSPOSE, ROWS * N, k -> k.transpose(laid, 0, 64, width, 64, tileSums, 1024, width, tileSums));
        add(AdaptiveKernels.MATVEC_F32, 4 * N, k -> k.matvecF32(w, 0, 4, N, a, 0, out, 0, sums));
        add(AdaptiveKernels.GATE_F32, 4 * N, k -> k.gateF32(a, 0, c, 0, 32, 0, 32, b, 0, out, 0));
    }

    private void add(int kernel, int work, Call call) {
        order[count++] = kernel;
        calls[kernel] = call;
        limits[kernel] = work * SLOWEST_NANOS;
    }

    /**
     * Zeros of the kind that real weights are, a mapped file: the compiled code is specialised for the kinds of memory it has seen.
     */
    private static MemorySegment weights(Arena arena) {
        long bytes = ROWS * N * 4L;
        try {
            Path file = Files.createTempFile("griffin", ".tmp");
            try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE,
                    StandardOpenOption.DELETE_ON_CLOSE)) {
                return channel.map(FileChannel.MapMode.READ_WRITE, 0, bytes, arena).asReadOnly();
            }
        } catch (IOException e) {
            return arena.allocate(bytes, 64); // no place for a file: the first real weights cost one more compilation
        }
    }
}
