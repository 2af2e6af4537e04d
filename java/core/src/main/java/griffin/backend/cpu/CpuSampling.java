package griffin.backend.cpu;

import griffin.backend.host.HostBuffer;
import griffin.backend.host.HostStep;

/** Sampling: a task is every n-th sequence of the step, for one of n samplers. */
final class CpuSampling implements Runnable {

    /** Tokens of the vocabulary that samplers beyond the first may have together: a large vocabulary is mostly sampled for few sequences. */
    private static final int MORE_TOKENS = 1 << 18;

    private final CpuBackend backend;
    private final HostStep step;
    private final HostBuffer seen;
    private final RowSampler[] samplers;
    private final Workers.Task body = this::share;

    CpuSampling(CpuBackend backend, HostStep step, HostBuffer logits, HostBuffer seen) {
        this.backend = backend;
        this.step = step;
        this.seen = seen;
        samplers = new RowSampler[samplers(backend.workers.size(), logits.columns())];
        for (int i = 0; i < samplers.length; i++) {
            samplers[i] = new RowSampler(step, logits, seen);
        }
    }

    private static int samplers(int threads, int vocabulary) {
        return Math.min(threads, 1 + MORE_TOKENS / vocabulary);
    }

    /** Bytes of the arrays of all samplers. */
    static long bytes(int threads, int vocabulary) {
        return (long) samplers(threads, vocabulary) * RowSampler.BYTES * vocabulary;
    }

    @Override
    public void run() {
        for (int m = 0; m < step.rowCount; m++) {
            int slot = step.slots[step.rowSequence[m]];
            seen.ints()[seen.at(slot) + (step.tokens[m] >>> 5)] |= 1 << step.tokens[m];
        }
        backend.run(samplers.length, step.sequenceCount == 1, body);
    }

    private void share(int index, Scratch scratch) {
        for (int q = index; q < step.sequenceCount; q += samplers.length) {
            samplers[index].sample(q);
        }
    }
}
