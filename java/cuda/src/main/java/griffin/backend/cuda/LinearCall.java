package griffin.backend.cuda;

import griffin.backend.DType;
import java.util.ArrayList;
import java.util.List;

/**
 * A product of a step's rows. One row streams the weights through a mat-vec of linear.cu ({@link MatVec}). In bfloat16 the next rows go by
 * tiles ({@link TileProduct}), and more to cuBLASLt, or where that is absent, or the rows are not aligned, to gemm.cu. By tiles weights
 * are fetched while the kernel before still runs, which is why cuBLASLt, even if it is faster alone, is not asked at once: decode steps of 2B
 * on an H200 take 2.08 to 2.11 ms instead of cuBLASLt's 2.18 with 4 sequences, 2.13 instead of 2.21 with 8; with 32, 2.72 instead of 2.51,
 * for every block reads all of x. In float32 up to 8 rows go to mat-vecs where cuBLASLt does not serve, and those
 * that add to the residual in any case.
 */
final class LinearCall implements Call {

    private static final int BF16_TILE = 128;
    private static final int F32_TILE = 64;
    private static final int BF16_SHARED = 98304;
    private static final int WGMMA_THREADS = 256;
    private static final int WGMMA_SHARED = 197632;

    /** What serves up to so many rows; null where they do not fit in shared memory. */
    private record Form(int rows, Call call) {}

    private final CudaRows rows;
    /** By their rows, ascending. */
    private final List<Form> few;
    /** The most rows that {@link #few} takes. */
    private final int most;
    private final Call many;

    private LinearCall(CudaRows rows, List<Form> few, int most, Call many) {
        this.rows = rows;
        this.few = few;
        this.most = most;
        this.many = many;
    }

    @Override
    public void issue(Extent extent) {
        int m = rows.count(extent);
        if (m == 0) {
            return;
        }
        Call call = m <= most ? smallest(m) : null;
        (call != null ? call : many).issue(extent);
    }

    private Call smallest(int m) {
        for (Form form : few) {
            if (form.rows >= m) {
                return form.call;
            }
        }
        return null;
    }

    private interface Packing {
        Arguments arguments();
    }

    /** A launch by tiles for a form of so many rows. */
    private interface Tiles {
        Call of(int form, TileProduct.Shape shape);
    }

    /** The forms up to {@code most} rows: a mat-vec for one; for more in float32 others, in bfloat16 tiles of the same arguments. */
    private static List<Form> few(Lowering l, String name, int inputs, int units, int most, boolean vectors, Packing packing) {
        List<Form> forms = new ArrayList<>();
        for (int rows = 1; rows <= (l.operands == DType.BF16 ? 1 : MatVec.bucket(most)); rows *= 2) {
            MatVec.Shape shape = l.matVec.choose(rows, inputs, units, vectors);
            forms.add(new Form(rows, shape == null ? null : l.launch(l.kernel(name, "_r" + rows), packing.arguments(), shape.threads(),
                    shape.shared(), (extent, launch) -> launch.grid(l.matVec.processors(), 1, 1))));
        }
        if (l.operands == DType.BF16) {
            addTiles(l, forms, inputs, vectors, units, 1, 1, most, (form, shape) -> tiles(l, name, form, shape, packing.arguments()));
        }
        return forms;
    }

    /** Adds the forms up to {@code most} rows by tiles, none where the kernels would have to add element by element. */
    private static void addTiles(Lowering l, List<Form> forms, int inputs, boolean vectors, int units, int pair, int planes, int most,
            Tiles tiles) {
        for (int form : TileProduct.forms()) {
            if (vectors && inputs % TileProduct.INPUTS_UNIT == 0 && forms.getLast().rows < most) {
                TileProduct.Shape shape = l.tiles.choose(form, inputs, units, pair, planes);
                forms.add(new Form(form, shape == null ? null : tiles.of(form, shape)));
            }
        }
    }

    private static Launch tiles(Lowering l, String name, int form, TileProduct.Shape shape, Arguments arguments) {
        return l.launch(l.kernel(name, "_r" + form), arguments, TileProduct.THREADS, shape.shared(),
                (extent, launch) -> launch.grid(shape.grid(), 1, 1));
    }

