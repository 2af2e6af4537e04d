package griffin.backend.cpu;

import griffin.backend.DType;
import griffin.backend.RgLruWeights;
import griffin.backend.TensorPart;
import griffin.backend.host.HostBuffer;
import griffin.backend.host.HostStep;
import griffin.backend.host.HostWeight;

/**
 * The RG-LRU: a task is a block of channels of one sequence, or with many sequences all of its channels, from the gates to the last
 * token, since channels depend on one another only through the gates' inputs. The recurrence itself is one fused multiply-add per element; exp and division bound it.
 */
final class CpuRgLru implements Runnable {

    /** Channels of a task: four 512-bit vectors. */
    private static final int BLOCK = 64;
    /** From so many on a task is all channels of a sequence: every pass over channels costs as much as several vectors do. */
    private static final int SEQUENCES_PER_THREAD = 4;

    private final CpuBackend backend;
    private final HostStep step;
    private final HostBuffer x;
    private final HostBuffer state;
    private final HostBuffer y;
    private final HostBuffer gelu;
    private final TensorPart[] gates;
    private final float[][] wideGates = new float[2][];
    private final float[] bias;
    private final float[] decay;
    private final int head;
    private final int blocksPerHead;
    private final Workers.Task blockBody = this::block;
    private final Workers.Task sequenceBody = this::sequence;

    /** @param gelu the branch whose gelu multiplies the output, or null */
    CpuRgLru(CpuBackend backend, HostStep step, HostBuffer x, RgLruWeights weights, HostBuffer state, HostBuffer gelu, HostBuffer y) {
        this.backend = backend;
        this.step = step;
        this.x = x;
        this.state = state;
        this.y = y;
        this.gelu = gelu;
        gates = HostWeight.of(weights.gates()).parts();
        bias = HostWeight.of(weights.gateBias()).values();
        decay = HostWeight.of(weights.decay()).values();
        head = gates[0].columns();
        blocksPerHead = (head + BLOCK - 1) / BLOCK;
        for (int g = 0; g < 2; g++) {
            if (gates[g].dtype() != DType.BF16) {
                wideGates[g] = backend.widened(gates[g]);
            }
        }
        backend.workers.reserve(2 * Math.max(BLOCK, x.columns()), 0);
    }

    @Override
    public void run() {
        boolean inline = (long) step.rowCount * x.columns() * head < 1 << 14;
        if (step.sequenceCount >= SEQUENCES_PER_THREAD * backend.workers.size()) {
            backend.run(step.sequenceCount, inline, sequenceBody);
        } else {
            backend.run(step.sequenceCount * (x.columns() / head) * blocksPerHead, inline, blockBody);
        }
    }

    private void block(int index, Scratch scratch) {
        int perSequence = x.columns() / head * blocksPerHead;
        int h = index % perSequence / blocksPerHead;
        int j = index % blocksPerHead * BLOCK;
        channels(index / perSequence, h * head + j, Math.min(BLOCK, head - j), scratch);
    }

    private void sequence(int q, Scratch scratch) {
        channels(q, 0, x.columns(), scratch);
    }

    /** Channels [e, e + n) of sequence q: part of a head, or whole heads. */
    private void channels(int q, int e, int n, Scratch scratch) {
        Kernels kernels = backend.kernels;
        float[] z = scratch.panel;
        int stateAt = state.at(step.slots[q]) + e;
        for (int t = step.rowStarts[q]; t < step.rowStarts[q + 1]; t++) {
            for (int done = 0; done < n; done += head) {
                int h = (e + done) / head;
                int j = (e + done) % head;
                gate(kernels, 0, t, h, j, Math.min(n, head), z, done);
                gate(kernels, 1, t, h, j, Math.min(n, head), z, n + done);
            }
            kernels.lru(z, 0, z, n, decay, e, x.floats(), x.at(t) + e, step.positions[t] == 0, state.floats(), stateAt, y.floats(),
                    y.at(t) + e, n);
            if (gelu != null) {
                kernels.gatedGelu(gelu.floats(), gelu.at(t) + e, y.floats(), y.at(t) + e, y.floats(), y.at(t) + e, n, scratch.lanes);
            }
        }
    }

    private void gate(Kernels kernels, int g, int t, int h, int j, int n, float[] z, int zAt) {
        int biasAt = g * x.columns() + h * head + j;
        int xAt = x.at(t) + h * head;
        if (wideGates[g] != null) {
            kernels.gateF32(x.floats(), xAt, wideGates[g], h * head * head, head, j, n, bias, biasAt, z, zAt);
        } else {
            kernels.gateBf16(x.floats(), xAt, gates[g].data(), (long) h * head * head, head, j, n, bias, biasAt, z, zAt);
        }
    }
}
