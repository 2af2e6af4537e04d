package griffin.backend.cuda;

import griffin.backend.Buffer;
import griffin.backend.DType;
import griffin.backend.StateBuffers;
import griffin.backend.StateLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** State slots on the device. A slot leaves and enters in float32, in the layout's order, by one copy from one staging area. */
final class CudaStates {

    private final CudaContext context;
    private final CudaMemory memory;
    private final CudaKernels kernels;
    private final DType operands;

    CudaStates(CudaContext context, CudaMemory memory, CudaKernels kernels, DType operands) {
        this.context = context;
        this.memory = memory;
        this.kernels = kernels;
        this.operands = operands;
    }

    StateBuffers allocate(StateLayout layout, int slots) {
        int all = slots + 1;
        return new StateBuffers(layout, slots, buffers(DType.F32, layout.recurrentLayers(), all, layout.lruWidth()),
                buffers(operands, layout.recurrentLayers(), all * layout.convRows(), layout.lruWidth()),
                buffers(operands, layout.attentionLayers(), all * layout.window(), layout.headDim()),
                buffers(operands, layout.attentionLayers(), all * layout.window(), layout.headDim()),
                buffer(DType.I32, all, layout.seenWords()));
    }

    private List<Buffer> buffers(DType type, int count, int rows, int columns) {
        List<Buffer> out = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            out.add(buffer(type, rows, columns));
        }
        return List.copyOf(out);
    }

    private CudaBuffer buffer(DType type, int rows, int columns) {
        long bytes = (long) rows * columns * type.bytes();
        return new CudaBuffer(type, memory.allocate(bytes, "states"), columns, rows, columns);
    }

    private interface Visitor {
        /** @param address of the slot's elements, which have no gaps @param at offset in the exported form */
        void part(DType type, long address, long elements, long at);
    }

    /** Visits every part of a slot in the layout's order. */
    private static void visit(StateBuffers states, int slot, Visitor visitor) {
        StateLayout layout = states.layout();
        long at = 0;
        for (Buffer b : states.h()) {
            at = part(b, slot, 1, at, visitor);
        }
        for (Buffer b : states.conv()) {
            at = part(b, slot, layout.convRows(), at, visitor);
        }
        for (int i = 0; i < states.keys().size(); i++) {
            at = part(states.keys().get(i), slot, layout.window(), at, visitor);
            at = part(states.values().get(i), slot, layout.window(), at, visitor);
        }
        part(states.seen(), slot, 1, at, visitor);
    }

    private static long part(Buffer buffer, int slot, int rows, long at, Visitor visitor) {
        CudaBuffer b = CudaBuffer.of(buffer);
        long elements = (long) rows * b.columns();
        visitor.part(b.type(), b.address() + slot * elements * b.type().bytes(), elements, at);
        return at + 4 * elements;
    }

    void copy(StateBuffers states, int from, int to) {
        List<Long> sources = new ArrayList<>();
        visit(states, from, (type, address, elements, at) -> sources.add(address));
        int[] i = {0};
        visit(states, to, (type, address, elements, at) -> memory.copy(sources.get(i[0]++), address, elements * type.bytes()));
    }

    void clear(StateBuffers states, int slot) {
        visit(states, slot, (type, address, elements, at) -> memory.clear(address, elements * type.bytes()));
    }

    void exportSlot(StateBuffers states, int slot, MemorySegment out) {
        long staging = staging(states);
        visit(states, slot, (type, address, elements, at) -> {
            if (type == DType.BF16) {
                convert("convert_bf16_f32", address, staging + at, elements);
            } else {
                memory.copy(address, staging + at, 4 * elements);
            }
        });
        memory.read(flat(states, staging), out);
    }

    void importSlot(StateBuffers states, int slot, MemorySegment in) {
        long staging = staging(states);
        memory.write(flat(states, staging), in);
        visit(states, slot, (type, address, elements, at) -> {
            if (type == DType.BF16) {
                convert("convert_f32_bf16", staging + at, address, elements);
            } else {
                memory.copy(staging + at, address, 4 * elements);
            }
        });
    }

    /** Room for one exported slot. */
    private long staging(StateBuffers states) {
        return memory.scratch("saving and restoring a session", states.layout().bytes());
    }

    private static CudaBuffer flat(StateBuffers states, long staging) {
        int words = Math.toIntExact(states.layout().bytes() / 4);
        return new CudaBuffer(DType.I32, staging, words, 1, words);
    }

    private void convert(String kernel, long from, long to, long elements) {
        try (Arena arena = Arena.ofConfined()) {
            Arguments arguments = new Arguments(arena).pointer(from).pointer(to).wide(elements);
            long blocks = Math.clamp((elements + 255) / 256, 1, 8L * context.device.processors());
            new Launch(context, arena, kernels.get(kernel), arguments, 256, 1, 0, (extent, launch) -> launch.grid(blocks, 1, 1))
                    .issue(new Extent());
        }
    }
}
