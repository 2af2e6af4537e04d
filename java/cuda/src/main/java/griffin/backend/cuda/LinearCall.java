package griffin.backend.cuda;

import griffin.backend.DType;

/**
 * A product of a step's rows: one streams the weights through linear.cu; more go to cuBLASLt. Where that is absent, or the rows are not
 * aligned, up to 8 rows go to linear.cu, too, and more to gemm.cu. A product that adds to the residual takes linear.cu up to 8 rows in any
 * case: it fetches weights while the kernel before it still runs, which outweighs that cuBLASLt is faster alone (decode step of 2B on an
 * H200, by cuBLASLt alone and by this: 2 sequences 2.20 and 2.13 ms, 4: 2.24 and 2.21, 8: 2.26 and 2.25).
 */
final class LinearCall implements Call {

    private static final int BF16_TILE = 128;
    private static final int F32_TILE = 64;
    private static final int BF16_SHARED = 98304;
    private static final int WGMMA_THREADS = 256;
    private static final int WGMMA_SHARED = 197632;

    private final CudaRows rows;
    private final Launch[] few;
    /** The most rows that {@link #few} takes. */
    private final int most;
    private final Call many;

    private LinearCall(CudaRows rows, Launch[] few, int most, Call many) {
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
        Launch launch = m <= most ? few[Integer.numberOfTrailingZeros(MatVec.bucket(m))] : null;
        (launch != null ? launch : many).issue(extent);
    }

    private interface Packing {
        Arguments arguments();
    }

    /** A mat-vec for each of 1, 2, 4 and 8 rows up to {@code most}; null where the rows do not fit in shared memory. */
    private static Launch[] few(Lowering lowering, String name, int inputs, int units, int most, boolean vectors, Packing packing) {
        Launch[] out = new Launch[Integer.numberOfTrailingZeros(MatVec.bucket(most)) + 1];
        for (int i = 0; i < out.length; i++) {
            MatVec.Shape shape = lowering.matVec.choose(1 << i, inputs, units, vectors);
            if (shape != null) {
                out[i] = lowering.launch(lowering.kernels.get(name + "_" + CudaUpload.word(lowering.operands) + "_r" + (1 << i)),
                        packing.arguments(), shape.threads(), shape.shared(),
                        (extent, launch) -> launch.grid(lowering.matVec.processors(), 1, 1));
            }
        }
        return out;
    }

    static Call of(Lowering l, Operation.Linear o) {
        int most = most(l, o.in(), o.w(), o.bias(), o.out());
        Launch[] few = few(l, "linear_decode", o.w().columns(), o.w().rows(), most, o.in().aligned(),
                () -> l.arguments().rows(o.rows()).matrix(o.in()).pointer(o.w().address()).pointer(CudaWeight.addressOf(o.bias()))
                        .matrix(o.out()).integer(o.out().isFloat() ? 1 : 0).integer(o.w().rows()).integer(o.w().columns()));
        return new LinearCall(o.rows(), few, most, many(l, o.rows(), o.in(), o.w(), o.bias(), o.out(), false));
    }

    static Call of(Lowering l, Operation.NormLinear o) {
        Launch[] few = few(l, "norm_linear_decode", o.w().columns(), o.w().rows(), 1, true,
                () -> normed(l, o.rows(), o.residual(), o.scale(), o.eps()).pointer(o.w().address()).pointer(CudaWeight.addressOf(o.bias()))
                        .matrix(o.out()).integer(o.out().isFloat() ? 1 : 0).integer(o.w().rows()).integer(o.w().columns()));
        return new LinearCall(o.rows(), few, 1, fewOnly(o));
    }

    static Call of(Lowering l, Operation.LinearAdd o) {
        Launch[] few = few(l, "linear_add_decode", o.w().columns(), o.w().rows(), MatVec.MOST_ROWS, o.in().aligned(),
                () -> l.arguments().rows(o.rows()).matrix(o.in()).pointer(o.w().address()).pointer(CudaWeight.addressOf(o.bias()))
                        .matrix(o.residual()).integer(o.w().rows()).integer(o.w().columns()));
        return new LinearCall(o.rows(), few, MatVec.MOST_ROWS, many(l, o.rows(), o.in(), o.w(), o.bias(), o.residual(), true));
    }

    static Call of(Lowering l, Operation.NormGatedLinear o) {
        int width = o.w().rows() / 2;
        Launch[] few = few(l, "norm_gated_linear_decode", o.w().columns(), width, 1, true,
                () -> normed(l, o.rows(), o.residual(), o.scale(), o.eps()).pointer(o.w().address()).pointer(CudaWeight.addressOf(o.bias()))
                        .matrix(o.out()).integer(width).integer(o.w().columns()));
        return new LinearCall(o.rows(), few, 1, fewOnly(o));
    }

    /** The most rows for linear.cu, where cuBLASLt would be faster with more than one. */
    private static int most(Lowering l, CudaBuffer in, CudaWeight w, CudaWeight bias, CudaBuffer out) {
        return l.products != null && l.products.serves(in, w, bias, out) ? 1 : MatVec.MOST_ROWS;
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
        Launch[] few = few(l, "logits_decode", o.table().columns(), o.table().rows(), most, o.x().aligned(),
                () -> l.arguments().rows(o.rows()).matrix(o.x()).pointer(o.table().address()).real(o.cap()).matrix(o.out())
                        .integer(o.table().rows()).integer(o.table().columns()));
        Arguments cap = l.arguments().rows(o.rows()).matrix(o.out()).real(o.cap()).integer(o.table().rows());
        Launch capped = l.launch(l.kernels.get("soft_cap"), cap, 256, 0,
                (extent, launch) -> launch.grid(Launch.blocks(o.table().rows(), 1024), o.cap() > 0 ? o.rows().count(extent) : 0, 1));
        return new LinearCall(o.rows(), few, most(l, o.x(), o.table(), null, o.out()),
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