    static Call of(Lowering l, Operation.Linear o) {
        int most = most(l, o.in(), o.w(), o.bias(), o.out());
        List<Form> few = few(l, "linear_decode", o.w().columns(), o.w().rows(), most, o.in().aligned(),
                () -> product(l, o.rows(), o.in(), o.w(), o.bias())
                        .matrix(o.out()).integer(o.out().isFloat() ? 1 : 0).integer(o.w().rows()).integer(o.w().columns()));
        return new LinearCall(o.rows(), few, most, many(l, o.rows(), o.in(), o.w(), o.bias(), o.out(), false));
    }

    static Call of(Lowering l, Operation.NormLinear o) {
        List<Form> few = few(l, "norm_linear_decode", o.w().columns(), o.w().rows(), 1, true,
                () -> normed(l, o.rows(), o.residual(), o.scale(), o.eps()).pointer(o.w().address()).pointer(CudaWeight.addressOf(o.bias()))
                        .matrix(o.out()).integer(o.out().isFloat() ? 1 : 0).integer(o.w().rows()).integer(o.w().columns()));
        return new LinearCall(o.rows(), few, 1, fewOnly(o));
    }

    /** In bfloat16 there are planes for more than one row: {@link Operation.LinearAddNorm}. */
    static Call of(Lowering l, Operation.LinearAdd o) {
        int most = l.operands == DType.BF16 ? 1 : MatVec.MOST_ROWS;
        List<Form> few = few(l, "linear_add_decode", o.w().columns(), o.w().rows(), most, o.in().aligned(),
                () -> product(l, o.rows(), o.in(), o.w(), o.bias())
                        .matrix(o.residual()).integer(o.w().rows()).integer(o.w().columns()));
        return new LinearCall(o.rows(), few, most, many(l, o.rows(), o.in(), o.w(), o.bias(), o.residual(), true));
    }

    /** By tiles the sums are left in planes, which the norm adds to the residual: more blocks have work, each with fewer bytes of the input. */
    static Call of(Lowering l, Operation.LinearAddNorm o) {
        Call parts = Lowering.all(l.lower(o.sum()), l.lower(o.norm()));
        if (l.operands != DType.BF16) {
            return parts;
        }
        int most = most(l, o.in(), o.w(), o.bias(), o.residual());
        List<Form> few = new ArrayList<>(List.of(new Form(1, parts)));
        addTiles(l, few, o.w().columns(), o.in().aligned(), o.w().rows(), 1, TileProduct.MOST_PLANES, most,
                (form, shape) -> planes(l, o, form, shape));
        return new LinearCall(o.rows(), few, most, parts);
    }

    private static Call planes(Lowering l, Operation.LinearAddNorm o, int form, TileProduct.Shape shape) {
        int outputs = o.w().rows();
        long plane = (long) form * outputs;
        long planes = l.memory.scratch("planes", TileProduct.MOST_PLANES * plane * Float.BYTES); // whatever their number: one for all layers
        Arguments arguments = product(l, o.rows(), o.in(), o.w(), o.bias()).pointer(planes).integer(outputs).wide(plane)
                .integer(shape.planes()).integer(outputs).integer(o.w().columns());
        return Lowering.all(tiles(l, "linear_planes_decode", form, shape, arguments),
                DenseCalls.addPlanesRmsNorm(l, o, planes, form, shape.planes()));
    }

    static Call of(Lowering l, Operation.NormGatedLinear o) {
        int width = o.w().rows() / 2;
        List<Form> few = few(l, "norm_gated_linear_decode", o.w().columns(), width, 1, true,
                () -> normed(l, o.rows(), o.residual(), o.scale(), o.eps()).pointer(o.w().address()).pointer(CudaWeight.addressOf(o.bias()))
                        .matrix(o.out()).integer(width).integer(o.w().columns()));
        return new LinearCall(o.rows(), few, 1, fewOnly(o));
    }

    static Call of(Lowering l, Operation.GatedLinear o) {
        Call parts = Lowering.all(l.lower(o.product()), l.lower(o.gelu()));
        if (l.operands != DType.BF16) {
            return parts;
        }
        int most = most(l, o.in(), o.w(), o.bias(), o.gateAndUp());
        List<Form> few = new ArrayList<>(List.of(new Form(1, parts)));
        addTiles(l, few, o.w().columns(), o.in().aligned(), o.width(), 2, 1, most,
                (form, shape) -> tiles(l, "gated_linear_decode", form, shape, product(l, o.rows(), o.in(), o.w(), o.bias())
                        .matrix(o.hidden()).integer(o.width()).integer(o.w().columns())));
        return new LinearCall(o.rows(), few, most, parts);
    }

