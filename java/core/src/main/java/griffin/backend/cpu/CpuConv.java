package griffin.backend.cpu;

import griffin.backend.host.HostBuffer;
import griffin.backend.host.HostStep;

/**
 * The depthwise causal convolution. A task is a few whole rows: blocks of channels would visit a new page with every row (measured: 256
 * channels a task run at half the rate of 1280). The state is read by the first rows of a sequence and written
 * when all of them are done.
 */
final class CpuConv implements Runnable {

    /** Rows of a task. */
    private static final int TILE = 16;
    /** The same, where every row is a sequence's only one. */
    private static final int FEW = 4;

    private final CpuBackend backend;
    private final HostStep step;
    private final HostBuffer x;
    private final HostBuffer state;
    private final HostBuffer y;
    /** [C, E]: tap k of all channels together. */
    private final float[] taps;
    private final float[] bias;
    private final int tapCount;
    private final float[] zeros;
    private final Workers.Task body = this::tile;
    private final Workers.Task fewBody = this::few;
    /** Where the row that is to be kept comes from. */
    private final float[][] keptRow = new float[1][];
    private final int[] keptAt = new int[1];

    CpuConv(CpuBackend backend, HostStep step, HostBuffer x, float[] tapsByChannel, float[] bias, HostBuffer state, HostBuffer y) {
        this.backend = backend;
        this.step = step;
        this.x = x;
        this.state = state;
        this.y = y;
        this.bias = bias;
        int width = x.columns();
        tapCount = tapsByChannel.length / width;
        taps = new float[tapsByChannel.length];
        for (int i = 0; i < taps.length; i++) {
            taps[i % tapCount * width + i / tapCount] = tapsByChannel[i];
        }
        zeros = new float[width];
    }

    @Override
    public void run() {
        boolean inline = (long) step.rowCount * x.columns() < 1 << 14;
        if (step.rowCount == step.sequenceCount) {
            backend.run((step.rowCount + FEW - 1) / FEW, inline, fewBody);
            return;
        }
        backend.run((step.rowCount + TILE - 1) / TILE, inline, body);
        for (int q = 0; q < step.sequenceCount; q++) {
            keepHistory(q, keptRow, keptAt);
        }
    }

    /** A few sequences of one row each, whose history nobody else reads. */
    private void few(int index, Scratch scratch) {
        int end = Math.min(step.rowCount, (index + 1) * FEW);
        for (int q = index * FEW; q < end; q++) {
            row(q, scratch);
            keepHistory(q, scratch.tapRows, scratch.tapAt);
        }
    }

    private void tile(int index, Scratch scratch) {
        int end = Math.min(step.rowCount, (index + 1) * TILE);
        for (int t = index * TILE; t < end; t++) {
            row(t, scratch);
        }
    }

    private void row(int t, Scratch scratch) {
        for (int k = 0; k < tapCount; k++) {
            locate(step.rowSequence[t], t, tapCount - 1 - k, scratch.tapRows, scratch.tapAt, k);
        }
        backend.kernels.conv(scratch.tapRows, scratch.tapAt, tapCount, taps, x.columns(), bias, 0, x.columns(), y.floats(), y.at(t));
    }

    /** Row k of the new state comes from a row of the old state above k, if from there at all: going upwards is safe. */
    private void keepHistory(int q, float[][] rows, int[] at) {
        int history = tapCount - 1;
        for (int k = 0; k < history; k++) {
            locate(q, step.rowStarts[q + 1] - 1, history - 1 - k, rows, at, 0);
            int to = state.at(step.slots[q] * history + k);
            System.arraycopy(rows[0], at[0], state.floats(), to, x.columns());
        }
    }

    /** Finds the row {@code back} before row t: in this step, in the state, or zeros before position 0. */
    private void locate(int q, int t, int back, float[][] rows, int[] at, int k) {
        int row = t - back;
        int start = step.rowStarts[q];
        if (back > step.positions[t]) {
            rows[k] = zeros;
            at[k] = 0;
        } else if (row >= start) {
            rows[k] = x.floats();
            at[k] = x.at(row);
        } else {
            int history = tapCount - 1;
            rows[k] = state.floats();
            at[k] = state.at(step.slots[q] * history + history - (start - row));
        }
    }
}
