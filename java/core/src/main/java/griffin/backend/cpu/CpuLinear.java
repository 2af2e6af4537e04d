package griffin.backend.cpu;

import griffin.backend.DType;
import griffin.backend.TensorPart;
import griffin.backend.host.HostBuffer;
import griffin.backend.host.HostRows;
import griffin.backend.host.HostWeight;
import java.util.Arrays;

/**
 * A matrix product with its bias and soft cap. A task is a chunk of output rows. Few input rows stream the stored weights once, straight
 * from the file. Many widen a chunk to float32 first: short ones lay the rows of x side by side ({@link RowLanes}), long ones are packed in blocks of
 * columns and multiplied block by block, so that what a tile reads again and again stays in the caches.
 */
final class CpuLinear implements Runnable {

    /** Up to this many input rows stream the weights, and more where they are short ({@link Kernels#streamedFloats}). */
    private static final int STREAM_ROWS = 12;
    private static final int MOST_STREAM_ROWS = 32;
    /** Streaming: rows of the first and the last chunk at most and at least, and the chunks that a thread's share of what is left makes. */
    private static final int STREAM_CHUNK = 1024;
    private static final int LEAST_STREAM_CHUNK = 8;
    private static final int CHUNKS_PER_THREAD = 2;
    /** Multiplying: output rows of a chunk (a multiple of the tiles' 4 and 6), input rows whose partial sums are kept. */
    private static final int PANEL_ROWS = 24;
    private static final int SUM_ROWS = 8;
    /** Multiply-adds below which handing work to other threads costs more than it gains. */
    private static final long INLINE_WORK = 1 << 15;

    private final CpuBackend backend;
    private final HostRows rows;
    private final HostBuffer x;
    private final HostBuffer y;
    private final float[] bias;
    private final float cap;
    private final int n;
    private final RowChunks streamed;
    private final RowChunks panels;
    /** For many rows of x with short weights, in these chunks, or null. */
    private final LaneProduct lanes;
    private final RowChunks laneChunks;
    /** Columns of a block: see {@link Kernels#panelColumns()}. */
    private final int panelColumns;
    /** Up to how many input rows the weights are streamed. */
    private final int streamRows;
    /** From how many on their products are in lanes. */
    private final int lanesFrom;
    private final Workers.Task streamBody = this::stream;
    private final Workers.Task panelBody = this::panel;
    private final Workers.Task lanesBody = this::rowLanes;
    /** The first row of x, and how many, that lie side by side just now. */
    private int laidOut;
    private int laidOutCount;

    CpuLinear(CpuBackend backend, HostRows rows, HostBuffer x, HostWeight w, float[] bias, float cap, HostBuffer y) {
        this.backend = backend;
        this.rows = rows;
        this.x = x;
        this.y = y;
        this.bias = bias;
        this.cap = cap;
        n = w.columns();
        streamed = RowChunks.shrinking(w.parts(), CHUNKS_PER_THREAD * backend.workers.size(), 4, LEAST_STREAM_CHUNK, STREAM_CHUNK);
        panelColumns = backend.kernels.panelColumns();
        panels = RowChunks.equal(w, PANEL_ROWS);
        boolean inLanes = n <= backend.kernels.rowLanesColumns();
        lanes = inLanes ? new LaneProduct(backend, n, bias) : null;
        laneChunks = inLanes ? LaneProduct.chunks(w.parts(), backend.workers.size(), LaneProduct.CHUNK) : null;
        lanesFrom = inLanes ? backend.kernels.rowLanesFrom() : Integer.MAX_VALUE;
        streamRows = Math.min(streamRows(w, backend.kernels), lanesFrom - 1);
        backend.workers.reserve(panelFloats(n), 0);
    }

    /** There are streaming kernels for bfloat16, and for one row of float32; anything else is widened first. */
    private static int streamRows(HostWeight w, Kernels kernels) {
        int most = Math.max(STREAM_ROWS, Math.min(MOST_STREAM_ROWS, kernels.streamedFloats() / w.columns()));
        for (TensorPart part : w.parts()) {
            most = Math.min(most, part.dtype() == DType.BF16 ? most : part.dtype() == DType.F32 ? 1 : 0);
        }
        return most;
    }

    @Override
    public void run() {
        int m = rows.count();
        if (m == 0) {
            return;
        }
        boolean inline = (long) m * y.columns() * n < INLINE_WORK;
        if (m <= streamRows) {
            backend.run(streamed.part.length, inline, streamBody);
        } else if (m < lanesFrom) {
            backend.run(panels.part.length, inline, panelBody);
        } else {
            for (laidOut = 0; laidOut < m; laidOut += LaneProduct.ROWS) {
                laidOutCount = Math.min(LaneProduct.ROWS, m - laidOut);
                backend.layOuts++;
                backend.run(laneChunks.part.length, inline, lanesBody);
            }
        }
    }

