package griffin.backend.host;

import griffin.backend.Buffer;
import griffin.backend.DType;
import griffin.backend.StateBuffers;
import griffin.backend.StateLayout;
import griffin.error.DeviceMemoryException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** State slots in Java arrays, and their export in the order of {@link StateLayout}. */
final class HostStates {

    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(java.nio.ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(java.nio.ByteOrder.LITTLE_ENDIAN);

    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(java.nio.ByteOrder.LITTLE_ENDIAN);

    /** Of an array, on every JVM. */
    private static final int MOST_ELEMENTS = Integer.MAX_VALUE - 8;

    private HostStates() {}

    /** @param operands element type of what was an operand before: the convolution's rows, keys and values */
    static StateBuffers allocate(StateLayout layout, int slots, DType operands) {
        requireFits(layout, slots);
        int all = slots + 1;
        return new StateBuffers(layout, slots, buffers(DType.F32, layout.recurrentLayers(), all, layout.lruWidth()),
                buffers(operands, layout.recurrentLayers(), all * layout.convRows(), layout.lruWidth()),
                buffers(operands, layout.attentionLayers(), all * layout.window(), layout.headDim()),
                buffers(operands, layout.attentionLayers(), all * layout.window(), layout.headDim()),
                HostBuffer.allocate(DType.I32, all, layout.seenWords()));
    }

    private static List<Buffer> buffers(DType type, int count, int rows, int columns) {
        List<Buffer> out = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            out.add(HostBuffer.allocate(type, rows, columns));
        }
        return List.copyOf(out);
    }

    /** A buffer of all slots is one array, of which Java has at most 2^31 elements. */
    private static void requireFits(StateLayout layout, int slots) {
        long largest = Math.max(Math.max((long) layout.convRows(), 1) * layout.lruWidth(),
                Math.max((long) layout.window() * layout.headDim(), layout.seenWords()));
        long most = MOST_ELEMENTS / largest - 1;
        if (slots > most) {
            throw new DeviceMemoryException("this backend can hold at most " + most + " sessions of this model, since a Java array ends "
                    + "at 2^31 elements, and " + slots + " were asked for: open the model with fewer sessions");
        }
    }

    private interface Visitor {
        void part(HostBuffer buffer, int rowsPerSlot);
    }

    /** Visits every part of a state in the layout's order. */
    private static void visit(StateBuffers states, Visitor visitor) {
        StateLayout layout = states.layout();
        states.h().forEach(b -> visitor.part(HostBuffer.of(b), 1));
        states.conv().forEach(b -> visitor.part(HostBuffer.of(b), layout.convRows()));
        for (int i = 0; i < states.keys().size(); i++) {
            visitor.part(HostBuffer.of(states.keys().get(i)), layout.window());
            visitor.part(HostBuffer.of(states.values().get(i)), layout.window());
        }
        visitor.part(HostBuffer.of(states.seen()), 1);
    }

    static void copy(StateBuffers states, int from, int to) {
        visit(states, (b, rows) -> {
            int count = rows * b.columns();
            Object array = b.floats() != null ? b.floats() : b.ints();
            System.arraycopy(array, b.at(from * rows), array, b.at(to * rows), count);
        });
    }

    static void clear(StateBuffers states, int slot) {
        visit(states, (b, rows) -> {
            int at = b.at(slot * rows);
            if (b.floats() != null) {
                Arrays.fill(b.floats(), at, at + rows * b.columns(), 0);
            } else {
                Arrays.fill(b.ints(), at, at + rows * b.columns(), 0);
            }
        });
    }

    static void exportSlot(StateBuffers states, int slot, MemorySegment out) {
        long[] at = {0};
        visit(states, (b, rows) -> {
            copyOut(b, b.at(slot * rows), rows * b.columns(), exported(b), out, at[0]);
            at[0] += 4L * rows * b.columns();
        });
    }

    static void importSlot(StateBuffers states, int slot, MemorySegment in) {
        long[] at = {0};
        visit(states, (b, rows) -> {
            copyIn(in, at[0], exported(b), b, b.at(slot * rows), rows * b.columns());
            at[0] += 4L * rows * b.columns();
        });
    }

    private static DType exported(HostBuffer b) {
        return b.type() == DType.I32 ? DType.I32 : DType.F32;
    }

    /** Copies elements out as {@code type}: the buffer's own, or F32 from a BF16 buffer. */
    static void copyOut(HostBuffer b, int from, int count, DType type, MemorySegment out, long at) {
        switch (type) {
            case F32 -> MemorySegment.copy(b.floats(), from, out, FLOAT, at, count);
            case I32 -> MemorySegment.copy(b.ints(), from, out, INT, at, count);
            default -> {
                for (int i = 0; i < count; i++) {
                    out.set(SHORT, at + 2L * i, (short) HostBuffer.bfloat16(b.floats()[from + i]));
                }
            }
        }
    }

    /** The inverse of {@link #copyOut}. */
    static void copyIn(MemorySegment in, long at, DType type, HostBuffer b, int to, int count) {
        switch (type) {
            case F32 -> {
                MemorySegment.copy(in, FLOAT, at, b.floats(), to, count);
                for (int i = to; b.type() == DType.BF16 && i < to + count; i++) {
                    b.floats()[i] = Float.intBitsToFloat(HostBuffer.bfloat16(b.floats()[i]) << 16);
                }
            }
            case I32 -> MemorySegment.copy(in, INT, at, b.ints(), to, count);
            default -> {
                for (int i = 0; i < count; i++) {
                    b.floats()[to + i] = Float.intBitsToFloat(in.get(SHORT, at + 2L * i) << 16);
                }
            }
        }
    }
}
