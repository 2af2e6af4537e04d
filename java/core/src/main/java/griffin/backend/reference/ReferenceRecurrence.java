package griffin.backend.reference;

import griffin.backend.RgLruWeights;
import griffin.backend.TensorPart;
import griffin.backend.host.HostBuffer;
import griffin.backend.host.HostStep;
import griffin.backend.host.HostWeight;

/** The causal convolution and the RG-LRU, token by token. */
final class ReferenceRecurrence {

    private ReferenceRecurrence() {}

    static void causalConv(HostStep s, HostBuffer x, float[] taps, float[] bias, HostBuffer state, HostBuffer y) {
        int width = x.columns();
        int count = taps.length / width;
        int history = count - 1;
        for (int q = 0; q < s.sequenceCount; q++) {
            int start = s.rowStarts[q];
            int end = s.rowStarts[q + 1];
            for (int e = 0; e < width; e++) {
                for (int t = start; t < end; t++) {
                    double sum = bias[e];
                    for (int k = 0; k < count; k++) {
                        sum += taps[e * count + k] * past(s, x, state, q, history, t, history - k, e);
                    }
                    y.floats()[y.at(t) + e] = (float) sum;
                }
                float[] last = new float[history];
                for (int back = 0; back < history; back++) {
                    last[history - 1 - back] = past(s, x, state, q, history, end - 1, back, e);
                }
                for (int k = 0; k < history; k++) {
                    state.floats()[state.at(s.slots[q] * history + k) + e] = last[k];
                }
            }
        }
    }

    /** x at {@code back} rows before row t: from this step, from the state, or zero before position 0. */
    private static float past(HostStep s, HostBuffer x, HostBuffer state, int q, int history, int t, int back, int e) {
        if (back > s.positions[t]) {
            return 0;
        }
        int row = t - back;
        int start = s.rowStarts[q];
        return row >= start ? x.floats()[x.at(row) + e] : state.floats()[state.at(s.slots[q] * history + history - (start - row)) + e];
    }

    static void rgLru(HostStep s, HostBuffer x, RgLruWeights weights, HostBuffer state, HostBuffer y) {
        int width = x.columns();
        TensorPart[] gates = HostWeight.of(weights.gates()).parts();
        int block = gates[0].columns();
        float[] bias = HostWeight.of(weights.gateBias()).values();
        float[] decay = HostWeight.of(weights.decay()).values();
        float[] inputGate = new float[block * block];
        float[] recurrenceGate = new float[block * block];
        for (int head = 0; head < width / block; head++) {
            HostWeight.widen(gates[0], (long) head * block * block, block * block, inputGate, 0);
            HostWeight.widen(gates[1], (long) head * block * block, block * block, recurrenceGate, 0);
            for (int j = 0; j < block; j++) {
                int e = head * block + j;
                for (int q = 0; q < s.sequenceCount; q++) {
                    double h = state.floats()[state.at(s.slots[q]) + e];
                    for (int t = s.rowStarts[q]; t < s.rowStarts[q + 1]; t++) {
                        double i = sigmoid(column(x, t, head, block, inputGate, j) + bias[e]);
                        double r = sigmoid(column(x, t, head, block, recurrenceGate, j) + bias[width + e]);
                        double logA = decay[e] * r;
                        boolean reset = s.positions[t] == 0;
                        double a = reset ? 0 : Math.exp(logA);
                        double g = reset ? 1 : Math.sqrt(-Math.expm1(2 * logA));
                        h = (float) (a * h + g * i * x.floats()[x.at(t) + e]);
                        y.floats()[y.at(t) + e] = (float) h;
                    }
                    state.floats()[state.at(s.slots[q]) + e] = (float) h;
                }
            }
        }
    }

    /** sum_i x[t, head block, i] w[i, j]: the gate blocks are [in, out]. */
    private static double column(HostBuffer x, int t, int head, int block, float[] w, int j) {
        double sum = 0;
        for (int i = 0; i < block; i++) {
            sum += (double) x.floats()[x.at(t) + head * block + i] * w[i * block + j];
        }
        return sum;
    }

    private static double sigmoid(double v) {
        return 1 / (1 + Math.exp(-v));
    }
}
