package griffin.backend.cpu;

import griffin.backend.MlpWeights;
import griffin.backend.TensorPart;
import griffin.backend.host.HostBuffer;
import griffin.backend.host.HostRows;
import griffin.backend.host.HostWeight;

/**
 * The gated MLP of many rows: what lies between its two products stays in lanes ({@link LaneProduct}). So the gate and the up branch are never stored,
 * gelu takes them where they were summed, and the second product finds its rows laid out. Few rows run the three operations.
 */
final class CpuGatedMlp implements Runnable {

    /** Rows of each branch in a chunk. */
    private static final int ROWS = LaneProduct.CHUNK / 2;

    private final CpuBackend backend;
    private final HostRows rows;
    private final HostBuffer x;
    private final HostBuffer y;
    private final Runnable fewRows;
    private final TensorPart gate;
    private final TensorPart up;
    private final RowChunks branches;
    private final RowChunks down;
    private final LaneProduct first;
    private final LaneProduct second;
    private final Workers.Task branchBody = this::branch;
    private final Workers.Task downBody = this::down;
    /** The first row, and how many, that are under way. */
    private int from;
    private int count;

    /** @param fewRows the same operation for few rows */
    CpuGatedMlp(CpuBackend backend, HostRows rows, HostBuffer x, MlpWeights weights, HostBuffer y, Runnable fewRows) {
        this.backend = backend;
        this.rows = rows;
        this.x = x;
        this.y = y;
        this.fewRows = fewRows;
        gate = HostWeight.of(weights.gateAndUp()).parts()[0];
        up = HostWeight.of(weights.gateAndUp()).parts()[1];
        branches = LaneProduct.chunks(new TensorPart[] {gate}, backend.workers.size(), ROWS);
        down = LaneProduct.chunks(HostWeight.of(weights.down()).parts(), backend.workers.size(), LaneProduct.CHUNK);
        first = new LaneProduct(backend, gate.columns(), weights.gateAndUpBias() == null ? null
                : HostWeight.of(weights.gateAndUpBias()).values());
        second = new LaneProduct(backend, gate.rows(), weights.downBias() == null ? null : HostWeight.of(weights.downBias()).values());
        backend.reserveHidden(LaneProduct.floats());
    }

    /** Whether the weights are short enough. */
    static boolean takes(Kernels kernels, MlpWeights weights) {
        TensorPart[] parts = HostWeight.of(weights.gateAndUp()).parts();
        return parts.length == 2 && parts[0].rows() == parts[1].rows()
                && Math.max(parts[0].rows(), parts[0].columns()) <= kernels.rowLanesColumns();
    }

    @Override
    public void run() {
        int m = rows.count();
        if (m < backend.kernels.rowLanesFrom()) {
            fewRows.run();
            return;
        }
        for (from = 0; from < m; from += LaneProduct.ROWS) {
            count = Math.min(LaneProduct.ROWS, m - from);
            backend.layOuts++;
            backend.run(branches.part.length, false, branchBody);
            backend.run(down.part.length, false, downBody);
        }
    }

    private void branch(int index, Scratch scratch) {
        int row = branches.row[index];
        int chunk = branches.count[index];
        int width = backend.kernels.rowLanes();
        first.layOut(x, from, count, scratch);
        first.multiply(scratch.rowLanes, count, gate, row, chunk, row, 0, scratch);
        first.multiply(scratch.rowLanes, count, up, row, chunk, gate.rows() + row, ROWS, scratch);
        for (int i = 0; i < count; i += width) {
            int at = LaneProduct.out(width, i, 0);
            backend.kernels.gatedGelu(scratch.sums, at, scratch.sums, LaneProduct.out(width, i, ROWS), scratch.sums, at, chunk * width,
                    scratch.lanes);
            for (int r = 0; r < chunk; r++) {
                System.arraycopy(scratch.sums, at + r * width, backend.hidden(), LaneProduct.at(gate.rows(), width, i, row + r), width);
            }
        }
    }

    private void down(int index, Scratch scratch) {
        int column = down.column[index];
        second.multiply(backend.hidden(), count, down.part[index], down.row[index], down.count[index], column, 0, scratch);
        second.store(y, from, count, column, down.count[index], scratch);
    }
}
