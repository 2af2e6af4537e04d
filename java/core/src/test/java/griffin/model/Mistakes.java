package griffin.model;

import griffin.backend.AttentionShape;
import griffin.backend.Buffer;
import griffin.backend.DType;
import griffin.backend.RgLruWeights;
import griffin.backend.Rows;
import griffin.backend.Step;
import griffin.backend.TensorPart;
import griffin.backend.Weight;
import griffin.backend.WeightRole;
import griffin.backend.host.HostBuffer;
import griffin.backend.host.HostStep;
import griffin.backend.host.HostWeight;
import griffin.backend.reference.ReferenceBackend;
import griffin.weights.BFloat16;
import java.lang.foreign.MemorySegment;
import java.util.function.IntUnaryOperator;

/** The reference backend with a mistake planted in it, named as in {@link NegativeControlsTest}. */
final class Mistakes extends ReferenceBackend {

    private final String mistake;
    private WeightRole previous;

    Mistakes(String mistake) {
        this.mistake = mistake;
    }

    private boolean is(String name) {
        return mistake.equals(name);
    }

    // ---- weights

    @Override
    public Weight load(WeightRole role, TensorPart... parts) {
        boolean afterTaps = previous == WeightRole.CONV_TAPS;
        previous = role;
        boolean gateBias = role == WeightRole.BIAS && parts.length == 2 && parts[0].rows() > 1;
        boolean branchBias = role == WeightRole.BIAS && parts.length == 2 && parts[0].rows() == 1;
        boolean outputBias = role == WeightRole.BIAS && parts.length == 1 && !afterTaps;
        int columns = parts[0].columns();
        if (role == WeightRole.GATES && is("gate blocks transposed")) {
            return super.load(role, moved(parts[0], i -> transposed(i, columns)), moved(parts[1], i -> transposed(i, columns)));
        }
        if ((role == WeightRole.GATES || gateBias) && is("the two gates swapped")
                || (branchBias || role == WeightRole.LINEAR && parts.length == 2) && is("gelu on the other branch")) {
            return super.load(role, parts[1], parts[0]);
        }
        if (gateBias && is("no gate bias") || afterTaps && is("no convolution bias") || branchBias && is("no bias before the branches")
                || outputBias && is("no bias after the branches")) {
            return super.load(role, java.util.Arrays.stream(parts).map(part -> affine(part, 0, 0)).toArray(TensorPart[]::new));
        }
        if (role == WeightRole.DECAY && is("sign of recurrent_param")) {
            return super.load(role, affine(parts[0], -1, 0));
        }
        if (role == WeightRole.NORM && is("RMSNorm without 1 + w")) {
            return super.load(role, affine(parts[0], 1, -1));
        }
        if (role == WeightRole.CONV_TAPS && is("convolution taps reversed")) {
            return super.load(role, moved(parts[0], i -> i / columns * columns + columns - 1 - i % columns));
        }
        return super.load(role, parts);
    }

    private static int transposed(int i, int width) {
        int block = i / (width * width);
        return (block * width + i % width) * width + i / width % width;
    }

    private static float[] values(TensorPart part) {
        float[] out = new float[part.rows() * part.columns()];
        HostWeight.widen(part, 0, out.length, out, 0);
        return out;
    }

    private static TensorPart affine(TensorPart part, float factor, float shift) {
        float[] w = values(part);
        for (int i = 0; i < w.length; i++) {
            w[i] = factor * w[i] + shift;
        }
        return new TensorPart(DType.F32, part.rows(), part.columns(), MemorySegment.ofArray(w));
    }

    private static TensorPart moved(TensorPart part, IntUnaryOperator from) {
        float[] w = values(part);
        float[] out = new float[w.length];
        for (int i = 0; i < w.length; i++) {
            out[i] = w[from.applyAsInt(i)];
        }
        return new TensorPart(DType.F32, part.rows(), part.columns(), MemorySegment.ofArray(out));
    }

    // ---- operations

    @Override
    public void embed(Step step, Weight table, float scale, Buffer x) {
        super.embed(step, table, is("embedding scale not rounded to bfloat16") ? (float) Math.sqrt(x.columns()) : scale, x);
    }

