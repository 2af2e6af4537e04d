package griffin.backend.cpu;

import griffin.backend.TensorPart;
import griffin.backend.host.HostBuffer;
import griffin.backend.host.HostRows;
import griffin.backend.host.HostWeight;

/**
 * A matrix product with its bias and soft cap. Output rows are cut into chunks that fit the second-level cache; a chunk is one task.
 * One input row streams the stored weights once; several widen a chunk to float32 first, so that widening and memory traffic are
 * paid once for all of them.
 */
final class CpuLinear implements Runnable {

    /** Weights of a chunk: 256 KiB as float32, a quarter of the usual second-level cache. */
    private static final int CHUNK_ELEMENTS = 1 << 16;
    /** Multiply-adds below which handing work to other threads costs more than it gains. */
    private static final long INLINE_WORK = 1 << 15;

    private final CpuBackend backend;
    private final HostRows rows;
    private final HostBuffer x;
    private final HostBuffer y;
    private final float[] bias;
    private final float cap;
    private final int n;
    private final TensorPart[] chunkPart;
    private final int[] chunkRow;
    private final int[] chunkCount;
    private final int[] chunkColumn;
    private final Workers.Task body = this::chunk;

    CpuLinear(CpuBackend backend, HostRows rows, HostBuffer x, HostWeight w, float[] bias, float cap, HostBuffer y) {
        this.backend = backend;
        this.rows = rows;
        this.x = x;
        this.y = y;
        this.bias = bias;
        this.cap = cap;
        n = w.columns();
        int wanted = (w.rows() + 4 * backend.workers.size() - 1) / (4 * backend.workers.size());
        int size = Math.max(4, Math.min(CHUNK_ELEMENTS / n, wanted + 3) & ~3);
        int count = 0;
        for (TensorPart part : w.parts()) {
            count += (part.rows() + size - 1) / size;
        }
        chunkPart = new TensorPart[count];
        chunkRow = new int[count];
        chunkCount = new int[count];
        chunkColumn = new int[count];
        int i = 0;
        int column = 0;
        for (TensorPart part : w.parts()) {
            for (int row = 0; row < part.rows(); row += size, i++) {
                chunkPart[i] = part;
                chunkRow[i] = row;
                chunkCount[i] = Math.min(size, part.rows() - row);
                chunkColumn[i] = column + row;
            }
            column += part.rows();
        }
        backend.workers.reserve(size * n, 0);
    }

    @Override
    public void run() {
        int m = rows.count();
        if (m > 0) {
            backend.run(chunkPart.length, (long) m * y.columns() * n < INLINE_WORK, body);
        }
    }

    private void chunk(int index, Scratch scratch) {
        Kernels kernels = backend.kernels;
        TensorPart part = chunkPart[index];
        int m = rows.count();
        int count = chunkCount[index];
        int column = chunkColumn[index];
        long at = (long) chunkRow[index] * n;
        boolean streams = m == 1;
        switch (part.dtype()) {
            case BF16 -> {
                if (streams) {
                    kernels.matvecBf16(part.data(), at, count, n, x.floats(), x.at(0), y.floats(), y.at(0) + column, scratch.lanes);
                } else {
                    kernels.widenBf16(part.data(), at, count * n, scratch.panel, 0);
                }
            }
            case F32 -> {
                if (streams) {
                    kernels.matvecF32(part.data(), at, count, n, x.floats(), x.at(0), y.floats(), y.at(0) + column, scratch.lanes);
                } else {
                    HostWeight.widen(part, at, count * n, scratch.panel, 0);
                }
            }
            default -> {
                HostWeight.widen(part, at, count * n, scratch.panel, 0);
                streams = false;
            }
        }
        if (!streams) {
            kernels.matmul(x.floats(), x.at(0), x.stride(), m, scratch.panel, 0, n, count, n, y.floats(), y.at(0) + column, y.stride(),
                    scratch.lanes);
        }
        for (int i = 0; i < m; i++) {
            if (bias != null) {
                kernels.add(y.floats(), y.at(i) + column, bias, column, count);
            }
            if (cap > 0) {
                kernels.softCap(y.floats(), y.at(i) + column, count, cap);
            }
        }
    }
}
