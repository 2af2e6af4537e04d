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

        private Framed(int rows, int columns, float[] data) {
            this.rows = rows;
            this.columns = columns;
            whole = backend.allocate(DType.F32, rows + 2, columns + 2 * alignment);
            before = new float[whole.rows() * whole.columns()];
            java.util.Arrays.fill(before, Float.intBitsToFloat(POISON));
            for (int r = 0; r < rows && data != null; r++) {
                System.arraycopy(data, r * columns, before, (r + 1) * whole.columns() + alignment, columns);
            }
            write(whole, before);
            view = whole.columns(alignment, columns).rows(1, rows);
        }

        /** The first {@code live} rows; everything else must be as it was, and everything in them written. */
        float[] written(int live) {
            float[] after = read(whole);
            float[] out = new float[live * columns];
            for (int i = 0; i < after.length; i++) {
                int r = i / whole.columns() - 1;
                int c = i % whole.columns() - alignment;
                boolean inside = r >= 0 && r < live && c >= 0 && c < columns;
                if (inside) {
                    out[r * columns + c] = after[i];
                    assertEquals(false, Float.floatToRawIntBits(after[i]) == POISON, "element (" + r + ", " + c + ") was not written");
                } else {
                    assertEquals(Float.floatToRawIntBits(before[i]), Float.floatToRawIntBits(after[i]),
                            "element (" + r + ", " + c + ") outside [" + live + " of " + rows + ", " + columns + "] was touched");
                }
            }
            return out;
        }
    }

    Framed output(int rows, int columns) {
        return new Framed(rows, columns, null);
    }

    Framed input(float[] data, int columns) {
        return new Framed(data.length / columns, columns, data);
    }

    void write(Buffer target, float[] data) {
        backend.write(target, MemorySegment.ofArray(data));
    }

    float[] read(Buffer source) {
        float[] out = new float[source.rows() * source.columns()];
        backend.read(source, MemorySegment.ofArray(out));
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