    @Override
    public void addRmsNorm(Rows rows, Buffer residual, Buffer delta, Weight scale, float eps, Buffer out) {
        super.addRmsNorm(rows, residual, delta, scale, is("RMSNorm eps 1e-5") ? 1e-5f : eps, out);
    }

    @Override
    protected double gelu(double v) {
        if (is("exact (erf) GELU")) {
            double sum = 0;
            double x = Math.clamp(v / Math.sqrt(2), -6, 6);
            for (int i = 0; i < 2000; i++) { // erf by the midpoint rule
                double t = (i + 0.5) / 2000 * x;
                sum += Math.exp(-t * t);
            }
            return 0.5 * v * (1 + 2 / Math.sqrt(Math.PI) * sum * x / 2000);
        }
        return super.gelu(v);
    }

    @Override
    public void causalConv(Step step, Buffer x, Weight taps, Weight bias, Buffer state, Buffer out) {
        HostStep s = HostStep.of(step);
        int[] kept = new int[step.maxRows()];
        if (is("convolution leaks across documents")) {
            renumber(s, kept);
        }
        super.causalConv(step, x, taps, bias, state, out);
        if (is("convolution leaks across documents")) {
            restore(s, kept);
        }
        if (is("SiLU after the convolution")) {
            HostBuffer y = HostBuffer.of(out);
            emit(() -> {
                for (int i = 0; i < s.rowCount * y.columns(); i++) {
                    int at = y.at(i / y.columns()) + i % y.columns();
                    y.floats()[at] /= (float) (1 + Math.exp(-y.floats()[at]));
                }
            });
        }
    }

    /** Positions that count on over the documents of a sequence. */
    private void renumber(HostStep s, int[] kept) {
        emit(() -> {
            System.arraycopy(s.positions, 0, kept, 0, s.rowCount);
            for (int row = 1; row < s.rowCount; row++) {
                s.positions[row] = s.positions[row - 1] + 1;
            }
        });
    }

    private void restore(HostStep s, int[] kept) {
        emit(() -> System.arraycopy(kept, 0, s.positions, 0, s.rowCount));
    }

    @Override
    public void rgLru(Step step, Buffer x, RgLruWeights weights, Buffer state, Buffer out) {
        if (!java.util.List.of("g = 1 missing at position 0", "no input normaliser", "state rounded to bfloat16",
                "a rounded to bfloat16", "state kept across documents", "no mistake, but an RG-LRU of its own").contains(mistake)) {
            super.rgLru(step, x, weights, state, out);
            return;
        }
        HostStep s = HostStep.of(step);
        emit(() -> wrongRgLru(s, HostBuffer.of(x), weights, HostBuffer.of(state), HostBuffer.of(out)));
    }

    private void wrongRgLru(HostStep s, HostBuffer x, RgLruWeights weights, HostBuffer state, HostBuffer y) {
        TensorPart[] parts = HostWeight.of(weights.gates()).parts();
        float[][] gates = {values(parts[0]), values(parts[1])};
        float[] bias = HostWeight.of(weights.gateBias()).values();
        float[] decay = HostWeight.of(weights.decay()).values();
        int block = parts[0].columns();
        for (int q = 0; q < s.sequenceCount; q++) {
            for (int e = 0; e < x.columns(); e++) {
                double h = state.floats()[state.at(s.slots[q]) + e];
                for (int t = s.rowStarts[q]; t < s.rowStarts[q + 1]; t++) {
                    double[] z = {bias[e], bias[x.columns() + e]};
                    for (int i = 0; i < 2 * block; i++) {
                        int row = e / block * block + i % block;
                        z[i / block] += (double) x.floats()[x.at(t) + row] * gates[i / block][row * block + e % block];
                    }
                    boolean reset = s.positions[t] == 0;
                    double logA = decay[e] / (1 + Math.exp(-z[1]));
                    double a = Math.exp(logA);
                    double g = Math.sqrt(-Math.expm1(2 * logA));
                    if (is("a rounded to bfloat16")) {
                        a = BFloat16.round((float) a);
                        g = Math.sqrt(Math.max(0, 1 - a * a));
                    }
                    g = is("no input normaliser") || reset && !is("g = 1 missing at position 0") ? 1 : g;
                    a = reset && !is("state kept across documents") ? 0 : a;
                    h = (float) (a * h + g / (1 + Math.exp(-z[0])) * x.floats()[x.at(t) + e]);
                    h = is("state rounded to bfloat16") ? BFloat16.round((float) h) : h;
                    y.floats()[y.at(t) + e] = (float) h;
                }
                state.floats()[state.at(s.slots[q]) + e] = (float) h;
            }
        }
    }

