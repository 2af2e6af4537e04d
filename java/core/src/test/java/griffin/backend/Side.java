package griffin.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;

import griffin.weights.BFloat16;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Random;

/** A backend with the means to bring arrays to it and back. A conformance check runs the same closure on two of them. */
final class Side {

    /** What outputs hold before an operation: a NaN that no arithmetic produces. */
    static final int POISON = 0x7FC0DEAD;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    final Backend backend;
    private final int alignment;

    /** @param alignment elements to which column views must be aligned on this backend */
    Side(Backend backend, int alignment) {
        this.backend = backend;
        this.alignment = alignment;
    }

    /** A matrix cut out of a larger poisoned one, so that writes beside it show. */
    final class Framed {
        final Buffer whole;
        final Buffer view;
        private final int rows;
        private final int columns;
        private final float[] before;

        private Framed(DType type, int rows, int columns, float[] data) {
            this.rows = rows;
            this.columns = columns;
            whole = backend.allocate(type, rows + 2, columns + 2 * alignment);
            float[] values = new float[whole.rows() * whole.columns()];
            java.util.Arrays.fill(values, Float.intBitsToFloat(POISON));
            for (int r = 0; r < rows && data != null; r++) {
                System.arraycopy(data, r * columns, values, (r + 1) * whole.columns() + alignment, columns);
            }
            write(whole, values);
            before = read(whole);
            view = whole.columns(alignment, columns).rows(1, rows);
        }

        /** The first {@code live} rows; everything else must be as it was, and everything in them written. */
        float[] written(int live) {
            float[] after = read(whole);
            float[] out = new float[live * columns];
            int poison = Float.floatToRawIntBits(before[0]);
            for (int i = 0; i < after.length; i++) {
                int r = i / whole.columns() - 1;
                int c = i % whole.columns() - alignment;
                boolean inside = r >= 0 && r < live && c >= 0 && c < columns;
                if (inside) {
                    out[r * columns + c] = after[i];
                    assertEquals(false, Float.floatToRawIntBits(after[i]) == poison, "element (" + r + ", " + c + ") was not written");
                } else {
                    assertEquals(Float.floatToRawIntBits(before[i]), Float.floatToRawIntBits(after[i]),
                            "element (" + r + ", " + c + ") outside [" + live + " of " + rows + ", " + columns + "] was touched");
                }
            }
            return out;
        }
    }

    /** Room for a float32 result: residual, delta, logits. */
    Framed output(int rows, int columns) {
        return new Framed(DType.F32, rows, columns, null);
    }

    Framed input(float[] data, int columns) {
        return new Framed(DType.F32, data.length / columns, columns, data);
    }

    /** Room for a result in the backend's operand type. */
    Framed operandOutput(int rows, int columns) {
        return new Framed(backend.operandType(), rows, columns, null);
    }

    Framed operandInput(float[] data, int columns) {
        return new Framed(backend.operandType(), data.length / columns, columns, data);
    }

    /** Writes float32 numbers to a buffer of any type. */
    void write(Buffer target, float[] data) {
        if (target.type() != DType.BF16) {
            backend.write(target, MemorySegment.ofArray(data));
            return;
        }
        short[] bits = new short[data.length];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = BFloat16.of(data[i]);
        }
        backend.write(target, MemorySegment.ofArray(bits));
    }

    /** Reads a buffer of any type as float32 numbers. */
    float[] read(Buffer source) {
        float[] out = new float[source.rows() * source.columns()];
        if (source.type() != DType.BF16) {
            backend.read(source, MemorySegment.ofArray(out));
            return out;
        }
        short[] bits = new short[out.length];
        backend.read(source, MemorySegment.ofArray(bits));
        for (int i = 0; i < bits.length; i++) {
            out[i] = BFloat16.toFloat(bits[i]);
        }
        return out;
    }

    Weight weight(WeightRole role, TensorPart... parts) {
        return backend.load(role, parts);
    }

    /** A submitted step. */
    Step step(StepPlan plan, int scrapSlot) {
        Step step = backend.allocateStep(plan.rows() + 3, plan.sequences() + 1, scrapSlot);
        backend.submit(step, plan);
        return step;
    }

    /** State slots holding {@code slots} [slots + 1 entries, scrap last], each in the exported form. */
    StateBuffers states(StateLayout layout, float[][] slots) {
        StateBuffers states = backend.allocateStates(layout, slots.length - 1);
        for (int slot = 0; slot < slots.length; slot++) {
            backend.importSlot(states, slot, MemorySegment.ofArray(slots[slot]));
        }
        return states;
    }

    float[] export(StateBuffers states, int slot) {
        float[] out = new float[(int) (states.layout().bytes() / 4)];
        backend.exportSlot(states, slot, MemorySegment.ofArray(out));
        return out;
    }

    // ---- making data

    static float[] normal(Random random, int count, double deviation) {
        float[] out = new float[count];
        for (int i = 0; i < count; i++) {
            out[i] = (float) (deviation * random.nextGaussian());
        }
        return out;
    }

    /** A tensor whose data begins at an odd address, as mapped files may have it. */
    static TensorPart part(DType dtype, int rows, int columns, float[] values) {
        MemorySegment data = Arena.ofAuto().allocate((long) values.length * dtype.bytes() + 1, 16).asSlice(1);
        for (int i = 0; i < values.length; i++) {
            switch (dtype) {
                case F32 -> data.set(FLOAT, 4L * i, values[i]);
                case BF16 -> data.set(SHORT, 2L * i, BFloat16.of(values[i]));
                default -> data.set(SHORT, 2L * i, Float.floatToFloat16(values[i]));
            }
        }
        return new TensorPart(dtype, rows, columns, data);
    }

    /** The same tensor with every element's sign dropped: for magnitudes. */
    static TensorPart absolute(TensorPart part) {
        float[] values = values(part);
        return part(part.dtype(), part.rows(), part.columns(), absolute(values));
    }

    static float[] absolute(float[] values) {
        float[] out = new float[values.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = Math.abs(values[i]);
        }
        return out;
    }

    static float[] values(TensorPart part) {
        float[] out = new float[part.rows() * part.columns()];
        griffin.backend.host.HostWeight.widen(part, 0, out.length, out, 0);
        return out;
    }
}
