package griffin.backend.cuda;

import griffin.backend.DType;
import griffin.backend.TensorPart;
import griffin.backend.WeightRole;
import griffin.bindings.cuda.Cuda;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Locale;
import java.util.stream.IntStream;

/**
 * Brings weights from mapped files to the device: through two pinned buffers, so that one is read into while the other is copied, and
 * through a conversion where the device wants another form.
 */
final class CudaUpload {

    private static final int LARGEST = 32 << 20;
    private static final int SMALLEST = 1 << 20;
    /** Reading from the page cache is the slow half: several cores share it. */
    private static final int PIECE = 2 << 20;

    private final CudaContext context;
    private final CudaMemory memory;
    private final CudaKernels kernels;
    private final DType operands;
    private final MemorySegment[] pinned = new MemorySegment[2];
    private final MemorySegment[] copied = new MemorySegment[2];
    private long raw;
    private int size;
    private int turn;

    CudaUpload(CudaContext context, CudaMemory memory, CudaKernels kernels, DType operands) {
        this.context = context;
        this.memory = memory;
        this.kernels = kernels;
        this.operands = operands;
    }

    CudaWeight load(WeightRole role, TensorPart... parts) {
        return switch (role) {
            case EMBEDDING, LINEAR -> product(role, parts);
            case GATES -> gates(parts);
            case BIAS -> bias(parts);
            case NORM -> small(role, parts[0], "norm_factor_", (a, n) -> a.wide(n));
            case DECAY -> small(role, parts[0], "decay_", (a, n) -> a.wide(n));
            case CONV_TAPS -> small(role, parts[0], "transpose_taps_", (a, n) -> a.integer(parts[0].rows()).integer(parts[0].columns()));
        };
    }

    private CudaWeight product(WeightRole role, TensorPart... parts) {
        long elements = elements(parts);
        long address = memory.allocate(elements * operands.bytes(), "a weight");
        stack(parts, operands, address);
        return new CudaWeight(role, operands, address, 0, rows(parts), parts[0].columns(), elements * operands.bytes());
    }

    private CudaWeight bias(TensorPart... parts) {
        long elements = elements(parts);
        long address = memory.allocate(elements * 4, "a bias");
        stack(parts, DType.F32, address);
        boolean exact = operands == DType.BF16 && IntStream.range(0, parts.length).allMatch(i -> parts[i].dtype() == DType.BF16);
        long rounded = exact ? memory.allocate(elements * 2, "a bias") : 0;
        if (exact) {
            stack(parts, DType.BF16, rounded);
        }
        return new CudaWeight(WeightRole.BIAS, DType.F32, address, rounded, 1, Math.toIntExact(elements), elements * (exact ? 6 : 4));
    }

    /** The parts one after the other, in a type. */
    private void stack(TensorPart[] parts, DType to, long address) {
        long at = address;
        for (TensorPart part : parts) {
            long n = (long) part.rows() * part.columns();
            if (part.dtype() == to) {
                chunks(part, part.dtype().bytes(), at, to.bytes(), null);
            } else {
                CudaKernels.Kernel convert = kernels.get("convert_" + word(part.dtype()) + "_" + word(to));
                chunks(part, part.dtype().bytes(), at, to.bytes(), (from, target, count) -> launch(convert,
                        a -> a.pointer(from).pointer(target).wide(count), 256, 1, blocks(count), 1, 1));
            }
            at += n * to.bytes();
        }
    }

    /** [H, G in, G out] as stored to [H, G out, G in], the input gate's before the recurrence gate's. */
    private CudaWeight gates(TensorPart... parts) {
        int g = parts[0].columns();
        int blockElements = g * g;
        long elements = elements(parts);
        long address = memory.allocate(elements * operands.bytes(), "gates");
        long at = address;
        for (TensorPart part : parts) {
            CudaKernels.Kernel transpose = kernels.get("transpose_gates_" + word(part.dtype()) + "_" + word(operands));
            chunks(part, blockElements * part.dtype().bytes(), at, blockElements * operands.bytes(),
                    (from, target, heads) -> launch(transpose, a -> a.pointer(from).pointer(target).integer(g), 32, 8,
                            Launch.blocks(g, 32), Launch.blocks(g, 32), Math.toIntExact(heads)));
            at += (long) part.rows() * part.columns() * operands.bytes();
        }
        return new CudaWeight(WeightRole.GATES, operands, address, 0, rows(parts), g, elements * operands.bytes());
    }

    private interface Rest {
        void add(Arguments arguments, long elements);
    }

