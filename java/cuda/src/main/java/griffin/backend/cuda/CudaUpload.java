package griffin.backend.cuda;

import griffin.backend.DType;
import griffin.backend.TensorPart;
import griffin.backend.WeightRole;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.LongStream;

/**
 * Brings weights from mapped files to the device: through {@link Stagings}, and through a conversion where the device wants another form.
 */
final class CudaUpload {

    /** The last bits of a float16, which a bfloat16 of 8 digits has no room for. */
    private static final int F16_DIGITS_BEYOND = 7;

    private final CudaContext context;
    private final CudaMemory memory;
    private final Stagings stagings;
    private final CudaKernels kernels;
    private final DType operands;

    CudaUpload(CudaContext context, CudaMemory memory, Stagings stagings, CudaKernels kernels, DType operands) {
        this.context = context;
        this.memory = memory;
        this.stagings = stagings;
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
        long address = memory.weight(elements * operands.bytes(), "a weight");
        stack(parts, operands, address);
        return new CudaWeight(role, operands, address, 0, rows(parts), parts[0].columns(), elements * operands.bytes());
    }

    private CudaWeight bias(TensorPart... parts) {
        long elements = elements(parts);
        long address = memory.weight(elements * 4, "a bias");
        stack(parts, DType.F32, address);
        boolean exact = operands == DType.BF16 && Arrays.stream(parts).allMatch(CudaUpload::isBfloat16);
        long rounded = exact ? memory.weight(elements * 2, "a bias") : 0;
        if (exact) {
            stack(parts, DType.BF16, rounded);
        }
        return new CudaWeight(WeightRole.BIAS, DType.F32, address, rounded, 1, Math.toIntExact(elements), elements * (exact ? 6 : 4));
    }

    /** Whether every element is one of bfloat16's numbers, whatever type it is stored in: those of the released models are. */
    static boolean isBfloat16(TensorPart part) {
        return switch (part.dtype()) {
            case F32 -> LongStream.range(0, part.columns() * (long) part.rows())
                    .allMatch(i -> (part.data().get(ValueLayout.JAVA_SHORT_UNALIGNED, 4 * i)) == 0);
            case F16 -> LongStream.range(0, part.columns() * (long) part.rows())
                    .allMatch(i -> (part.data().get(ValueLayout.JAVA_BYTE, 2 * i) & F16_DIGITS_BEYOND) == 0);
            default -> part.dtype() == DType.BF16;
        };
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
                chunks(part, part.dtype().bytes(), at, to.bytes(), (from, target, count, stream) -> launch(stream, convert,
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
        long address = memory.weight(elements * operands.bytes(), "gates");
        long at = address;
        for (TensorPart part : parts) {
            CudaKernels.Kernel transpose = kernels.get("transpose_gates_" + word(part.dtype()) + "_" + word(operands));
            chunks(part, blockElements * part.dtype().bytes(), at, blockElements * operands.bytes(),
                    (from, target, heads, stream) -> launch(stream, transpose, a -> a.pointer(from).pointer(target).integer(g), 32, 8,
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
        long address = memory.weight(4 * n, role.name().toLowerCase(Locale.ROOT));
        CudaKernels.Kernel convert = kernels.get(kernel + word(part.dtype()));
        chunks(part, Math.toIntExact(part.data().byteSize()), address, Math.toIntExact(4 * n),
                (from, target, count, stream) -> launch(stream, convert, a -> {
                    a.pointer(from).pointer(target);
                    rest.add(a, n);
                }, 256, 1, blocks(n), 1, 1));
        return new CudaWeight(role, DType.F32, address, 0, part.rows(), part.columns(), 4 * n);
    }

    private interface UnitConversion {
        void of(long from, long to, long count, MemorySegment stream);
    }

    /** Copies a tensor, cut between units of {@code unit} bytes, each of which becomes {@code targetUnit} bytes. */
    private void chunks(TensorPart part, int unit, long target, int targetUnit, UnitConversion conversion) {
        MemorySegment data = part.data();
        long units = stagings.prepare(unit) / unit;
        long all = data.byteSize() / unit;
        for (long at = 0; at < all; at += units) {
            long count = Math.min(units, all - at);
            stagings.copy(new Pieces.Piece(data.asSlice(at * unit, count * unit), target + at * targetUnit,
                    conversion == null ? null : (raw, to, stream) -> conversion.of(raw, to, count, stream)));
        }
    }

    private interface Packing {
        void into(Arguments arguments);
    }

    private void launch(MemorySegment stream, CudaKernels.Kernel kernel, Packing arguments, int threadsX, int threadsY, int x, int y,
            int z) {
        try (Arena arena = Arena.ofConfined()) {
            Arguments packed = new Arguments(arena);
            arguments.into(packed);
            new Launch(context, arena, kernel, packed, threadsX, threadsY, 0, (extent, launch) -> launch.grid(x, y, z)).on(stream)
                    .issue(new Extent());
        }
    }

    /** Enough for any size: elements are taken in strides of the grid. */
    private int blocks(long elements) {
        return (int) Math.clamp((elements + 255) / 256, 1, 8L * context.device.processors());
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
