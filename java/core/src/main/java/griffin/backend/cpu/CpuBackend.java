package griffin.backend.cpu;

import griffin.backend.AttentionShape;
import griffin.backend.Buffer;
import griffin.backend.DeviceInfo;
import griffin.backend.MlpWeights;
import griffin.backend.RecurrenceWeights;
import griffin.backend.RgLruWeights;
import griffin.backend.Rows;
import griffin.backend.StateLayout;
import griffin.backend.Step;
import griffin.backend.TensorPart;
import griffin.backend.Weight;
import griffin.backend.host.HostBackend;
import griffin.backend.host.HostBuffer;
import griffin.backend.host.HostRows;
import griffin.backend.host.HostStep;
import griffin.backend.host.HostWeight;
import java.util.IdentityHashMap;
import java.util.Map;

/**
 * The CPU: bfloat16 weights read in place from the mapped file, float32 arithmetic and states, all cores. Its results are the same
 * bits for any number of threads, batch, chunk and vector width ({@link Kernels} says how).
 */
public final class CpuBackend extends HostBackend {

    /** With up to this many threads the warm-up gets the cores of the others. */
    private static final int FEW_CORES = 4;
    /** Tasks of a loop over many rows: a task costs two meetings of the threads. */
    private static final int PIECES_PER_THREAD = 4;

    final Workers workers;
    final Kernels kernels;
    private final String width;
    /** How often rows of x were to be laid side by side: {@link CpuLinear}. Written between two loops. */
    long layOuts;
    private float[] hidden = new float[0];
    /** Gate weights as float32 where they are stored otherwise, once for all programs. */
    private final Map<TensorPart, float[]> widened = new IdentityHashMap<>();

    /** All cores, the widest vectors. */
    public CpuBackend() {
        this(Runtime.getRuntime().availableProcessors());
    }

    /** @param threads how many threads work, the caller's included */
    public CpuBackend(int threads) {
        this(threads, KernelChoice.choose());
    }

    CpuBackend(int threads, KernelChoice choice) {
        workers = new Workers(threads);
        kernels = choice.kernels();
        width = choice.description();
    }

    @Override
    public DeviceInfo device() {
        return new DeviceInfo("cpu", workers.size() + (workers.size() == 1 ? " thread, " : " threads, ") + width,
                Runtime.getRuntime().maxMemory());
    }

    /**
     * Bytes of the Java heap that a model's runner needs beside its states and the workspace.
     *
     * @param heads     H, query heads and gate blocks
     * @param widest    columns of the widest weight of a product: the largest of D, E, F and H K
     * @param wideGates whether the gates' weights are not stored as bfloat16, so that they are widened once
     */
    public long heapBytes(StateLayout layout, int heads, int widest, boolean wideGates) {
        return CpuMemory.bytes(kernels, workers.size(), layout, heads, widest, wideGates);
    }

    /** What lies between the two products of an MLP, in lanes. */
    float[] hidden() {
        return hidden;
    }

    void reserveHidden(int floats) {
        if (hidden.length < floats) {
            hidden = new float[floats];
        }
    }

    float[] widened(TensorPart part) {
        return widened.computeIfAbsent(part, p -> {
            float[] values = new float[p.rows() * p.columns()];
            HostWeight.widen(p, 0, values.length, values, 0);
            return values;
        });
    }

    /**
     * Runs a loop on all threads, or on this one where that is cheaper: also during the warm-up of the vector kernels where cores are few,
     * since a team waits for its last member, and that one would wait for a core that the compiler has.
     */
    void run(int tasks, boolean inline, Workers.Task body) {
        if (inline || workers.size() <= FEW_CORES && AdaptiveKernels.warming()) {
            workers.runHere(tasks, body);
        } else {
            workers.run(tasks, body);
        }
    }

    /** A loop over live rows; {@code work} operations each. Of many rows a task takes several. */
    private void perRow(HostRows rows, long work, Workers.Task body) {
        emit(overRows(rows, work, body));
    }

    private Runnable overRows(HostRows rows, long work, Workers.Task body) {
        int pieces = PIECES_PER_THREAD * workers.size();
        Workers.Task few = (piece, scratch) -> {
            int count = rows.count();
            int tasks = Math.min(count, pieces);
            for (int m = (int) ((long) piece * count / tasks), end = (int) ((piece + 1L) * count / tasks); m < end; m++) {
                body.run(m, scratch);
            }
        };
        return () -> {
            int count = rows.count();
            run(Math.min(count, pieces), count * work < 1 << 14, few);
        };
    }

    @Override
    public void embed(Step step, Weight table, float scale, Buffer x) {
        HostStep s = HostStep.of(step);
        HostWeight w = HostWeight.of(table);
        HostBuffer out = HostBuffer.of(x);
        perRow(HostRows.of(step.rows()), out.columns(), (m, scratch) -> {
            int at = out.at(m);
            HostWeight.widen(w.parts()[0], (long) s.tokens[m] * out.columns(), out.columns(), out.floats(), at);
            for (int d = at; d < at + out.columns(); d++) {
                out.floats()[d] *= scale;
            }
        });
    }

