package griffin.backend.cpu;

import griffin.backend.StepResult;
import griffin.backend.host.HostBuffer;
import griffin.backend.host.HostStep;
import griffin.sampling.Gumbel;
import griffin.sampling.SamplingParams;

/**
 * Samples for one sequence after the other, without allocation and without sorting the vocabulary: a few tokens are selected in one pass; for
 * more a heap by falling logit is built once (linear time) and only as much of it is taken off as the filters keep.
 */
final class RowSampler {

    /** Of its arrays, per token of the vocabulary. */
    static final int BYTES = 4 + 4 + 4 + 8;

    private static final int INFINITY_BITS = Float.floatToRawIntBits(Float.POSITIVE_INFINITY);

    /** Up to this many tokens are selected in one pass. */
    private static final int FEW = 64;

    private final HostStep step;
    private final HostBuffer logits;
    private final HostBuffer seen;
    private final int vocabulary;
    /** The logits after the repetition penalty. */
    private final float[] z;
    private final int[] heap;
    private int heapSize;
    /** Kept tokens, most likely first, and their weights exp((z - max) / temperature). */
    private final int[] kept;
    private final double[] weight;
    /** The logits of kept tokens that were selected. */
    private final float[] selected = new float[FEW];

    RowSampler(HostStep step, HostBuffer logits, HostBuffer seen) {
        this.step = step;
        this.logits = logits;
        this.seen = seen;
        vocabulary = logits.columns();
        z = new float[vocabulary];
        heap = new int[vocabulary];
        kept = new int[vocabulary];
        weight = new double[vocabulary];
    }

    /** Samples for sequence q of the step, if it wants a token. */
    void sample(int q) {
        StepResult result = step.result;
        result.ids[q] = -1;
        result.logProbabilities[q] = Float.NaN;
        int output = step.sampledOutputs[q];
        if (output < 0) {
            return;
        }
        System.arraycopy(logits.floats(), logits.at(output), z, 0, vocabulary);
        int id = choose(q);
        result.ids[q] = id;
        if (id == StepResult.NOT_FINITE) {
            result.setNotFinite(q);
        } else if (step.sampling[q].logProbabilities() >= 0) {
            System.arraycopy(logits.floats(), logits.at(output), z, 0, vocabulary);
            logProbabilities(q, step.sampling[q].logProbabilities());
        }
    }

    private int choose(int q) {
        SamplingParams p = step.sampling[q];
        if (p.repetitionPenalty() != 1) {
            penalise(seen.at(step.slots[q]), p.repetitionPenalty());
        }
        int position = step.positions[step.rowStarts[q + 1] - 1] + 1;
        if (p.greedy()) {
            return largest();
        }
        if (p.topK() == 0 && p.topP() == 1) {
            return drawFromAll(p, position);
        }
        int count = keep(p);
        return count == 0 ? StepResult.NOT_FINITE : drawFrom(count, p, position);
    }

    private void penalise(int seenAt, float penalty) {
        for (int word = 0; word < seen.columns(); word++) {
            int bits = seen.ints()[seenAt + word];
            while (bits != 0) {
                int id = word * 32 + Integer.numberOfTrailingZeros(bits);
                z[id] = z[id] > 0 ? z[id] / penalty : z[id] * penalty;
                bits &= bits - 1;
            }
        }
    }

    /** The lowest id among the largest, or NOT_FINITE. The comparison that finds the maximum finds a NaN, too. */
    private int largest() {
        float max = Float.NEGATIVE_INFINITY;
        int best = StepResult.NOT_FINITE;
        for (int id = 0; id < vocabulary; id++) {
            float v = z[id];
            if (!(v <= max)) {
                if (Float.isNaN(v)) {
                    return StepResult.NOT_FINITE;
                }
                max = v;
                best = id;
            }
        }
        return max == Float.POSITIVE_INFINITY ? StepResult.NOT_FINITE : best;
    }

    /** Only min-p may filter: one pass, in which a token that no Gumbel number could lift to the top costs no random number. */
    private int drawFromAll(SamplingParams p, int position) {
        int likeliest = largest();
        if (likeliest == StepResult.NOT_FINITE) {
            return likeliest;
        }
        float max = z[likeliest];
        float least = Gumbel.LOWEST - Gumbel.HIGHEST;
        float highest = Float.NEGATIVE_INFINITY;
        int best = -1;
        for (int id = 0; id < vocabulary; id++) {
            float scaled = (z[id] - max) / p.temperature();
            if (scaled >= least && (p.minP() == 0 || Math.exp((double) (z[id] - max) / p.temperature()) >= p.minP())) {
                float score = scaled + Gumbel.at(p.seed(), position, id);
                if (score > highest) {
                    highest = score;
                    best = id;
                }
            }
        }
        return best;
    }

