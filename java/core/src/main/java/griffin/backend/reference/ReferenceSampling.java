package griffin.backend.reference;

import griffin.backend.StepResult;
import griffin.backend.host.HostBuffer;
import griffin.backend.host.HostStep;
import griffin.sampling.Gumbel;
import griffin.sampling.SamplingParams;
import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;

/** Sampling by sorting everything: the meaning of {@link SamplingParams}. */
final class ReferenceSampling {

    private ReferenceSampling() {}

    static void sample(HostStep s, HostBuffer logits, HostBuffer seen) {
        for (int m = 0; m < s.rowCount; m++) {
            int slot = s.slots[s.rowSequence[m]];
            seen.ints()[seen.at(slot) + (s.tokens[m] >>> 5)] |= 1 << s.tokens[m];
        }
        for (int q = 0; q < s.sequenceCount; q++) {
            int output = s.sampledOutputs[q];
            s.result.ids[q] = -1;
            s.result.logProbabilities[q] = Float.NaN;
            if (output >= 0) {
                int at = logits.at(output);
                float[] z = Arrays.copyOfRange(logits.floats(), at, at + logits.columns());
                int position = s.positions[s.rowStarts[q + 1] - 1] + 1;
                if (!finite(z)) {
                    s.result.setNotFinite(q);
                    continue;
                }
                s.result.ids[q] = choose(z.clone(), s.sampling[q], seen, s.slots[q], position);
                logProbabilities(z, s.sampling[q].logProbabilities(), s.result, q);
            }
        }
    }

    /** Whether a token can be chosen. */
    private static boolean finite(float[] z) {
        float max = Float.NEGATIVE_INFINITY;
        for (float v : z) {
            max = Math.max(max, v); // NaN if one of them is
        }
        return Float.isFinite(max);
    }

    private static int choose(float[] z, SamplingParams p, HostBuffer seen, int slot, int position) {
        for (int id = 0; id < z.length && p.repetitionPenalty() != 1; id++) {
            if ((seen.ints()[seen.at(slot) + (id >>> 5)] >>> id & 1) != 0) {
                z[id] = z[id] > 0 ? z[id] / p.repetitionPenalty() : z[id] * p.repetitionPenalty();
            }
        }
        int[] order = sorted(z);
        if (p.greedy()) {
            return order[0];
        }
        int count = p.topK() == 0 ? z.length : Math.min(p.topK(), z.length);
        double[] weight = new double[count];
        double total = 0;
        for (int i = 0; i < count; i++) {
            weight[i] = Math.exp((double) (z[order[i]] - z[order[0]]) / p.temperature());
            total += weight[i];
        }
        double mass = 0;
        int best = -1;
        float highest = Float.NEGATIVE_INFINITY;
        for (int i = 0; i < count && (i == 0 || mass < p.topP() * total) && weight[i] >= p.minP(); i++) {
            mass += weight[i];
            float score = (z[order[i]] - z[order[0]]) / p.temperature() + Gumbel.at(p.seed(), position, order[i]);
            if (score > highest || score == highest && order[i] < best) {
                highest = score;
                best = order[i];
            }
        }
        return best;
    }

    /** Token ids by falling logit, the lower id first among equals; zeros of both signs are equal, as 0.0 - z makes them. */
    private static int[] sorted(float[] z) {
        return IntStream.range(0, z.length).boxed().sorted(Comparator.<Integer>comparingDouble(i -> 0.0 - z[i]).thenComparing(i -> i))
                .mapToInt(i -> i).toArray();
    }

    private static void logProbabilities(float[] z, int alternatives, StepResult result, int q) {
        if (alternatives < 0) {
            return;
        }
        int[] order = sorted(z);
        double sum = 0;
        for (float v : z) {
            sum += Math.exp((double) v - z[order[0]]);
        }
        double log = z[order[0]] + Math.log(sum);
        result.logProbabilities[q] = (float) (z[result.ids[q]] - log);
        for (int i = 0; i < alternatives; i++) {
            int at = q * StepResult.MAX_ALTERNATIVES + i;
            result.alternativeIds[at] = i < z.length ? order[i] : -1;
            result.alternativeLogProbabilities[at] = i < z.length ? (float) (z[order[i]] - log) : Float.NEGATIVE_INFINITY;
        }
    }
}
