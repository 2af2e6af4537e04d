package griffin.backend.reference;

import griffin.backend.AttentionShape;
import griffin.backend.host.HostBuffer;
import griffin.backend.host.HostStep;
import java.util.Arrays;

/** Rotary embedding and local attention, key by key. */
final class ReferenceAttention {

    private ReferenceAttention() {}

    static void rotate(HostStep s, AttentionShape shape, HostBuffer x) {
        int half = shape.rotaryDims() / 2;
        for (int m = 0; m < s.rowCount; m++) {
            for (int i = 0; i < half; i++) {
                float angle = s.positions[m] * shape.frequency(i);
                float cos = (float) Math.cos(angle);
                float sin = (float) Math.sin(angle);
                for (int head = 0; head <= shape.heads(); head++) { // the last one is the key
                    int at = x.at(m) + head * shape.headDim() + i;
                    float a = x.floats()[at];
                    float b = x.floats()[at + half];
                    x.floats()[at] = a * cos - b * sin;
                    x.floats()[at + half] = b * cos + a * sin;
                }
            }
        }
    }

    static void windowAttention(HostStep s, AttentionShape shape, HostBuffer qkv, HostBuffer keys, HostBuffer values, HostBuffer y) {
        int dim = shape.headDim();
        double[] scores = new double[shape.window() + 1];
        double[] sum = new double[dim];
        for (int m = 0; m < s.rowCount; m++) {
            int position = s.positions[m];
            int oldest = Math.max(0, position - shape.window());
            int count = position - oldest + 1;
            for (int head = 0; head < shape.heads(); head++) {
                int q = qkv.at(m) + head * dim;
                double max = Double.NEGATIVE_INFINITY;
                for (int j = 0; j < count; j++) {
                    Source k = source(s, shape, qkv, keys, m, oldest + j, shape.heads());
                    double dot = 0;
                    for (int d = 0; d < dim; d++) {
                        dot += (double) qkv.floats()[q + d] * k.array[k.at + d];
                    }
                    scores[j] = dot / Math.sqrt(dim);
                    max = Math.max(max, scores[j]);
                }
                double total = 0;
                Arrays.fill(sum, 0);
                for (int j = 0; j < count; j++) {
                    double p = Math.exp(scores[j] - max);
                    total += p;
                    Source v = source(s, shape, qkv, values, m, oldest + j, shape.heads() + 1);
                    for (int d = 0; d < dim; d++) {
                        sum[d] += p * v.array[v.at + d];
                    }
                }
                for (int d = 0; d < dim; d++) {
                    y.floats()[y.at(m) + head * dim + d] = (float) (sum[d] / total);
                }
            }
        }
    }

    private record Source(float[] array, int at) {}

    /** Where the key or value of a position of row m's document is: in this step's rows, or in the ring. */
    private static Source source(HostStep s, AttentionShape shape, HostBuffer qkv, HostBuffer ring, int m, int position, int part) {
        int row = m - (s.positions[m] - position);
        int sequence = s.rowSequence[m];
        if (row >= s.rowStarts[sequence]) {
            return new Source(qkv.floats(), qkv.at(row) + part * shape.headDim());
        }
        return new Source(ring.floats(), ring.at(s.slots[sequence] * shape.window() + position % shape.window()));
    }
}
