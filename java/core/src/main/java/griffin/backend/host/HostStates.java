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

    /** Of an array, on every JVM. */
    private static final int MOST_ELEMENTS = Integer.MAX_VALUE - 8;

    private HostStates() {}

    static StateBuffers allocate(StateLayout layout, int slots) {
        requireFits(layout, slots);
        int all = slots + 1;
        return new StateBuffers(layout, slots, buffers(layout.recurrentLayers(), all, layout.lruWidth()),
                buffers(layout.recurrentLayers(), all * layout.convRows(), layout.lruWidth()),
                buffers(layout.attentionLayers(), all * layout.window(), layout.headDim()),
                buffers(layout.attentionLayers(), all * layout.window(), layout.headDim()),
                HostBuffer.allocate(DType.I32, all, layout.seenWords()));
    }

    private static List<Buffer> buffers(int count, int rows, int columns) {
        List<Buffer> out = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            out.add(HostBuffer.allocate(DType.F32, rows, columns));
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
            copyOut(b, b.at(slot * rows), rows * b.columns(), out, at[0]);
            at[0] += 4L * rows * b.columns();
        });
    }

    static void importSlot(StateBuffers states, int slot, MemorySegment in) {
        long[] at = {0};
        visit(states, (b, rows) -> {
            copyIn(in, at[0], b, b.at(slot * rows), rows * b.columns());
            at[0] += 4L * rows * b.columns();
        });
    }

    static void copyOut(HostBuffer b, int from, int count, MemorySegment out, long at) {
        if (b.floats() != null) {
            MemorySegment.copy(b.floats(), from, out, FLOAT, at, count);
        } else {
            MemorySegment.copy(b.ints(), from, out, INT, at, count);
        }
    }

    static void copyIn(MemorySegment in, long at, HostBuffer b, int to, int count) {
        if (b.floats() != null) {
            MemorySegment.copy(in, FLOAT, at, b.floats(), to, count);
        } else {
            MemorySegment.copy(in, INT, at, b.ints(), to, count);
        }
    }
}
