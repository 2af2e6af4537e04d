package griffin.backend.cpu;

import griffin.backend.DType;
import griffin.backend.TensorPart;
import griffin.backend.host.HostBuffer;
import java.util.Arrays;

/**
 * Products of many rows of x with short rows of weights, in lanes ({@link RowLanes}): lay out rows of x, multiply chunks of weights, store. The rows
 * are in groups of {@link Kernels#rowLanes}, each [LANES, columns / LANES, width].
 */
final class LaneProduct {

    /** Rows of x at once, and rows of weights of a chunk at most and at least; the chunks that a thread's share of what is left makes. */
    static final int ROWS = 64;
    static final int CHUNK = 64;
    private static final int LEAST_CHUNK = 16;
    private static final int CHUNKS_PER_THREAD = 2;

    /** Where in a thread's sums a chunk of the result is, [groups, CHUNK, width]: behind the sums of a tile, for 32 lanes. */
    private static final int OUT = Kernels.LANES * Kernels.ROW_LANES_TILE * 32;

    private final CpuBackend backend;
    private final int n;
    private final boolean biased;
    /** What is added to the rows of a chunk: the bias and some more, since a last tile has rows that are none; without one, what adds nothing. */
    private final float[] bias;

    /** @param bias of all rows of the weights, or null */
    LaneProduct(CpuBackend backend, int n, float[] bias) {
        this.backend = backend;
        this.n = n;
        biased = bias != null;
        this.bias = biased ? Arrays.copyOf(bias, bias.length + Kernels.ROW_LANES_TILE) : new float[CHUNK];
        if (!biased) {
            Arrays.fill(this.bias, -0f); // and not 0, which makes 0 of -0
        }
        backend.workers.reserveRowLanes(floats());
        backend.workers.reserve(Kernels.ROW_LANES_TILE * Kernels.ROW_LANES_STRIDE, 0);
    }

    /** Chunks of weights, of up to {@code most} rows. */
    static RowChunks chunks(TensorPart[] parts, int threads, int most) {
        return RowChunks.shrinking(parts, CHUNKS_PER_THREAD * threads, Kernels.ROW_LANES_TILE, LEAST_CHUNK, most);
    }

    /** Floats of rows of x that are laid out. */
    static int floats() {
        return ROWS * Kernels.ROW_LANES_STRIDE;
    }

    /** Floats of a thread's sums. */
    static int sumFloats() {
        return OUT + CHUNK * ROWS;
    }

    /** Where column k of the group that begins with row i is in rows with n columns that are laid out. */
    static int at(int n, int width, int i, int k) {
        int columns = (n + Kernels.LANES - 1) / Kernels.LANES;
        return i * columns * Kernels.LANES + (k % Kernels.LANES * columns + k / Kernels.LANES) * width;
    }

    /** Where row r of a chunk's result is in a thread's sums, of the group that begins with row i of x. */
    static int out(int width, int i, int r) {
        return OUT + i * CHUNK + r * width;
    }

    /**
     * Lays out rows [from, from + m) of x for this thread, if it has not done so since {@link CpuBackend#layOuts} changed. Each thread does it for
     * itself: fetching what another thread has just written takes longer.
     */
    void layOut(HostBuffer x, int from, int m, Scratch scratch) {
        if (scratch.laidOut == backend.layOuts) {
            return;
        }
        int width = backend.kernels.rowLanes();
        int apart = at(n, width, 0, 1);
        for (int i = 0; i < m; i += width) {
            for (int k = 0; k < n; k += Kernels.LANES) {
                backend.kernels.transpose(x.floats(), x.at(from + i) + k, x.stride(), Math.min(width, m - i),
                        Math.min(Kernels.LANES, n - k),
                        scratch.rowLanes, at(n, width, i, k), apart, scratch.sums);
            }
        }
        scratch.laidOut = backend.layOuts;
    }

    /**
     * Multiplies m rows that are laid out in {@code x} with rows [row, row + count) of a part, in tiles of which 4 rows are read at once; those that fill
     * no tile make another with zeros.
     *
     * @param column of the result, to which the bias belongs
     * @param to     row of the chunk's result
     */
    void multiply(float[] x, int m, TensorPart part, int row, int count, int column, int to, Scratch scratch) {
        int tiled = count - count % Kernels.ROW_LANES_TILE;
        for (int r = 0; r < tiled / 4; r += 2) {
            tile(x, m, part, row + r, row + count, tiled / 4, column + r, to + r, scratch);
        }
        if (tiled < count) {
            tile(x, m, part, row + tiled, row + count, 2, column + tiled, to + tiled, scratch);
        }
    }

    /** Rows {@code row}, row + 1, and three times as many {@code apart} each, as far as they are below {@code end}. */
    private void tile(float[] x, int m, TensorPart part, int row, int end, int apart, int column, int to, Scratch scratch) {
        Kernels kernels = backend.kernels;
        int width = kernels.rowLanes();
        widen(part, row, end, apart, scratch.panel, 0);
        widen(part, row + 1, end, apart, scratch.panel, 4 * Kernels.ROW_LANES_STRIDE);
        for (int i = 0; i < m; i += width) {
            kernels.matmulRowLanes(x, at(n, width, i, 0), width, Math.min(width, m - i), scratch.panel, n, bias, biased ? column : 0,
                    scratch.sums, out(width, i, to), apart, scratch.sums);
        }
    }

    private void widen(TensorPart part, int row, int end, int apart, float[] panel, int panelAt) {
        if (part.dtype() == DType.BF16 && row + 3 * apart < end) {
            backend.kernels.widenRows(part.data(), (long) row * n, apart, n, panel, panelAt);
            return;
        }
        for (int t = 0; t < 4; t++) {
            int at = panelAt + t * Kernels.ROW_LANES_STRIDE;
            long r = row + (long) t * apart;
            if (r >= end) {
                Arrays.fill(panel, at, at + n, 0);
            } else {
                CpuLinear.widen(backend.kernels, part, r * n, n, panel, at);
            }
        }
    }

    /** Stores the {@code count} columns of a chunk's result from {@code column} on, as rows [from, from + m) of y. */
    void store(HostBuffer y, int from, int m, int column, int count, Scratch scratch) {
        int width = backend.kernels.rowLanes();
        for (int i = 0; i < m; i += width) {
            backend.kernels.transpose(scratch.sums, out(width, i, 0), width, count, Math.min(width, m - i), y.floats(),
                    y.at(from + i) + column, y.stride(), scratch.sums);
        }
    }
}