    @Override
    public void addRmsNorm(Rows rows, Buffer residual, Buffer delta, Weight scale, float eps, Buffer out) {
        HostBuffer x = HostBuffer.of(residual);
        HostBuffer add = HostBuffer.of(delta); // null: nothing to add
        HostBuffer y = HostBuffer.of(out);
        float[] factor = HostWeight.of(scale).values();
        perRow(HostRows.of(rows), 4L * x.columns(), (m, scratch) -> {
            int at = x.at(m);
            int n = x.columns();
            if (add != null) {
                kernels.add(x.floats(), at, add.floats(), add.at(m), n);
            }
            float squares = kernels.dot(x.floats(), at, x.floats(), at, n, scratch.lanes);
            float norm = (float) (1 / Math.sqrt(squares / n + eps));
            kernels.scale(x.floats(), at, norm, factor, n, y.floats(), y.at(m));
        });
    }

    @Override
    public void linear(Rows rows, Buffer in, Weight w, Weight bias, Buffer out) {
        emit(product(rows, in, w, bias, out));
    }

    private Runnable product(Rows rows, Buffer in, Weight w, Weight bias, Buffer out) {
        float[] b = bias == null ? null : HostWeight.of(bias).values();
        return new CpuLinear(this, HostRows.of(rows), HostBuffer.of(in), HostWeight.of(w), b, 0, HostBuffer.of(out));
    }

    @Override
    public void gatedGelu(Rows rows, Buffer gate, Buffer up, Buffer out) {
        emit(gelu(rows, gate, up, out));
    }

    private Runnable gelu(Rows rows, Buffer gate, Buffer up, Buffer out) {
        HostBuffer g = HostBuffer.of(gate);
        HostBuffer u = HostBuffer.of(up);
        HostBuffer y = HostBuffer.of(out);
        return overRows(HostRows.of(rows), 2L * y.columns(),
                (m, scratch) -> kernels.gatedGelu(g.floats(), g.at(m), u.floats(), u.at(m), y.floats(), y.at(m), y.columns(),
                        scratch.lanes));
    }

    @Override
    public void gatedMlp(Rows rows, Buffer in, MlpWeights weights, Buffer gateAndUp, Buffer out) {
        if (!CpuGatedMlp.takes(kernels, weights)) {
            super.gatedMlp(rows, in, weights, gateAndUp, out);
            return;
        }
        int width = gateAndUp.columns() / 2;
        Buffer gate = gateAndUp.columns(0, width);
        Runnable first = product(rows, in, weights.gateAndUp(), weights.gateAndUpBias(), gateAndUp);
        Runnable gelu = gelu(rows, gate, gateAndUp.columns(width, width), gate);
        Runnable second = product(rows, gate, weights.down(), weights.downBias(), out);
        emit(new CpuGatedMlp(this, HostRows.of(rows), HostBuffer.of(in), weights, HostBuffer.of(out), () -> {
            first.run();
            gelu.run();
            second.run();
        }));
    }

    @Override
    public void causalConv(Step step, Buffer x, Weight taps, Weight bias, Buffer state, Buffer out) {
        emit(new CpuConv(this, HostStep.of(step), HostBuffer.of(x), HostWeight.of(taps).values(), HostWeight.of(bias).values(),
                HostBuffer.of(state), HostBuffer.of(out)));
    }

    @Override
    public void rgLru(Step step, Buffer x, RgLruWeights weights, Buffer state, Buffer out) {
        emit(new CpuRgLru(this, HostStep.of(step), HostBuffer.of(x), weights, HostBuffer.of(state), null, HostBuffer.of(out)));
    }

    @Override
    public void recurrence(Step step, Buffer xy, RecurrenceWeights weights, Buffer convState, Buffer state, Buffer conv, Buffer out) {
        int width = xy.columns() / 2;
        causalConv(step, xy.columns(0, width), weights.taps(), weights.convBias(), convState, conv);
        emit(new CpuRgLru(this, HostStep.of(step), HostBuffer.of(conv), weights.rgLru(), HostBuffer.of(state),
                HostBuffer.of(xy.columns(width, width)), HostBuffer.of(out)));
    }

    @Override
    public void rotate(Step step, AttentionShape shape, Buffer qkv) {
        HostStep s = HostStep.of(step);
        HostBuffer x = HostBuffer.of(qkv);
        float[] frequencies = new float[shape.rotaryDims() / 2];
        for (int i = 0; i < frequencies.length; i++) {
            frequencies[i] = shape.frequency(i);
        }
        perRow(HostRows.of(step.rows()), 64L * frequencies.length, (m, scratch) -> CpuAttention.rotate(s, shape, frequencies, x, m));
    }

    @Override
    public void windowAttention(Step step, AttentionShape shape, Buffer qkv, Buffer keys, Buffer values, Buffer out) {
        emit(new CpuAttention(this, HostStep.of(step), shape, HostBuffer.of(qkv), HostBuffer.of(keys), HostBuffer.of(values),
                HostBuffer.of(out)));
    }

    @Override
    public void logits(Rows rows, Buffer x, Weight table, float cap, Buffer out) {
        emit(new CpuLinear(this, HostRows.of(rows), HostBuffer.of(x), HostWeight.of(table), null, cap, HostBuffer.of(out)));
    }

    @Override
    public void sample(Step step, Buffer logits, Buffer seen) {
        emit(new CpuSampling(this, HostStep.of(step), HostBuffer.of(logits), HostBuffer.of(seen)));
    }

    @Override
    public void close() {
        workers.close();
    }
}