    private void rowLanes(int index, Scratch scratch) {
        int count = laneChunks.count[index];
        int column = laneChunks.column[index];
        int width = backend.kernels.rowLanes();
        lanes.layOut(x, laidOut, laidOutCount, scratch);
        lanes.multiply(scratch.rowLanes, laidOutCount, laneChunks.part[index], laneChunks.row[index], count, column, 0, scratch);
        for (int i = 0; cap > 0 && i < laidOutCount; i += width) {
            backend.kernels.softCap(scratch.sums, LaneProduct.out(width, i, 0), count * width, cap);
        }
        lanes.store(y, laidOut, laidOutCount, column, count, scratch);
    }

    private void stream(int index, Scratch scratch) {
        Kernels kernels = backend.kernels;
        TensorPart part = streamed.part[index];
        int count = streamed.count[index];
        int column = streamed.column[index];
        long at = (long) streamed.row[index] * n;
        int to = y.at(0) + column;
        int m = rows.count();
        if (part.dtype() == DType.F32) {
            kernels.matvecF32(part.data(), at, count, n, x.floats(), x.at(0), y.floats(), to, scratch.panel);
        } else if (m == 1) {
            kernels.matvecBf16(part.data(), at, count, n, x.floats(), x.at(0), y.floats(), to, scratch.panel);
        } else {
            kernels.matmulBf16(part.data(), at, count, n, x.floats(), x.at(0), x.stride(), m, y.floats(), to, y.stride(), scratch.panel);
        }
        finish(kernels, 0, m, column, count);
    }

    private void panel(int index, Scratch scratch) {
        Kernels kernels = backend.kernels;
        int count = panels.count[index];
        int column = panels.column[index];
        widenBlocks(kernels, panels.part[index], (long) panels.row[index] * n, count, scratch.panel);
        int m = rows.count();
        int whole = n / Kernels.LANES * Kernels.LANES;
        for (int i = 0; i < m; i += SUM_ROWS) {
            int few = Math.min(SUM_ROWS, m - i);
            float[] sums = scratch.sums;
            Arrays.fill(sums, 0, few * count * Kernels.LANES, 0);
            for (int k = 0; k < whole; k += panelColumns) {
                int width = Math.min(panelColumns, whole - k);
                int stride = Math.min(panelColumns, n - k);
                kernels.addProducts(x.floats(), x.at(i) + k, x.stride(), few, scratch.panel, k * count, stride, count, width, sums, 0);
            }
            reduce(i, few, count, column, whole, scratch);
            finish(kernels, i, few, column, count);
        }
    }

    /** Widens rows to float32, block of columns by block of columns: element (r, k0 + k) is at k0 count + r width + k. */
    private void widenBlocks(Kernels kernels, TensorPart part, long at, int count, float[] panel) {
        for (int r = 0; r < count; r++) {
            for (int k = 0; k < n; k += panelColumns) {
                int width = Math.min(panelColumns, n - k);
                widen(kernels, part, at + (long) r * n + k, width, panel, k * count + r * width);
            }
        }
    }

    /** Widens elements [at, at + count) of a part, whatever their type. */
    static void widen(Kernels kernels, TensorPart part, long at, int count, float[] out, int outAt) {
        if (part.dtype() == DType.BF16) {
            kernels.widenBf16(part.data(), at, count, out, outAt);
        } else {
            HostWeight.widen(part, at, count, out, outAt);
        }
    }

    /** Adds the last columns, which fill no vector, and the partial sums. */
    private void reduce(int i, int few, int count, int column, int whole, Scratch scratch) {
        int block = whole / panelColumns * panelColumns;
        for (int t = 0; t < few; t++) {
            for (int r = 0; r < count; r++) {
                int at = (t * count + r) * Kernels.LANES;
                int w = block * count + r * (n - block) - block;
                for (int k = whole; k < n; k++) {
                    int lane = at + k - whole;
                    scratch.sums[lane] = Math.fma(scratch.panel[w + k], x.floats()[x.at(i + t) + k], scratch.sums[lane]);
                }
                y.floats()[y.at(i + t) + column + r] = Kernels.reduce(scratch.sums, at);
            }
        }
    }

    private void finish(Kernels kernels, int from, int few, int column, int count) {
        for (int i = from; i < from + few; i++) {
            if (bias != null) {
                kernels.add(y.floats(), y.at(i) + column, bias, column, count);
            }
            if (cap > 0) {
                kernels.softCap(y.floats(), y.at(i) + column, count, cap);
            }
        }
    }

    /** Floats of a thread's panel for weights with so many columns; streaming, it is the kernels' room. */
    static int panelFloats(int columns) {
        return Math.max(PANEL_ROWS * columns, 16 * Kernels.LANES + columns);
    }

    /** Floats of a thread's partial sums. */
    static int sumFloats() {
        return Math.max(SUM_ROWS * PANEL_ROWS * Kernels.LANES, LaneProduct.sumFloats());
    }
}
