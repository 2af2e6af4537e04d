package griffin.backend.cuda;

import griffin.backend.DType;
import java.util.Set;

/** Embedding, norm, activation and row selection. Geometry: the headers of the .cu files of the same names. */
final class DenseCalls {

    private static final int THREADS = 256;
    private static final int MOST_THREADS = 1024;
    /** Elements of the rows for which there is add_rms_norm_rows. */
    private static final Set<Integer> ROWS_IN_REGISTERS = Set.of(2560, 4096);
    private static final int ROWS_OF_BLOCK = 4;
    /** 16-byte vectors that a thread of gated_gelu has under way. */
    private static final int VECTORS_AT_ONCE = 4;

    private DenseCalls() {}

    static Call embed(Lowering l, Operation.Embed o) {
        Arguments arguments = l.arguments().step(o.step()).pointer(o.table().address()).real(o.scale()).matrix(o.x())
                .integer(o.x().columns());
        return l.launch(l.kernel("embed"), arguments, THREADS, 0, (extent, launch) -> launch.grid(oneEach(extent.rows), 1, 1));
    }

    static Call addRmsNorm(Lowering l, Operation.AddRmsNorm o) {
        Arguments arguments = l.arguments().rows(o.rows()).matrix(o.residual()).pointer(o.delta() == null ? 0 : o.delta().address())
                .integer(o.delta() == null ? 0 : o.delta().stride()).pointer(o.scale().address()).real(o.eps()).matrix(o.out())
                .integer(o.residual().columns());
        int threads = normThreads(o.residual().columns());
        Call few = l.launch(l.kernel("add_rms_norm"), arguments, threads, 0,
                (extent, launch) -> launch.grid(oneEach(o.rows().count(extent)), 1, 1));
        if (!ROWS_IN_REGISTERS.contains(o.residual().columns()) || !aligned(o)) {
            return few;
        }
        Call many = l.launch(l.kernel("add_rms_norm_rows", "_c" + o.residual().columns()), arguments, ROWS_OF_BLOCK * 32, 0,
                (extent, launch) -> launch.grid(Launch.blocks(o.rows().count(extent), ROWS_OF_BLOCK), 1, 1));
        int wave = l.context.device.processors() * (l.context.device.threadsPerProcessor() / threads); // rows, which all have a block at the same time
        return extent -> (o.rows().count(extent) > wave ? many : few).issue(extent);
    }

    /** Whole warps: then a thread keeps its four elements in registers. */
    private static int normThreads(int width) {
        int four = 32 * Launch.blocks(width, 4 * 32);
        return four <= MOST_THREADS ? four : THREADS;
    }

    /**
     * The norm of an operation whose product has been left in planes, which it adds to the residual.
     *
     * @param planes their address: {@code count} matrices of {@code rows} rows, one after the other
     */
    static Call addPlanesRmsNorm(Lowering l, Operation.LinearAddNorm o, long planes, int rows, int count) {
        int width = o.residual().columns();
        Arguments arguments = l.arguments().rows(o.rows()).matrix(o.residual()).pointer(planes).integer(width).wide((long) rows * width)
                .integer(count).pointer(o.scale().address()).real(o.eps()).matrix(o.out()).integer(width);
        return l.launch(l.kernel("add_planes_rms_norm"), arguments, normThreads(width), 0,
                (extent, launch) -> launch.grid(oneEach(o.rows().count(extent)), 1, 1));
    }

    private static boolean aligned(Operation.AddRmsNorm o) {
        return o.residual().aligned() && (o.delta() == null || o.delta().aligned()) && o.scale().address() % 16 == 0
                && o.out().address() % 16 == 0 && (long) o.out().stride() * o.out().type().bytes() % 16 == 0;
    }

    static Call gatedGelu(Lowering l, Operation.GatedGelu o) {
        Arguments arguments =
                l.arguments().rows(o.rows()).matrix(o.gate()).matrix(o.up()).matrix(o.out()).integer(o.out().columns());
        int perBlock = THREADS * 16 / l.operands.bytes();
        int many = 2 * l.context.device.processors(); // rows from which on a block takes four times as much: they keep the chip busy anyway
        return l.launch(l.kernel("gated_gelu"), arguments, THREADS, 0,
                (extent, launch) -> {
                    int rows = o.rows().count(extent);
                    launch.grid(Launch.blocks(o.out().columns(), rows < many ? perBlock : VECTORS_AT_ONCE * perBlock), rows, 1);
                });
    }

    /** The default body. */
    static Call gatedMlp(Lowering l, Operation.GatedMlp o) {
        Operation.GatedLinear first = Operation.GatedLinear.of(o);
        return Lowering.all(l.lower(first), l.lower(new Operation.Linear(o.rows(), first.hidden(), CudaWeight.of(o.weights().down()),
                CudaWeight.of(o.weights().downBias()), o.out())));
    }

    static Call selectRows(Lowering l, Operation.SelectRows o) {
        Arguments arguments = l.arguments().step(o.step()).matrix(o.in()).matrix(o.out()).integer(o.in().columns());
        String type = o.in().type() == DType.F32 ? "f32" : "bf16";
        return l.launch(l.kernels.get("select_rows_" + type), arguments, THREADS, 0,
                (extent, launch) -> launch.grid(oneEach(extent.outputs), 1, 1));
    }

    static Call logits(Lowering l, Operation.Logits o) {
        return LinearCall.logits(l, o);
    }

    private static int oneEach(int rows) {
        return Math.min(rows, Launch.MOST_ROWS_OF_BLOCKS);
    }
}