    @Override
    public void rotate(Step step, AttentionShape shape, Buffer qkv) {
        HostStep s = HostStep.of(step);
        HostBuffer x = HostBuffer.of(qkv);
        int half = shape.rotaryDims() / 2;
        switch (mistake) {
            case "RoPE on the second half" -> emit(() -> turn(s, shape, x, i -> shape.headDim() - 2 * half + i, half, Integer.MAX_VALUE));
            case "RoPE interleaved pairs" -> emit(() -> turn(s, shape, x, i -> 2 * i, 1, Integer.MAX_VALUE));
            case "positions wrapped at W" -> emit(() -> turn(s, shape, x, i -> i, half, shape.window()));
            default -> super.rotate(step, shape, qkv);
        }
        if (is("no score scale")) {
            emit(() -> {
                for (int i = 0; i < s.rowCount * shape.heads() * shape.headDim(); i++) {
                    int width = shape.heads() * shape.headDim();
                    x.floats()[x.at(i / width) + i % width] *= (float) Math.sqrt(shape.headDim());
                }
            });
        }
    }

    private static void turn(HostStep s, AttentionShape shape, HostBuffer x, IntUnaryOperator first, int apart, int modulus) {
        for (int m = 0; m < s.rowCount; m++) {
            for (int head = 0; head <= shape.heads(); head++) {
                for (int i = 0; i < shape.rotaryDims() / 2; i++) {
                    double angle = s.positions[m] % modulus * shape.frequency(i);
                    int at = x.at(m) + head * shape.headDim() + first.applyAsInt(i);
                    double a = x.floats()[at];
                    double b = x.floats()[at + apart];
                    x.floats()[at] = (float) (a * Math.cos(angle) - b * Math.sin(angle));
                    x.floats()[at + apart] = (float) (b * Math.cos(angle) + a * Math.sin(angle));
                }
            }
        }
    }

    @Override
    public void attention(Step step, AttentionShape shape, Buffer qkv, Buffer keys, Buffer values, Buffer out) {
        rotate(step, shape, qkv);
        if (is("keys stored before attention in a ring of W")) {
            storeKeys(step, shape, qkv, keys, values);
        }
        int[] kept = new int[step.maxRows()];
        if (is("attention leaks across documents")) {
            renumber(HostStep.of(step), kept);
        }
        windowAttention(step, shape, qkv, keys, values, out);
        if (is("attention leaks across documents")) {
            restore(HostStep.of(step), kept);
        }
        if (is("an all-zero key visible until the window is full")) {
            HostStep s = HostStep.of(step);
            emit(() -> dilute(s, shape, HostBuffer.of(qkv), HostBuffer.of(out)));
        }
        storeKeys(step, shape, qkv, keys, values);
    }

    /** What one more key of score 0 and value 0 does to a one-shot step: total / (total + 1) of everything. */
    private static void dilute(HostStep s, AttentionShape shape, HostBuffer qkv, HostBuffer out) {
        int dim = shape.headDim();
        for (int m = 0; m < s.rowCount && s.positions[m] < shape.window(); m++) {
            for (int head = 0; head < shape.heads(); head++) {
                double total = 0;
                for (int j = 0; j <= m; j++) {
                    double dot = 0;
                    for (int d = 0; d < dim; d++) {
                        dot += (double) qkv.floats()[qkv.at(m) + head * dim + d] * qkv.floats()[qkv.at(j) + shape.heads() * dim + d];
                    }
                    total += Math.exp(dot / Math.sqrt(dim));
                }
                for (int d = 0; d < dim; d++) {
                    out.floats()[out.at(m) + head * dim + d] *= (float) (total / (total + 1));
                }
            }
        }
    }
}