    /** The most rows for linear.cu. */
    private static int most(Lowering l, CudaBuffer in, CudaWeight w, CudaWeight bias, CudaBuffer out) {
        boolean library = l.products != null && l.products.serves(in, w, bias, out);
        return l.operands == DType.BF16 ? l.tiles.most(library) : library ? 1 : MatVec.MOST_ROWS;
    }

    /** What all products begin with. */
    private static Arguments product(Lowering l, CudaRows rows, CudaBuffer in, CudaWeight w, CudaWeight bias) {
        return l.arguments().rows(rows).matrix(in).pointer(w.address()).pointer(CudaWeight.addressOf(bias));
    }

    private static Arguments normed(Lowering l, CudaRows rows, CudaBuffer residual, CudaWeight scale, float eps) {
        return l.arguments().rows(rows).matrix(residual).pointer(scale.address()).real(eps);
    }

    private static Call fewOnly(Operation operation) {
        return extent -> {
            throw new IllegalStateException(operation.getClass().getSimpleName() + " is planned for one row, not " + extent.rows);
        };
    }

    /** The logits of few rows, cap included. */
    static Call logits(Lowering l, Operation.Logits o) {
        int most = most(l, o.x(), o.table(), null, o.out());
        List<Form> few = few(l, "logits_decode", o.table().columns(), o.table().rows(), most, o.x().aligned(),
                () -> l.arguments().rows(o.rows()).matrix(o.x()).pointer(o.table().address()).real(o.cap()).matrix(o.out())
                        .integer(o.table().rows()).integer(o.table().columns()));
        Arguments cap = l.arguments().rows(o.rows()).matrix(o.out()).real(o.cap()).integer(o.table().rows());
        Launch capped = l.launch(l.kernels.get("soft_cap"), cap, 256, 0,
                (extent, launch) -> launch.grid(Launch.blocks(o.table().rows(), 1024), o.cap() > 0 ? o.rows().count(extent) : 0, 1));
        return new LinearCall(o.rows(), few, most,
                Lowering.all(many(l, o.rows(), o.x(), o.table(), null, o.out(), false), capped));
    }

    /** out = in w^T + bias, or out += that, by cuBLASLt where it is there and can, else by Griffin's own kernel. */
    private static Call many(Lowering l, CudaRows rows, CudaBuffer in, CudaWeight w, CudaWeight bias, CudaBuffer out, boolean add) {
        Launch own = gemm(l, rows, in, w, bias, out, add);
        return l.products == null || !l.products.serves(in, w, bias, out) ? own : extent -> {
            int m = extent.padded(rows.count(extent), Math.min(in.rows(), out.rows()));
            if (l.products.multiply(in, w, bias, out, m, add)) {
                extent.dependent = true; // a product starts when all before it has ended
            } else {
                own.issue(extent);
            }
        };
    }

    private static Launch gemm(Lowering l, CudaRows rows, CudaBuffer in, CudaWeight w, CudaWeight bias, CudaBuffer out, boolean add) {
        Arguments arguments = l.arguments().rows(rows).matrix(in).pointer(w.address()).pointer(CudaWeight.addressOf(bias)).matrix(out)
                .integer(out.isFloat() ? 1 : 0).integer(add ? 1 : 0).integer(w.rows()).integer(w.columns());
        if (l.wgmma && in.aligned() && w.columns() % 8 == 0) {
            return l.launch(l.kernel("gemm_wgmma"), arguments, WGMMA_THREADS, WGMMA_SHARED,
                    (extent, launch) -> launch.grid(Launch.blocks(rows.count(extent), BF16_TILE), Launch.blocks(w.rows(), 256), 1));
        }
        int tile = tile(l);
        return l.launch(l.kernel("gemm"), arguments, gemmThreads(l), gemmShared(l),
                (extent, launch) -> launch.grid(Launch.blocks(rows.count(extent), tile), Launch.blocks(w.rows(), tile), 1));
    }

    /** Rows, and outputs, of a block of gemm.cu. */
    static int tile(Lowering l) {
        return l.operands == DType.BF16 ? BF16_TILE : F32_TILE;
    }

    static int gemmThreads(Lowering l) {
        return l.operands == DType.BF16 ? 128 : 256;
    }

    static int gemmShared(Lowering l) {
        return l.operands == DType.BF16 ? BF16_SHARED : 0;
    }
}
