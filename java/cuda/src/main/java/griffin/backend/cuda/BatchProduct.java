package griffin.backend.cuda;

import java.lang.foreign.MemorySegment;

/**
 * A bfloat16 product of 2 to 32 rows, by one of two engines whose kernels take the same output: streams ({@link StreamProduct}) and tiles
 * ({@link TileProduct}).
 *
 * @param name   of the kernels, without engine, type and form
 * @param units  outputs, or pairs of gate and up
 * @param pair   weight rows of a unit: 1 or 2
 * @param planes that the output can take
 * @param room   bytes of shared memory that a block by streams may take: {@link StreamProduct#ROOM}, or less for the sake of what follows
 */
record BatchProduct(String name, CudaRows rows, CudaBuffer in, CudaWeight w, int units, int pair, int planes, int room, Output output) {

    /** What becomes of the sums. */
    interface Output {

        /** Appends the arguments that follow x and w. @param form 8, 16 or 32 @param planes in which the launch leaves the sums */
        Arguments arguments(Arguments arguments, int form, int planes);

        /** The product with whatever has to follow it. */
        default Call complete(Call product, int form, int planes) {
            return product;
        }
    }

    /** By streams; null where they do not take it. */
    Call stream(Lowering l, int form) {
        StreamProduct.Shape shape =
                l.streams.takes(in, w, pair) ? l.streams.choose(form, w.columns(), units, pair, planes, room) : null;
        if (shape == null) {
            return null;
        }
        Arguments arguments = l.arguments();
        mapWeights(arguments.struct(TensorMap.BYTES, TensorMap.ALIGNMENT), shape.tileRows());
        TensorMap.encode(arguments.struct(TensorMap.BYTES, TensorMap.ALIGNMENT), in.address(), new long[] {w.columns(), in.rows()},
                new long[] {2L * in.stride()}, new int[] {StreamProduct.PANEL, form});
        output.arguments(arguments.integer(shape.tileRows()).rows(rows), form, shape.planes());
        Call product = l.launch(l.kernel(name + "_stream", "_r" + form), arguments, shape.threads(), shape.shared(),
                (extent, launch) -> launch.grid(shape.grid(), 1, 1));
        return output.complete(product, form, shape.planes());
    }

    /** A tile of pairs is four gates, their four ups, the next four gates and so on. */
    private void mapWeights(MemorySegment into, int tileRows) {
        long row = 2L * w.columns();
        if (pair == 1) {
            TensorMap.encode(into, w.address(), new long[] {w.columns(), units}, new long[] {row},
                    new int[] {StreamProduct.PANEL, tileRows});
        } else {
            TensorMap.encode(into, w.address(), new long[] {w.columns(), 4, 2, units / 4}, new long[] {row, row * units, 4 * row},
                    new int[] {StreamProduct.PANEL, 4, 2, tileRows / 8});
        }
    }

    /** By tiles; null where they do not take it, since their kernels would have to add element by element, or it does not fit. */
    Call tiles(Lowering l, int form) {
        TileProduct.Shape shape = in.aligned() && w.columns() % TileProduct.INPUTS_UNIT == 0
                ? l.tiles.choose(form, w.columns(), units, pair, planes) : null;
        if (shape == null) {
            return null;
        }
        Arguments arguments = output.arguments(l.arguments().rows(rows).matrix(in).pointer(w.address()), form, shape.planes());
        Call product = l.launch(l.kernel(name + "_decode", "_r" + form), arguments, TileProduct.THREADS, shape.shared(),
                (extent, launch) -> launch.grid(shape.grid(), 1, 1));
        return output.complete(product, form, shape.planes());
    }
}
