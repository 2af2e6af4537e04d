package griffin.backend.cpu;

import griffin.backend.AttentionShape;
import griffin.backend.host.HostBuffer;
import griffin.backend.host.HostStep;
import java.util.Arrays;

/**
 * Local attention. Keys are visited in order of position, in blocks that stay in the first-level cache while all heads use them. With many
 * rows a task is a row; with few (decode) each row's keys, heads and value columns are spread over the threads in three passes.
 * Sums run over positions in order, so neither the split nor the chunk changes a bit.
 */
final class CpuAttention implements Runnable {

    private static final int KEY_BLOCK = 32;
    private static final int COLUMN_BLOCK = 64;
    /** Up to this many rows are worth three passes. */
    static final int SPREAD_ROWS = 4;

    private final CpuBackend backend;
    private final HostStep step;
    private final AttentionShape shape;
    private final HostBuffer qkv;
    private final HostBuffer keys;
    private final HostBuffer values;
    private final HostBuffer out;
    /** Visible keys of a row at most. */
    private final int span;
    private final float scale;
    /** [SPREAD_ROWS, H, span] */
    private final float[] spreadScores;
    private final float[] ones;
    private final int keyBlocks;
    private final int columnBlocks;
    private final Workers.Task wholeRow = this::wholeRow;
    private final Workers.Task scorePass = this::scorePass;
    private final Workers.Task softmaxPass = this::softmaxPass;
    private final Workers.Task valuePass = this::valuePass;

    CpuAttention(CpuBackend backend, HostStep step, AttentionShape shape, HostBuffer qkv, HostBuffer keys, HostBuffer values,
            HostBuffer out) {
        this.backend = backend;
        this.step = step;
        this.shape = shape;
        this.qkv = qkv;
        this.keys = keys;
        this.values = values;
        this.out = out;
        span = shape.window() + 1;
        scale = (float) (1 / Math.sqrt(shape.headDim()));
        spreadScores = new float[SPREAD_ROWS * shape.heads() * span];
        ones = new float[span];
        Arrays.fill(ones, 1);
        keyBlocks = (span + KEY_BLOCK - 1) / KEY_BLOCK;
        columnBlocks = (shape.headDim() + COLUMN_BLOCK - 1) / COLUMN_BLOCK;
        backend.workers.reserve(0, shape.heads() * span);
    }

    @Override
    public void run() {
        int m = step.rowCount;
        long work = 0;
        for (int row = 0; row < m; row++) {
            work += (long) count(row) * shape.heads() * shape.headDim();
        }
        if (m > SPREAD_ROWS || work < 1 << 17) {
            backend.run(m, work < 1 << 15, wholeRow);
        } else {
            backend.run(m * keyBlocks, false, scorePass);
            backend.run(m * shape.heads(), false, softmaxPass);
            backend.run(m * columnBlocks, false, valuePass);
        }
    }

    private int oldest(int m) {
        return Math.max(0, step.positions[m] - shape.window());
    }

    /** Keys that row m sees. */
    private int count(int m) {
        return step.positions[m] - oldest(m) + 1;
    }

    private void wholeRow(int m, Scratch scratch) {
        int count = count(m);
        for (int j = 0; j < count; j += KEY_BLOCK) {
            scores(m, j, Math.min(count, j + KEY_BLOCK), scratch.scores, 0, scratch);
        }
        for (int h = 0; h < shape.heads(); h++) {
            softmax(count, scratch.scores, h * span);
        }
        clear(m, 0, shape.headDim());
        for (int j = 0; j < count; j += KEY_BLOCK) {
            values(m, j, Math.min(count, j + KEY_BLOCK), 0, shape.headDim(), scratch.scores, 0);
        }
        for (int h = 0; h < shape.heads(); h++) {
            normalise(m, h, count, 0, shape.headDim(), scratch.scores, h * span, scratch);
        }
    }

    private void scorePass(int index, Scratch scratch) {
        int m = index / keyBlocks;
        int j = index % keyBlocks * KEY_BLOCK;
        int end = Math.min(count(m), j + KEY_BLOCK);
        if (j < end) {
            scores(m, j, end, spreadScores, m * shape.heads() * span, scratch);
        }
    }

    private void softmaxPass(int index, Scratch scratch) {
        softmax(count(index / shape.heads()), spreadScores, index * span);
    }

