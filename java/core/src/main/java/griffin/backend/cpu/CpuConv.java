package griffin.backend.cpu;

import griffin.backend.host.HostBuffer;
import griffin.backend.host.HostStep;

/** The depthwise causal convolution: a task is a block of channels of one sequence. */
final class CpuConv implements Runnable {

    private static final int BLOCK = 256;

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
    private final int blocks;
    private final Workers.Task body = this::block;

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
        zeros = new float[BLOCK];
        blocks = (width + BLOCK - 1) / BLOCK;
    }

    @Override
    public void run() {
        backend.run(step.sequenceCount * blocks, (long) step.rowCount * x.columns() < 1 << 14, body);
    }

    private void block(int index, Scratch scratch) {
        int q = index / blocks;
        int e = index % blocks * BLOCK;
        int n = Math.min(BLOCK, x.columns() - e);
        int end = step.rowStarts[q + 1];
        for (int t = step.rowStarts[q]; t < end; t++) {
            for (int k = 0; k < tapCount; k++) {
                locate(q, t, tapCount - 1 - k, e, scratch, k);
            }
            backend.kernels.conv(scratch.tapRows, scratch.tapAt, tapCount, taps, x.columns(), bias, e, n, y.floats(), y.at(t) + e);
        }
        // Row k of the new state comes from a row of the old state above k, if from there at all: going upwards is safe.
        int history = tapCount - 1;
        for (int k = 0; k < history; k++) {
            locate(q, end - 1, history - 1 - k, e, scratch, 0);
            int to = state.at(step.slots[q] * history + k) + e;
            System.arraycopy(scratch.tapRows[0], scratch.tapAt[0], state.floats(), to, n);
        }
    }

    /** Finds the row {@code back} before row t: in this step, in the state, or zeros before position 0. */
    private void locate(int q, int t, int back, int e, Scratch scratch, int k) {
        int row = t - back;
        int start = step.rowStarts[q];
        if (back > step.positions[t]) {
            scratch.tapRows[k] = zeros;
            scratch.tapAt[k] = 0;
        } else if (row >= start) {
            scratch.tapRows[k] = x.floats();
            scratch.tapAt[k] = x.at(row) + e;
        } else {
            int history = tapCount - 1;
            scratch.tapRows[k] = state.floats();
            scratch.tapAt[k] = state.at(step.slots[q] * history + history - (start - row)) + e;
        }
    }
}
