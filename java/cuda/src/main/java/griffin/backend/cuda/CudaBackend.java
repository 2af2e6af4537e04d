package griffin.backend.cuda;

import griffin.backend.AttentionShape;
import griffin.backend.Backend;
import griffin.backend.Buffer;
import griffin.backend.DType;
import griffin.backend.DeviceInfo;
import griffin.backend.MemoryNeed;
import griffin.backend.MlpWeights;
import griffin.backend.Program;
import griffin.backend.RecurrenceWeights;
import griffin.backend.RgLruWeights;
import griffin.backend.Rows;
import griffin.backend.StateBuffers;
import griffin.backend.StateLayout;
import griffin.backend.Step;
import griffin.backend.StepPlan;
import griffin.backend.StepResult;
import griffin.backend.TensorPart;
import griffin.backend.Weight;
import griffin.backend.WeightRole;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** Griffin's operations on one NVIDIA GPU. Operations become records; {@link Lowering} knows the kernels, {@link CudaProgram} runs them. */
final class CudaBackend implements Backend {

    private static final int CHUNK = 2048;
    /**
     * Where much memory is free: 600 MB of buffers (2B), and the blocks of the attention of 10 heads fill five rounds of an H100's multiprocessors
     * instead of leaving most of them idle in the second of two.
     */
    private static final int LARGE_CHUNK = 8192;
    private static final long LARGE_MEMORY = 40L << 30;
    /** Short prompts, whose time the first of its kind would show in: see {@link Extent#padded}. */
    private static final int[] WARM_UP_ROWS = {64, 128, 256};

    private final CudaContext context;
    private final CudaMemory memory;
    private final CudaKernels kernels;
    private final Stagings stagings;
    private final CudaUpload upload;
    private final CudaStates states;
    private final CublasLtProducts products;
    final Lowering lowering;
    private final CudaSettings settings;
    private final DType operands;
    private final Statistics statistics = new Statistics();
    final List<CudaProgram> programs = new ArrayList<>();
    private final CudaStep[] runSteps = new CudaStep[RESULT_DEPTH];
    private final int[] runNumbers = new int[RESULT_DEPTH];
    private List<Operation> recording;
    private long tickets;
    private final int chunk;
    private boolean closed;

    /**
     * @param index    which device
     * @param operands BF16 or F32
     * @param notices  is told once when cuBLASLt is absent
     */
    CudaBackend(int index, DType operands, CudaSettings settings, Consumer<String> notices) {
        this.operands = operands;
        this.settings = settings;
        context = new CudaContext(CudaDriver.require(index), settings.overlap());
        memory = new CudaMemory(context);
        Stagings pinned = null;
        CudaKernels loaded = null;
        CublasLtProducts library = null;
        try {
            pinned = new Stagings(context, memory); // while kernels are loaded
            loaded = new CudaKernels(settings.kernels());
            String missing = settings.cublas() ? CublasLtProducts.missing() : null;
            if (missing != null) {
                notices.accept(
                        "cuBLASLt was not found (" + missing + "): prompts and large batches run on Griffin's own matrix kernels, which "
                                + "are slower; install the CUDA 13 libraries (libcublas) or name the file in GRIFFIN_CUBLASLT_LIBRARY");
            }
            library = settings.cublas() && missing == null ? new CublasLtProducts(context, memory, operands, notices) : null;
            stagings = pinned;
            kernels = loaded;
            products = library;
            chunk = context.freeMemory() >= LARGE_MEMORY ? LARGE_CHUNK : CHUNK;
            upload = new CudaUpload(context, memory, stagings, kernels, operands);
            states = new CudaStates(context, memory, kernels, operands);
            lowering = new Lowering(context, kernels, memory, operands, products, settings);
        } catch (Throwable e) {
            try {
                giveBack(pinned, library, loaded);
            } catch (Throwable other) {
                e.addSuppressed(other);
            }
            throw e;
        }
    }

    /** Gives all memory and the context back, and these where they are not null. */
    private void giveBack(Stagings pinned, CublasLtProducts library, CudaKernels loaded) {
        try {
            if (pinned != null) {
                pinned.close();
            }
        } finally {
            if (library != null) {
                library.close();
            }
            if (loaded != null) {
                loaded.close();
            }
            memory.close();
            context.close();
        }
    }

    @Override
    public DeviceInfo device() {
        return new DeviceInfo("cuda", context.device.name() + " (cuda:" + context.device.index() + ", " + CudaUpload.word(operands) + ")",
                context.device.memory());
    }

    @Override
    public DType operandType() {
        return operands;
    }

    @Override
    public int[] warmUpRows() {
        return WARM_UP_ROWS.clone();
    }