    private void valuePass(int index, Scratch scratch) {
        int m = index / columnBlocks;
        int d = index % columnBlocks * COLUMN_BLOCK;
        int n = Math.min(COLUMN_BLOCK, shape.headDim() - d);
        int count = count(m);
        int scoresAt = m * shape.heads() * span;
        clear(m, d, n);
        for (int j = 0; j < count; j += KEY_BLOCK) {
            values(m, j, Math.min(count, j + KEY_BLOCK), d, n, spreadScores, scoresAt);
        }
        for (int h = 0; h < shape.heads(); h++) {
            normalise(m, h, count, d, n, spreadScores, scoresAt + h * span, scratch);
        }
    }

    /** scores[h, j] = q_h . k_j for the keys [from, to) of row m, counted from the oldest visible one. */
    private void scores(int m, int from, int to, float[] scores, int scoresAt, Scratch scratch) {
        for (int j = from; j < to;) {
            int run = run(m, j, to);
            boolean ring = inRing(m, j);
            HostBuffer source = ring ? keys : qkv;
            backend.kernels.matmul(qkv.floats(), qkv.at(m), shape.headDim(), shape.heads(), source.floats(), at(m, j, shape.heads()),
                    source.stride(), run, shape.headDim(), scores, scoresAt + j, span, scratch.lanes);
            j += run;
        }
    }

    private void softmax(int count, float[] scores, int at) {
        backend.kernels.expScaled(scores, at, count, backend.kernels.max(scores, at, count), scale);
    }

    private void clear(int m, int d, int n) {
        for (int h = 0; h < shape.heads(); h++) {
            int at = out.at(m) + h * shape.headDim() + d;
            Arrays.fill(out.floats(), at, at + n, 0);
        }
    }

    /** Adds the weighted values [from, to) of row m to columns [d, d + n) of every head. */
    private void values(int m, int from, int to, int d, int n, float[] scores, int scoresAt) {
        for (int j = from; j < to;) {
            int run = run(m, j, to);
            HostBuffer source = inRing(m, j) ? values : qkv;
            int at = at(m, j, shape.heads() + 1) + d;
            for (int h = 0; h < shape.heads(); h++) {
                backend.kernels.weightedSum(scores, scoresAt + h * span + j, source.floats(), at, source.stride(), run, out.floats(),
                        out.at(m) + h * shape.headDim() + d, n);
            }
            j += run;
        }
    }

    private void normalise(int m, int h, int count, int d, int n, float[] scores, int at, Scratch scratch) {
        float total = backend.kernels.dot(scores, at, ones, 0, count, scratch.lanes);
        int to = out.at(m) + h * shape.headDim() + d;
        for (int i = to; i < to + n; i++) {
            out.floats()[i] /= total;
        }
    }

    private boolean inRing(int m, int j) {
        return oldest(m) + j < step.positions[m] - (m - step.documentStart(m));
    }

    /** How many keys from j on lie one after the other in the ring or among the step's rows. */
    private int run(int m, int j, int to) {
        if (!inRing(m, j)) {
            return to - j;
        }
        int position = oldest(m) + j;
        int firstOfStep = step.positions[m] - (m - step.documentStart(m));
        return Math.min(Math.min(to - j, firstOfStep - position), shape.window() - position % shape.window());
    }

    /** Index of key j: in the ring, or part {@code part} (counted in heads) of a row of q|k|v. */
    private int at(int m, int j, int part) {
        int position = oldest(m) + j;
        if (inRing(m, j)) {
            return keys.at(step.slots[step.rowSequence[m]] * shape.window() + position % shape.window());
        }
        return qkv.at(m - (step.positions[m] - position)) + part * shape.headDim();
    }

    /** Turns the query heads and the key of one row. */
    static void rotate(HostStep step, AttentionShape shape, float[] frequencies, HostBuffer qkv, int m) {
        int half = frequencies.length;
        for (int i = 0; i < half; i++) {
            float angle = step.positions[m] * frequencies[i];
            float cos = (float) Math.cos(angle);
            float sin = (float) Math.sin(angle);
            for (int at = qkv.at(m) + i, h = 0; h <= shape.heads(); h++, at += shape.headDim()) {
                float a = qkv.floats()[at];
                float b = qkv.floats()[at + half];
                qkv.floats()[at] = a * cos - b * sin;
                qkv.floats()[at + half] = b * cos + a * sin;
            }
        }
    }
}
