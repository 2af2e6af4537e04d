package griffin.backend.cuda;

import griffin.backend.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;

/**
 * A product of a step's rows. One row streams the weights through a mat-vec of linear.cu ({@link MatVec}). In bfloat16 the next rows, up to
 * 32, go by streams ({@link StreamProduct}) on Hopper. On other cards, and where streams do not take the operands, they go by tiles
 * ({@link TileProduct}), beside cuBLASLt only up to 8. More rows go to cuBLASLt, or where that is absent, or the rows are not aligned, to
 * gemm.cu. By streams and tiles weights are fetched while the kernel before still runs, and what follows a product is mostly part of it,
 * which is why cuBLASLt is not asked at once even where it is faster alone: decode steps of 2B with 4 sequences on an H200 take 2.08 to 2.11 ms
 * by tiles, 2.18 with cuBLASLt. In float32 up to 8 rows go to mat-vecs where cuBLASLt does not serve, and those that add to the residual
 * in any case.
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
    /** By their rows, ascending; for more there is {@link #many}. */
    private final List<Form> few;
    private final Call many;

    private LinearCall(CudaRows rows, List<Form> few, Call many) {
        this.rows = rows;
        this.few = few;
        this.many = many;
    }

    @Override
    public void issue(Extent extent) {
        int m = rows.count(extent);
        if (m == 0) {
            return;
        }
        Call call = smallest(m);
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

    /** Mat-vecs: for one row, in float32 for up to {@code most}. */
    private static List<Form> matVecs(Lowering l, String name, int inputs, int units, int most, boolean vectors, Packing packing) {
        List<Form> forms = new ArrayList<>();
        for (int rows = 1; rows <= (l.operands == DType.BF16 ? 1 : MatVec.bucket(most)); rows *= 2) {
            MatVec.Shape shape = l.matVec.choose(rows, inputs, units, vectors);
            forms.add(new Form(rows, shape == null ? null : l.launch(l.kernel(name, "_r" + rows), packing.arguments(), shape.threads(),
                    shape.shared(), (extent, launch) -> launch.grid(l.matVec.processors(), 1, 1))));
        }
        return forms;
    }

    /** Adds the bfloat16 forms for more than one row: by streams as far as they go, by tiles from there. */
    private static List<Form> withBatches(Lowering l, List<Form> forms, BatchProduct product, boolean library) {
        if (l.operands == DType.BF16) {
            for (int form : TileProduct.forms()) {
                addForm(forms, Math.min(form, l.streams.most()), () -> product.stream(l, form));
                addForm(forms, Math.min(form, l.tiles.most(library)), () -> product.tiles(l, form));
            }
        }
        return forms;
    }

    /** Adds what serves up to so many rows, if there is that, unless all of them are served. */
    private static void addForm(List<Form> forms, int rows, Supplier<Call> made) {
        Call call = rows > forms.getLast().rows ? made.get() : null;
        if (call != null) {
            forms.add(new Form(rows, call));
        }
    }

    static Call of(Lowering l, Operation.Linear o) {
        boolean library = library(l, o.in(), o.w(), o.bias(), o.out());
        int outputs = o.w().rows();
        BatchProduct.Output output = (arguments, form, planes) -> arguments.pointer(CudaWeight.addressOf(o.bias())).matrix(o.out())
                .integer(o.out().isFloat() ? 1 : 0).integer(outputs).integer(o.w().columns());
        List<Form> one = matVecs(l, "linear_decode", o.w().columns(), outputs, library ? 1 : MatVec.MOST_ROWS, o.in().aligned(),
                () -> output.arguments(product(l, o.rows(), o.in(), o.w()), 1, 1));
        List<Form> few = withBatches(l, one, new BatchProduct("linear", o.rows(), o.in(), o.w(), outputs, 1, 1,
                StreamProduct.ROOM_BESIDE, output), library);
        return new LinearCall(o.rows(), few, many(l, o.rows(), o.in(), o.w(), o.bias(), o.out(), false));
    }

    static Call of(Lowering l, Operation.NormLinear o) {
        List<Form> one = matVecs(l, "norm_linear_decode", o.w().columns(), o.w().rows(), 1, true,
                () -> normed(l, o.rows(), o.residual(), o.scale(), o.eps()).pointer(o.w().address()).pointer(CudaWeight.addressOf(o.bias()))
                        .matrix(o.out()).integer(o.out().isFloat() ? 1 : 0).integer(o.w().rows()).integer(o.w().columns()));
        return new LinearCall(o.rows(), one, fewOnly(o));
    }

    /** In bfloat16 there are planes for more than one row: {@link Operation.LinearAddNorm}. */
    static Call of(Lowering l, Operation.LinearAdd o) {
        List<Form> few = matVecs(l, "linear_add_decode", o.w().columns(), o.w().rows(), MatVec.MOST_ROWS, o.in().aligned(),
                () -> product(l, o.rows(), o.in(), o.w()).pointer(CudaWeight.addressOf(o.bias()))
                        .matrix(o.residual()).integer(o.w().rows()).integer(o.w().columns()));
        return new LinearCall(o.rows(), few, many(l, o.rows(), o.in(), o.w(), o.bias(), o.residual(), true));
    }

    /** Of several rows the sums are left in planes, which the norm adds to the residual: more blocks have work, each with fewer inputs. */
    static Call of(Lowering l, Operation.LinearAddNorm o) {
        Call parts = Lowering.all(l.lower(o.sum()), l.lower(o.norm()));
        BatchProduct product = new BatchProduct("linear_planes", o.rows(), o.in(), o.w(), o.w().rows(), 1, TileProduct.MOST_PLANES,
                StreamProduct.ROOM, new Planes(l, o));
        return new LinearCall(o.rows(), withBatches(l, one(parts), product, library(l, o.in(), o.w(), o.bias(), o.residual())), parts);
    }

    /** One row is done by the parts, too. */
    private static List<Form> one(Call parts) {
        return new ArrayList<>(List.of(new Form(1, parts)));
    }

    /** Sums left in planes, and the norm that adds them up. */
    private record Planes(Lowering l, Operation.LinearAddNorm o) implements BatchProduct.Output {

        private long elements(int form) {
            return (long) form * o.w().rows();
        }

        /** Whatever their number: one place for all layers. */
        private long address(int form) {
            return l.memory.scratch("planes", TileProduct.MOST_PLANES * elements(form) * Float.BYTES);
        }

        @Override
        public Arguments arguments(Arguments arguments, int form, int planes) {
            int outputs = o.w().rows();
            return arguments.pointer(CudaWeight.addressOf(o.bias())).pointer(address(form)).integer(outputs).wide(elements(form))
                    .integer(planes).integer(outputs).integer(o.w().columns());
        }

        @Override
        public Call complete(Call product, int form, int planes) {
            return Lowering.all(product, DenseCalls.addPlanesRmsNorm(l, o, address(form), form, planes));
        }
    }

    static Call of(Lowering l, Operation.NormGatedLinear o) {
        int width = o.w().rows() / 2;
        List<Form> one = matVecs(l, "norm_gated_linear_decode", o.w().columns(), width, 1, true,
                () -> normed(l, o.rows(), o.residual(), o.scale(), o.eps()).pointer(o.w().address()).pointer(CudaWeight.addressOf(o.bias()))
                        .matrix(o.out()).integer(width).integer(o.w().columns()));
        return new LinearCall(o.rows(), one, fewOnly(o));
    }

    static Call of(Lowering l, Operation.GatedLinear o) {
        Call parts = Lowering.all(l.lower(o.product()), l.lower(o.gelu()));
        BatchProduct product = new BatchProduct("gated_linear", o.rows(), o.in(), o.w(), o.width(), 2, 1, StreamProduct.ROOM,
                (arguments, form, planes) -> arguments.pointer(CudaWeight.addressOf(o.bias())).matrix(o.hidden()).integer(o.width())
                        .integer(o.w().columns()));
        return new LinearCall(o.rows(), withBatches(l, one(parts), product, library(l, o.in(), o.w(), o.bias(), o.gateAndUp())), parts);
    }

    /** Whether cuBLASLt could do the product. */
    private static boolean library(Lowering l, CudaBuffer in, CudaWeight w, CudaWeight bias, CudaBuffer out) {
        return l.products != null && l.products.serves(in, w, bias, out);
    }

    /** What all products of linear.cu and logits.cu begin with. */
    private static Arguments product(Lowering l, CudaRows rows, CudaBuffer in, CudaWeight w) {
        return l.arguments().rows(rows).matrix(in).pointer(w.address());
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
        boolean library = library(l, o.x(), o.table(), null, o.out());
        int vocabulary = o.table().rows();
        BatchProduct.Output output = (arguments, form, planes) -> arguments.real(o.cap()).matrix(o.out()).integer(vocabulary)
                .integer(o.table().columns());
        List<Form> one = matVecs(l, "logits_decode", o.table().columns(), vocabulary, library ? 1 : MatVec.MOST_ROWS, o.x().aligned(),
                () -> output.arguments(product(l, o.rows(), o.x(), o.table()), 1, 1));
        List<Form> few = withBatches(l, one, new BatchProduct("logits", o.rows(), o.x(), o.table(), vocabulary, 1, 1,
                StreamProduct.ROOM, output), library);
        Arguments cap = l.arguments().rows(o.rows()).matrix(o.out()).real(o.cap()).integer(vocabulary);
        Launch capped = l.launch(l.kernels.get("soft_cap"), cap, 256, 0,
                (extent, launch) -> launch.grid(Launch.blocks(vocabulary, 1024), o.cap() > 0 ? o.rows().count(extent) : 0, 1));
        return new LinearCall(o.rows(), few, Lowering.all(many(l, o.rows(), o.x(), o.table(), null, o.out(), false), capped));
    }

    /** out = in w^T + bias, or out += that, by cuBLASLt where it is there and can, else by Griffin's own kernel. */
    private static Call many(Lowering l, CudaRows rows, CudaBuffer in, CudaWeight w, CudaWeight bias, CudaBuffer out, boolean add) {
        Launch own = gemm(l, rows, in, w, bias, out, add);
        return !library(l, in, w, bias, out) ? own : extent -> {
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