    @Override
    public int defaultChunk() {
        return chunk;
    }

    @Override
    public void requireMemory(MemoryNeed need) {
        context.enter();
        MemoryPlan.require(need, operands, "cuda:" + context.device.index() + " (" + context.device.name() + ")", context.freeMemory(),
                context.device.memory());
        long roundedBiases = operands == DType.BF16 ? operands.bytes() * need.otherWeights() : 0;
        memory.expectWeights(need.weightBytes(operands) + roundedBiases);
    }

    @Override
    public Map<String, String> statistics(double tokensPerSecond) {
        context.enter();
        return statistics.of(context, memory, lowering, tokensPerSecond);
    }

    // ---- memory

    @Override
    public Weight load(WeightRole role, TensorPart... parts) {
        context.enter();
        CudaWeight weight = upload.load(role, parts);
        statistics.loaded(weight);
        return weight;
    }

    @Override
    public Buffer allocate(DType type, int rows, int columns) {
        context.enter();
        long bytes = Math.multiplyExact((long) rows * columns, type.bytes());
        return new CudaBuffer(type, memory.allocate(bytes, "a buffer"), columns, rows, columns);
    }

    @Override
    public void write(Buffer target, MemorySegment source) {
        context.enter();
        memory.write(CudaBuffer.of(target), source);
    }

    @Override
    public void read(Buffer source, MemorySegment target) {
        context.enter();
        memory.read(CudaBuffer.of(source), target);
    }

    @Override
    public StateBuffers allocateStates(StateLayout layout, int slots) {
        context.enter();
        return states.allocate(layout, slots);
    }

    @Override
    public void copySlot(StateBuffers buffers, int from, int to) {
        context.enter();
        states.copy(buffers, from, to);
    }

    @Override
    public void exportSlot(StateBuffers buffers, int slot, MemorySegment out) {
        context.enter();
        states.exportSlot(buffers, slot, out);
    }

    @Override
    public void importSlot(StateBuffers buffers, int slot, MemorySegment in) {
        context.enter();
        states.importSlot(buffers, slot, in);
    }

    @Override
    public void clearSlot(StateBuffers buffers, int slot) {
        context.enter();
        states.clear(buffers, slot);
    }

    // ---- operations

    /** Keeps the operation for the program that is being recorded, or runs it now. */
    private void emit(CudaStep step, Operation operation) {
        if (recording != null) {
            recording.add(operation);
        } else {
            context.enter();
            stagings.finish();
            lowering.lower(operation).issue(step.extent(new Extent()));
        }
    }

    @Override
    public void embed(Step step, Weight table, float scale, Buffer x) {
        statistics.embedded(CudaWeight.of(table));
        emit(CudaStep.of(step), new Operation.Embed(CudaStep.of(step), CudaWeight.of(table), scale, CudaBuffer.of(x)));
    }

    @Override
    public void addRmsNorm(Rows rows, Buffer residual, Buffer delta, Weight scale, float eps, Buffer out) {
        CudaRows r = CudaRows.of(rows);
        emit(r.step(), new Operation.AddRmsNorm(r, CudaBuffer.of(residual), CudaBuffer.of(delta), CudaWeight.of(scale), eps,
                CudaBuffer.of(out)));
    }

    @Override
    public void linear(Rows rows, Buffer in, Weight w, Weight bias, Buffer out) {
        CudaRows r = CudaRows.of(rows);
        emit(r.step(), new Operation.Linear(r, CudaBuffer.of(in), CudaWeight.of(w), CudaWeight.of(bias), CudaBuffer.of(out)));
    }

    @Override
    public void gatedGelu(Rows rows, Buffer gate, Buffer up, Buffer out) {
        CudaRows r = CudaRows.of(rows);
        emit(r.step(), new Operation.GatedGelu(r, CudaBuffer.of(gate), CudaBuffer.of(up), CudaBuffer.of(out)));
    }

    @Override
    public void causalConv(Step step, Buffer x, Weight taps, Weight bias, Buffer state, Buffer out) {
        CudaStep s = CudaStep.of(step);
        emit(s, new Operation.CausalConv(s, CudaBuffer.of(x), CudaWeight.of(taps), CudaWeight.of(bias), CudaBuffer.of(state),
                CudaBuffer.of(out)));
    }

    @Override
    public void rgLru(Step step, Buffer x, RgLruWeights weights, Buffer state, Buffer out) {
        CudaStep s = CudaStep.of(step);
        emit(s, new Operation.RgLru(s, CudaBuffer.of(x), weights, CudaBuffer.of(state), CudaBuffer.of(out)));
    }

    @Override
    public void rotate(Step step, AttentionShape shape, Buffer qkv) {
        emit(CudaStep.of(step), new Operation.Rotate(CudaStep.of(step), shape, CudaBuffer.of(qkv)));
    }

