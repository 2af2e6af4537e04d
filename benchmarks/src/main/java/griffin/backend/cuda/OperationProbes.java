package griffin.backend.cuda;

import griffin.backend.AttentionShape;
import griffin.backend.Backend;
import griffin.backend.DType;
import griffin.backend.RgLruWeights;
import griffin.backend.StepPlan;
import griffin.backend.WeightRole;
import java.util.List;
import java.util.stream.Stream;

/** Operations of a prefill step alone, on random normal bfloat16, launched as the backend launches them. */
public final class OperationProbes {

    private final GpuProbes probes;

    /** @param probes of the device that is measured */
    public OperationProbes(GpuProbes probes) {
        this.probes = probes;
    }

    private interface Probe {
        Call of(Lowering lowering, CudaStep step, CudaMemory memory);
    }

    /**
     * Seconds of the RG-LRU scan of {@code rows} rows of one sequence, {@code width} channels, gelu branch included, gates' products not.
     * It reads four bfloat16 an element and writes one.
     */
    public double scan(int rows, int width) {
        return time(rows, (lowering, step, memory) -> {
            long plane = (long) rows * width;
            CudaBuffer x = bf16(memory, rows, width);
            CudaWeight small =
                    new CudaWeight(WeightRole.BIAS, DType.F32, memory.allocate(8L * width, "a probe"), 0, 1, 2 * width, 8L * width);
            CudaBuffer state = new CudaBuffer(DType.F32, memory.allocate(8L * width, "a probe"), width, 2, width);
            return RecurrenceCalls.scanAlone(lowering, step, x, new RgLruWeights(small, small, small), state, bf16(memory, rows, width),
                    bf16(memory, rows, width), probes.random(memory, 4 * plane), plane);
        });
    }

    /** Seconds of local attention for {@code rows} rows of a sequence that begins with them. */
    public double windowAttention(int rows, AttentionShape shape) {
        return time(rows, (lowering, step, memory) -> {
            CudaBuffer keys = bf16(memory, 2 * shape.window(), shape.headDim());
            CudaBuffer values = bf16(memory, 2 * shape.window(), shape.headDim());
            return AttentionCalls.windowAttention(lowering, new Operation.WindowAttention(step, shape,
                    bf16(memory, rows, shape.qkvWidth()), keys, values, bf16(memory, rows, shape.heads() * shape.headDim())));
        });
    }

    private CudaBuffer bf16(CudaMemory memory, int rows, int columns) {
        return new CudaBuffer(DType.BF16, probes.random(memory, 2L * rows * columns), columns, rows, columns);
    }

    private double time(int rows, Probe probe) {
        probes.context.enter();
        try (CudaMemory memory = new CudaMemory(probes.context); CudaKernels kernels = new CudaKernels(probes.settings.kernels())) {
            Lowering lowering = new Lowering(probes.context, kernels, memory, DType.BF16, null, probes.settings);
            CudaStep step = new CudaStep(probes.context, memory, rows, 1, 1);
            StepPlan plan = new StepPlan(rows, 1);
            plan.add(0, 0, new int[rows], 0, rows, StepPlan.Outputs.NONE);
            step.submit(plan);
            Call call = probe.of(lowering, step, memory);
            Extent extent = step.extent(new Extent());
            return GpuClock.fastest(probes.context, () -> call.issue(extent));
        }
    }

    /**
     * What of the time of reading rows is not spent on matrix products.
     *
     * @param inPlace the sum of the times of all other kernels, each between two events, over the sum of all: kernels do not overlap
     * @param saved   by how much products alone, one after the other, are faster than all: they find more in the L2 cache, too
     */
    public record Others(double inPlace, double saved) {}

    private record Part(boolean product, Call call) {}

    /**
     * Shares of the time of reading the planned rows: the step's operations in their order. Nothing is sampled.
     *
     * @param backend whose first recorded program is the model's
     */
    public static Others otherThanProducts(Backend backend, StepPlan plan) {
        CudaBackend cuda = (CudaBackend) backend;
        CudaProgram program = cuda.programs.getFirst();
        program.step().submit(plan);
        Extent extent = program.step().extent(new Extent());
        extent.spare = true;
        List<Part> parts = program.planned.stream().filter(o -> !(o instanceof Operation.Sample || o instanceof Operation.Advance
                || o instanceof Operation.Publish)).flatMap(o -> parts(cuda.lowering, o)).toList();
        Call[] all = parts.stream().map(Part::call).toArray(Call[]::new);
        Call[] products = parts.stream().filter(Part::product).map(Part::call).toArray(Call[]::new);
        double[] laps = GpuClock.laps(cuda.lowering.context, extent, all);
        double sum = 0;
        double others = 0;
        for (int i = 0; i < laps.length; i++) {
            sum += laps[i];
            others += parts.get(i).product ? 0 : laps[i];
        }
        return new Others(others / sum, 1 - seconds(cuda, extent, products) / seconds(cuda, extent, all));
    }

    private static double seconds(CudaBackend cuda, Extent extent, Call[] calls) {
        return GpuClock.fastest(cuda.lowering.context, () -> Lowering.all(calls).issue(extent));
    }

    /** An operation that is a product and more comes apart, as it does in a step of a prompt. */
    private static Stream<Part> parts(Lowering lowering, Operation operation) {
        return switch (operation) {
            case Operation.LinearAddNorm o -> Stream.of(new Part(true, lowering.lower(o.sum())), new Part(false, lowering.lower(o.norm())));
            case Operation.GatedLinear o ->
                    Stream.of(new Part(true, lowering.lower(o.product())), new Part(false, lowering.lower(o.gelu())));
            case Operation.Recurrence o -> {
                Call[] calls = RecurrenceCalls.ofPrompt(lowering, o);
                yield Stream.of(new Part(false, calls[0]), new Part(true, calls[1]), new Part(false, calls[2]));
            }
            case Operation.Linear o -> Stream.of(new Part(true, lowering.lower(o)));
            case Operation.LinearAdd o -> Stream.of(new Part(true, lowering.lower(o)));
            case Operation.Logits o -> Stream.of(new Part(true, lowering.lower(o)));
            default -> Stream.of(new Part(false, lowering.lower(operation)));
        };
    }
}