    /** Fills {@code kept} with the tokens that top-k and top-p leave, most likely first, and returns how many; 0 if not finite. */
    private int keep(SamplingParams p) {
        if (anyNaN()) {
            return 0;
        }
        int count = p.topK() == 0 ? vocabulary : Math.min(p.topK(), vocabulary);
        boolean few = count <= FEW;
        if (few) {
            select(count);
        } else {
            heapify();
        }
        float max = z[few ? kept[0] : heap[0]];
        if (Float.isInfinite(max)) {
            return 0;
        }
        double total = 0;
        if (p.topK() == 0) {
            for (int id = 0; id < vocabulary; id++) {
                total += Math.exp((double) (z[id] - max) / p.temperature());
            }
        } else {
            for (int i = 0; i < count; i++) {
                if (!few) {
                    kept[i] = pop();
                }
                weigh(i, max, p.temperature());
                total += weight[i];
            }
        }
        double mass = 0;
        for (int i = 0; i < count; i++) {
            if (i > 0 && mass >= p.topP() * total) {
                return i;
            }
            if (p.topK() == 0) {
                if (!few) {
                    kept[i] = pop();
                }
                weigh(i, max, p.temperature());
            }
            mass += weight[i];
        }
        return count;
    }

    /** Fills {@code kept} with the most likely tokens in one pass: a token is rarely among the best so far, so few are moved. */
    private void select(int count) {
        float[] best = selected;
        int found = 0;
        for (int id = 0; id < vocabulary; id++) {
            float v = z[id];
            if (found == count && v <= best[count - 1]) {
                continue;
            }
            int i = found < count ? found++ : count - 1;
            for (; i > 0 && v > best[i - 1]; i--) {
                best[i] = best[i - 1];
                kept[i] = kept[i - 1];
            }
            best[i] = v;
            kept[i] = id;
        }
    }

    private void weigh(int i, float max, float temperature) {
        weight[i] = Math.exp((double) (z[kept[i]] - max) / temperature);
    }

    private int drawFrom(int count, SamplingParams p, int position) {
        float max = z[kept[0]];
        float highest = Float.NEGATIVE_INFINITY;
        int best = -1;
        for (int i = 0; i < count && weight[i] >= p.minP(); i++) {
            float score = (z[kept[i]] - max) / p.temperature() + Gumbel.at(p.seed(), position, kept[i]);
            if (score > highest || score == highest && kept[i] < best) {
                highest = score;
                best = kept[i];
            }
        }
        return best;
    }

    private void logProbabilities(int q, int alternatives) {
        StepResult result = step.result;
        float max = z[largest()];
        double sum = 0;
        for (int id = 0; id < vocabulary; id++) {
            sum += Math.exp((double) z[id] - max);
        }
        double log = max + Math.log(sum);
        result.logProbabilities[q] = (float) (z[result.ids[q]] - log);
        if (alternatives > 0) {
            heapify();
        }
        for (int i = 0; i < alternatives; i++) {
            int at = q * StepResult.MAX_ALTERNATIVES + i;
            int id = heapSize > 0 ? pop() : -1;
            result.alternativeIds[at] = id;
            result.alternativeLogProbabilities[at] = id < 0 ? Float.NEGATIVE_INFINITY : (float) (z[id] - log);
        }
    }

    // ---- a heap of token ids by falling logit, the lower id first among equals

    private boolean before(int a, int b) {
        return z[a] > z[b] || z[a] == z[b] && a < b;
    }

    /** Whether a logit is NaN, which has no place in a heap; by bits, so that the loop becomes a vector loop of no account. */
    private boolean anyNaN() {
        int signs = 0;
        for (int i = 0; i < vocabulary; i++) {
            signs |= INFINITY_BITS - (Float.floatToRawIntBits(z[i]) & Integer.MAX_VALUE);
        }
        return signs < 0;
    }

    private void heapify() {
        heapSize = vocabulary;
        for (int i = 0; i < vocabulary; i++) {
            heap[i] = i;
        }
        for (int i = vocabulary / 2 - 1; i >= 0; i--) {
            sink(i);
        }
    }

    private int pop() {
        int top = heap[0];
        heap[0] = heap[--heapSize];
        sink(0);
        return top;
    }

    private void sink(int i) {
        int id = heap[i];
        for (int child = 2 * i + 1; child < heapSize; child = 2 * i + 1) {
            if (child + 1 < heapSize && before(heap[child + 1], heap[child])) {
                child++;
            }
            if (!before(heap[child], id)) {
                break;
            }
            heap[i] = heap[child];
            i = child;
        }
        heap[i] = id;
    }
}
