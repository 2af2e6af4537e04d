package griffin.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;

import griffin.backend.Buffer;
import griffin.backend.DType;
import griffin.backend.MlpWeights;
import griffin.backend.Step;
import griffin.backend.StepPlan;
import griffin.backend.TensorPart;
import griffin.backend.Weight;
import griffin.backend.WeightRole;
import griffin.bindings.fake.FakeCublasLt;
import griffin.bindings.fake.FakeDriver;
import griffin.bindings.fake.FakeDriver.Launch;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/** What products launch on the fake driver. */
final class ProductLaunches {

    private static final Pattern LOADING = Pattern.compile("convert|norm_factor");

    private ProductLaunches() {}

    interface Work {
        void issue(CudaBackend backend, Arena arena, Step step, int rows);
    }

    /** The launches of some work on steps of so many rows of one sequence each, one after the other. */
    static List<List<Launch>> of(FakeDriver driver, DType operands, CudaSettings settings, Work work, int... rows) {
        new FakeCublasLt().install();
        List<List<Launch>> all = new ArrayList<>();
        try (Arena arena = Arena.ofShared();
                CudaBackend backend = Fake.open(driver, settings.kernels(), operands, settings, notice -> {})) {
            for (int count : rows) {
                Step step = backend.allocateStep(count, 1, 1);
                StepPlan plan = new StepPlan(count, 1);
                plan.add(0, 0, new int[count], 0, count, StepPlan.Outputs.ALL);
                backend.submit(step, plan);
                int before = driver.launches().size();
                work.issue(backend, arena, step, count);
                List<Launch> mine = driver.launches().subList(before, driver.launches().size());
                all.add(mine.stream().filter(launch -> !LOADING.matcher(launch.kernel()).lookingAt()).toList());
            }
        }
        assertEquals(List.of(), driver.errors());
        return all;
    }

    /** The kernels of each step. */
    static List<String> names(List<List<Launch>> steps) {
        return steps.stream().map(list -> String.join(", ", list.stream().map(Launch::kernel).toList())).toList();
    }

    static Weight weight(CudaBackend backend, Arena arena, WeightRole role, int rows, int columns) {
        return backend.load(role, new TensorPart(DType.BF16, rows, columns, arena.allocate(2L * rows * columns)));
    }

    static Work linear(int inputs, int outputs) {
        return (backend, arena, step, rows) -> backend.linear(step.rows(), backend.allocate(backend.operandType(), rows, inputs),
                weight(backend, arena, WeightRole.LINEAR, outputs, inputs), null, backend.allocate(backend.operandType(), rows, outputs));
    }

    /** residual += in w^T + bias, then its norm, in a program. @param shift elements by which rows of the input begin late */
    static Work sum(int inputs, int outputs, int shift) {
        return (backend, arena, step, rows) -> {
            Buffer in = backend.allocate(backend.operandType(), rows, inputs + 8).columns(shift, inputs);
            Buffer delta = backend.allocate(DType.F32, rows, outputs);
            Weight w = weight(backend, arena, WeightRole.LINEAR, outputs, inputs);
            Weight bias = weight(backend, arena, WeightRole.BIAS, 1, outputs);
            Weight scale = weight(backend, arena, WeightRole.NORM, 1, outputs);
            Buffer residual = backend.allocate(DType.F32, rows, outputs);
            Buffer out = backend.allocate(backend.operandType(), rows, outputs);
            backend.run(backend.record(step, () -> {
                backend.linear(step.rows(), in, w, bias, delta);
                backend.addRmsNorm(step.rows(), residual, delta, scale, 1e-6f, out);
            }));
        };
    }

    static Work mlp(int inputs, int width) {
        return (backend, arena, step, rows) -> {
            MlpWeights weights = new MlpWeights(weight(backend, arena, WeightRole.LINEAR, 2 * width, inputs),
                    weight(backend, arena, WeightRole.BIAS, 1, 2 * width), weight(backend, arena, WeightRole.LINEAR, inputs, width),
                    weight(backend, arena, WeightRole.BIAS, 1, inputs));
            backend.gatedMlp(step.rows(), backend.allocate(backend.operandType(), rows, inputs), weights,
                    backend.allocate(backend.operandType(), rows, 2 * width), backend.allocate(DType.F32, rows, inputs));
        };
    }

    static Work logits(int inputs, int vocabulary, float cap) {
        return (backend, arena, step, rows) -> backend.logits(step.outputs(), backend.allocate(backend.operandType(), rows, inputs),
                weight(backend, arena, WeightRole.EMBEDDING, vocabulary, inputs), cap, backend.allocate(DType.F32, rows, vocabulary));
    }

    /** Sizes of the conformance suite: five works for each of 48 shapes, two of them sums. */
    static List<Work> oddShapes() {
        List<Work> works = new ArrayList<>();
        for (int inputs : new int[] {1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 207}) {
            for (int outputs : new int[] {1, 33, 64, 207}) {
                works.addAll(List.of(linear(inputs, outputs), sum(inputs, outputs, 0), sum(inputs, outputs, 3), mlp(inputs, outputs),
                        logits(inputs, outputs, 5)));
            }
        }
        return works;
    }

    static MemorySegment copy(MemorySegment block) {
        return Arena.ofAuto().allocate(block.byteSize(), Long.BYTES).copyFrom(block);
    }
}