    /** One small tensor through a kernel that wants it whole. */
    private CudaWeight small(WeightRole role, TensorPart part, String kernel, Rest rest) {
        long n = (long) part.rows() * part.columns();
        long address = memory.allocate(4 * n, role.name().toLowerCase(Locale.ROOT));
        CudaKernels.Kernel convert = kernels.get(kernel + word(part.dtype()));
        chunks(part, Math.toIntExact(part.data().byteSize()), address, Math.toIntExact(4 * n),
                (from, target, count) -> launch(convert, a -> {
                    a.pointer(from).pointer(target);
                    rest.add(a, n);
                }, 256, 1, blocks(n), 1, 1));
        return new CudaWeight(role, DType.F32, address, 0, part.rows(), part.columns(), 4 * n);
    }

    private interface Conversion {
        void of(long from, long to, long count);
    }

    /** Copies a tensor, cut between units of {@code unit} bytes, each of which becomes {@code targetUnit} bytes. */
    private void chunks(TensorPart part, int unit, long target, int targetUnit, Conversion conversion) {
        MemorySegment data = part.data();
        ensure(Math.min(Math.max(data.byteSize(), SMALLEST), Math.max(LARGEST, unit)));
        long units = size / unit;
        for (long at = 0; at < data.byteSize() / unit; at += units) {
            long count = Math.min(units, data.byteSize() / unit - at);
            long to = target + at * targetUnit;
            copy(data.asSlice(at * unit, count * unit), conversion == null ? to : raw);
            if (conversion != null) {
                conversion.of(raw, to, count);
            }
        }
    }

    private void copy(MemorySegment from, long to) {
        turn ^= 1;
        MemorySegment buffer = pinned[turn];
        CudaErrors.check(Cuda.cuEventSynchronize(copied[turn]), "cuEventSynchronize while weights are loaded");
        int pieces = Math.toIntExact((from.byteSize() + PIECE - 1) / PIECE);
        IntStream all = IntStream.range(0, pieces);
        (pieces > 1 ? all.parallel() : all).forEach(i -> {
            long start = (long) i * PIECE;
            MemorySegment.copy(from, start, buffer, start, Math.min(PIECE, from.byteSize() - start));
        });
        CudaErrors.check(Cuda.cuMemcpyHtoDAsync_v2(to, buffer, from.byteSize(), context.stream), "cuMemcpyHtoDAsync of a weight");
        CudaErrors.check(Cuda.cuEventRecord(copied[turn], context.stream), "cuEventRecord");
    }

    private interface Packing {
        void into(Arguments arguments);
    }

    private void launch(CudaKernels.Kernel kernel, Packing arguments, int threadsX, int threadsY, int x, int y, int z) {
        try (Arena arena = Arena.ofConfined()) {
            Arguments packed = new Arguments(arena);
            arguments.into(packed);
            new Launch(context, arena, kernel, packed, threadsX, threadsY, 0, (extent, launch) -> launch.grid(x, y, z)).issue(new Extent());
        }
    }

    /** Enough for any size: elements are taken in strides of the grid. */
    private int blocks(long elements) {
        return (int) Math.clamp((elements + 255) / 256, 1, 8L * context.device.processors());
    }

    private void ensure(long bytes) {
        if (size >= bytes) {
            return;
        }
        release();
        size = Math.toIntExact(bytes);
        raw = memory.allocate(size, "loading");
        for (int i = 0; i < 2; i++) {
            pinned[i] = memory.pin(size);
            MemorySegment event = context.arena.allocate(ValueLayout.ADDRESS);
            CudaErrors.check(Cuda.cuEventCreate(event, Cuda.CU_EVENT_DISABLE_TIMING()), "cuEventCreate");
            copied[i] = event.get(ValueLayout.ADDRESS, 0);
        }
    }

    /** Waits for what is under way and gives the staging memory back; the next load takes it again. */
    void release() {
        if (size == 0) {
            return;
        }
        context.synchronize("loading weights");
        memory.free(raw);
        for (int i = 0; i < 2; i++) {
            memory.unpin(pinned[i]);
            CudaErrors.check(Cuda.cuEventDestroy_v2(copied[i]), "cuEventDestroy");
        }
        size = 0;
    }

    private static long elements(TensorPart... parts) {
        long total = 0;
        for (TensorPart part : parts) {
            total += (long) part.rows() * part.columns();
        }
        return total;
    }

    private static int rows(TensorPart... parts) {
        int total = 0;
        for (TensorPart part : parts) {
            total += part.rows();
        }
        return total;
    }

    /** A type's name as kernels spell it. */
    static String word(DType type) {
        return type.name().toLowerCase(Locale.ROOT);
    }
}
