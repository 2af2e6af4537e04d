package griffin.backend.reference;

import griffin.backend.AttentionShape;
import griffin.backend.Buffer;
import griffin.backend.DType;
import griffin.backend.DeviceInfo;
import griffin.backend.RgLruWeights;
import griffin.backend.Rows;
import griffin.backend.Step;
import griffin.backend.TensorPart;
import griffin.backend.Weight;
import griffin.backend.WeightRole;
import griffin.backend.host.HostBackend;
import griffin.backend.host.HostBuffer;
import griffin.backend.host.HostRows;
import griffin.backend.host.HostStep;
import griffin.backend.host.HostWeight;

/**
 * The executable specification: plain loops, float32 buffers and states, sums in float64. Everything else is tested against it.
 * With BF16 operands it rounds, to nearest even, the weights of products and whatever an operation writes into a BF16 buffer:
 * where a device that computes in bfloat16 rounds. Slow on purpose; {@code --device reference} runs it. Not final, so that tests can plant mistakes.
 */
public class ReferenceBackend extends HostBackend {

    private final DType operands;

    /** In float32. */
    public ReferenceBackend() {
        this(DType.F32);
    }

    /** @param operands F32 or BF16 */
    public ReferenceBackend(DType operands) {
        this.operands = operands;
    }

    @Override
    public DType operandType() {
        return operands;
    }

    @Override
    public Weight load(WeightRole role, TensorPart... parts) {
        boolean product = role == WeightRole.EMBEDDING || role == WeightRole.LINEAR || role == WeightRole.GATES;
        return super.load(role, operands == DType.BF16 && product ? ReferenceRounding.bfloat16(parts) : parts);
    }

    private void emit(HostBuffer out, Runnable operation) {
        emit(() -> {
            operation.run();
            out.round();
        });
    }

    @Override
    public DeviceInfo device() {
        return new DeviceInfo("reference", "plain Java loops, one thread" + (operands == DType.BF16 ? ", bf16 operands" : ""),
                Runtime.getRuntime().maxMemory());
    }

    @Override
    public void embed(Step step, Weight table, float scale, Buffer x) {
        HostStep s = HostStep.of(step);
        HostWeight w = HostWeight.of(table);
        HostBuffer out = HostBuffer.of(x);
        emit(out, () -> {
            for (int m = 0; m < s.rowCount; m++) {
                int at = out.at(m);
                HostWeight.widen(w.parts()[0], (long) s.tokens[m] * out.columns(), out.columns(), out.floats(), at);
                for (int d = 0; d < out.columns(); d++) {
                    out.floats()[at + d] *= scale;
                }
            }
        });
    }

    @Override
    public void addRmsNorm(Rows rows, Buffer residual, Buffer delta, Weight scale, float eps, Buffer out) {
        HostRows n = HostRows.of(rows);
        HostBuffer x = HostBuffer.of(residual);
        HostBuffer add = HostBuffer.of(delta); // null: nothing to add
        HostBuffer y = HostBuffer.of(out);
        float[] factor = HostWeight.of(scale).values();
        emit(y, () -> {
            for (int m = 0; m < n.count(); m++) {
                double squares = 0;
                for (int d = 0; d < x.columns(); d++) {
                    if (add != null) {
                        x.floats()[x.at(m) + d] += add.floats()[add.at(m) + d];
                    }
                    float v = x.floats()[x.at(m) + d];
                    squares += (double) v * v;
                }
                double norm = 1 / Math.sqrt(squares / x.columns() + eps);
                for (int d = 0; d < x.columns(); d++) {
                    y.floats()[y.at(m) + d] = (float) (x.floats()[x.at(m) + d] * norm * factor[d]);
                }
            }
        });
    }

    @Override
    public void linear(Rows rows, Buffer in, Weight w, Weight bias, Buffer out) {
        HostRows n = HostRows.of(rows);
        HostBuffer x = HostBuffer.of(in);
        HostBuffer y = HostBuffer.of(out);
        float[] b = bias == null ? null : HostWeight.of(bias).values();
        emit(y, () -> ReferenceLinear.multiply(n.count(), x, HostWeight.of(w), b, y));
    }

    @Override
    public void gatedGelu(Rows rows, Buffer gate, Buffer up, Buffer out) {
        HostRows n = HostRows.of(rows);
        HostBuffer g = HostBuffer.of(gate);
        HostBuffer u = HostBuffer.of(up);
        HostBuffer y = HostBuffer.of(out);
        emit(y, () -> {
            for (int m = 0; m < n.count(); m++) {
                for (int f = 0; f < y.columns(); f++) {
                    y.floats()[y.at(m) + f] = (float) (gelu(g.floats()[g.at(m) + f]) * u.floats()[u.at(m) + f]);
                }
            }
        });
    }

    /** 0.5 v (1 + tanh(sqrt(2/pi) (v + 0.044715 v^3))). */
    protected double gelu(double v) {
        return 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v * v * v)));
    }

    @Override
    public void causalConv(Step step, Buffer x, Weight taps, Weight bias, Buffer state, Buffer out) {
        HostStep s = HostStep.of(step);
        HostBuffer in = HostBuffer.of(x);
        HostBuffer y = HostBuffer.of(out);
        HostBuffer history = HostBuffer.of(state);
        float[] w = HostWeight.of(taps).values();
        float[] b = HostWeight.of(bias).values();
        emit(y, () -> {
            ReferenceRecurrence.causalConv(s, in, w, b, history, y);
            history.round();
        });
    }

    @Override
    public void rgLru(Step step, Buffer x, RgLruWeights weights, Buffer state, Buffer out) {
        HostStep s = HostStep.of(step);
        HostBuffer in = HostBuffer.of(x);
        HostBuffer h = HostBuffer.of(state);
        HostBuffer y = HostBuffer.of(out);
        emit(y, () -> ReferenceRecurrence.rgLru(s, in, weights, h, y));
    }

    @Override
    public void rotate(Step step, AttentionShape shape, Buffer qkv) {
        HostStep s = HostStep.of(step);
        HostBuffer x = HostBuffer.of(qkv);
        emit(x, () -> ReferenceAttention.rotate(s, shape, x));
    }

    @Override
    public void windowAttention(Step step, AttentionShape shape, Buffer qkv, Buffer keys, Buffer values, Buffer out) {
        HostStep s = HostStep.of(step);
        HostBuffer x = HostBuffer.of(qkv);
        HostBuffer k = HostBuffer.of(keys);
        HostBuffer v = HostBuffer.of(values);
        HostBuffer y = HostBuffer.of(out);
        emit(y, () -> ReferenceAttention.windowAttention(s, shape, x, k, v, y));
    }

    @Override
    public void logits(Rows rows, Buffer x, Weight table, float cap, Buffer out) {
        HostRows n = HostRows.of(rows);
        HostBuffer in = HostBuffer.of(x);
        HostBuffer y = HostBuffer.of(out);
        emit(() -> {
            ReferenceLinear.multiply(n.count(), in, HostWeight.of(table), null, y);
            for (int m = 0; m < n.count() && cap > 0; m++) {
                for (int v = 0; v < y.columns(); v++) {
                    y.floats()[y.at(m) + v] = (float) (cap * Math.tanh(y.floats()[y.at(m) + v] / cap));
                }
            }
        });
    }

    @Override
    public void sample(Step step, Buffer logits, Buffer seen) {
        HostStep s = HostStep.of(step);
        HostBuffer z = HostBuffer.of(logits);
        HostBuffer bits = HostBuffer.of(seen);
        emit(() -> ReferenceSampling.sample(s, z, bits));
    }
}
