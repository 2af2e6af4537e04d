package griffin.backend;

import java.lang.foreign.MemorySegment;

/** A backend whose fusions are the interface's default bodies, made of the wrapped backend's operations. */
record DefaultFusions(Backend of) implements Backend {

    @Override
    public DeviceInfo device() {
        return of.device();
    }

    @Override
    public DType operandType() {
        return of.operandType();
    }

    @Override
    public Weight load(WeightRole role, TensorPart... parts) {
        return of.load(role, parts);
    }

    @Override
    public Buffer allocate(DType type, int rows, int columns) {
        return of.allocate(type, rows, columns);
    }

    @Override
    public void write(Buffer target, MemorySegment source) {
        of.write(target, source);
    }

    @Override
    public void read(Buffer source, MemorySegment target) {
        of.read(source, target);
    }

    @Override
    public StateBuffers allocateStates(StateLayout layout, int slots) {
        return of.allocateStates(layout, slots);
    }

    @Override
    public void copySlot(StateBuffers states, int from, int to) {
        of.copySlot(states, from, to);
    }

    @Override
    public void exportSlot(StateBuffers states, int slot, MemorySegment out) {
        of.exportSlot(states, slot, out);
    }

    @Override
    public void importSlot(StateBuffers states, int slot, MemorySegment in) {
        of.importSlot(states, slot, in);
    }

    @Override
    public void clearSlot(StateBuffers states, int slot) {
        of.clearSlot(states, slot);
    }

    @Override
    public void embed(Step step, Weight table, float scale, Buffer x) {
        of.embed(step, table, scale, x);
    }

    @Override
    public void addRmsNorm(Rows rows, Buffer residual, Buffer delta, Weight scale, float eps, Buffer out) {
        of.addRmsNorm(rows, residual, delta, scale, eps, out);
    }

    @Override
    public void linear(Rows rows, Buffer in, Weight w, Weight bias, Buffer out) {
        of.linear(rows, in, w, bias, out);
    }

    @Override
    public void gatedGelu(Rows rows, Buffer gate, Buffer up, Buffer out) {
        of.gatedGelu(rows, gate, up, out);
    }

    @Override
    public void causalConv(Step step, Buffer x, Weight taps, Weight bias, Buffer state, Buffer out) {
        of.causalConv(step, x, taps, bias, state, out);
    }

    @Override
    public void rgLru(Step step, Buffer x, RgLruWeights weights, Buffer state, Buffer out) {
        of.rgLru(step, x, weights, state, out);
    }

    @Override
    public void rotate(Step step, AttentionShape shape, Buffer qkv) {
        of.rotate(step, shape, qkv);
    }

    @Override
    public void windowAttention(Step step, AttentionShape shape, Buffer qkv, Buffer keys, Buffer values, Buffer out) {
        of.windowAttention(step, shape, qkv, keys, values, out);
    }

    @Override
    public void storeKeys(Step step, AttentionShape shape, Buffer qkv, Buffer keys, Buffer values) {
        of.storeKeys(step, shape, qkv, keys, values);
    }

    @Override
    public void selectRows(Step step, Buffer in, Buffer out) {
        of.selectRows(step, in, out);
    }

    @Override
    public void logits(Rows rows, Buffer x, Weight table, float cap, Buffer out) {
        of.logits(rows, x, table, cap, out);
    }

    @Override
    public void sample(Step step, Buffer logits, Buffer seen) {
        of.sample(step, logits, seen);
    }

    @Override
    public void advance(Step step) {
        of.advance(step);
    }

    @Override
    public Step allocateStep(int maxRows, int maxSequences, int scrapSlot) {
        return of.allocateStep(maxRows, maxSequences, scrapSlot);
    }

    @Override
    public void submit(Step step, StepPlan plan) {
        of.submit(step, plan);
    }

    @Override
    public Program record(Step step, Runnable operations) {
        return of.record(step, operations);
    }

    @Override
    public long run(Program program) {
        return of.run(program);
    }

    @Override
    public void await(long ticket, StepResult into) {
        of.await(ticket, into);
    }

    @Override
    public void cancel(Step step, int sequence) {
        of.cancel(step, sequence);
    }

    @Override
    public void close() {
        of.close();
    }
}