    @Override
    public void windowAttention(Step step, AttentionShape shape, Buffer qkv, Buffer keys, Buffer values, Buffer out) {
        CudaStep s = CudaStep.of(step);
        emit(s, new Operation.WindowAttention(s, shape, CudaBuffer.of(qkv), CudaBuffer.of(keys), CudaBuffer.of(values),
                CudaBuffer.of(out)));
    }

    @Override
    public void storeKeys(Step step, AttentionShape shape, Buffer qkv, Buffer keys, Buffer values) {
        CudaStep s = CudaStep.of(step);
        emit(s, new Operation.StoreKeys(s, shape, CudaBuffer.of(qkv), CudaBuffer.of(keys), CudaBuffer.of(values)));
    }

    @Override
    public void selectRows(Step step, Buffer in, Buffer out) {
        emit(CudaStep.of(step), new Operation.SelectRows(CudaStep.of(step), CudaBuffer.of(in), CudaBuffer.of(out)));
    }

    @Override
    public void logits(Rows rows, Buffer x, Weight table, float cap, Buffer out) {
        CudaRows r = CudaRows.of(rows);
        statistics.multiplied(CudaWeight.of(table));
        emit(r.step(), new Operation.Logits(r, CudaBuffer.of(x), CudaWeight.of(table), cap, CudaBuffer.of(out)));
    }

    @Override
    public void sample(Step step, Buffer logits, Buffer seen) {
        emit(CudaStep.of(step), new Operation.Sample(CudaStep.of(step), CudaBuffer.of(logits), CudaBuffer.of(seen)));
    }

    @Override
    public void advance(Step step) {
        emit(CudaStep.of(step), new Operation.Advance(CudaStep.of(step)));
    }

    @Override
    public void recurrence(Step step, Buffer xy, RecurrenceWeights weights, Buffer convState, Buffer state, Buffer conv, Buffer out) {
        CudaStep s = CudaStep.of(step);
        emit(s, new Operation.Recurrence(s, CudaBuffer.of(xy), weights, CudaBuffer.of(convState), CudaBuffer.of(state), CudaBuffer.of(conv),
                CudaBuffer.of(out)));
    }

    @Override
    public void gatedMlp(Rows rows, Buffer in, MlpWeights weights, Buffer gateAndUp, Buffer out) {
        CudaRows r = CudaRows.of(rows);
        emit(r.step(), new Operation.GatedMlp(r, CudaBuffer.of(in), weights, CudaBuffer.of(gateAndUp), CudaBuffer.of(out)));
    }

    @Override
    public void attention(Step step, AttentionShape shape, Buffer qkv, Buffer keys, Buffer values, Buffer out) {
        CudaStep s = CudaStep.of(step);
        emit(s, new Operation.Attention(s, shape, CudaBuffer.of(qkv), CudaBuffer.of(keys), CudaBuffer.of(values), CudaBuffer.of(out)));
    }

    // ---- execution

    @Override
    public Step allocateStep(int maxRows, int maxSequences, int scrapSlot) {
        context.enter();
        stagings.release();
        return new CudaStep(context, memory, maxRows, maxSequences, scrapSlot);
    }

    @Override
    public void submit(Step step, StepPlan plan) {
        context.enter();
        CudaStep.of(step).submit(plan);
    }

    @Override
    public Program record(Step step, Runnable operations) {
        context.enter();
        List<Operation> list = new ArrayList<>();
        recording = list;
        try {
            operations.run();
        } finally {
            recording = null;
        }
        CudaProgram program = new CudaProgram(lowering, settings, CudaStep.of(step), list);
        programs.add(program);
        return program;
    }

    @Override
    public long run(Program program) {
        context.enter();
        stagings.finish();
        CudaProgram p = CudaProgram.of(program);
        int at = (int) (tickets % RESULT_DEPTH);
        runNumbers[at] = p.run();
        runSteps[at] = p.step();
        return tickets++;
    }

    @Override
    public void await(long ticket, StepResult into) {
        if (ticket < 0 || ticket >= tickets || ticket < tickets - RESULT_DEPTH) {
            throw new IllegalArgumentException("run " + ticket + " is not among the last " + RESULT_DEPTH + " of " + tickets);
        }
        int at = (int) (ticket % RESULT_DEPTH);
        runSteps[at].await(runNumbers[at], into);
    }

    @Override
    public void cancel(Step step, int sequence) {
        CudaStep.of(step).cancel(sequence);
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        try {
            context.enter();
        } finally {
            programs.forEach(CudaProgram::close);
            giveBack(stagings, products, kernels);
        }
    }
}
