package griffin.backend.cuda;

/** Sampling in four launches, and the step's own bookkeeping. */
final class SamplingCalls {

    private static final int SLICE = 2048;
    private static final int CANDIDATES = 2048 + 512;
    /** Blocks of a multiprocessor at once: with more slices than that, a block takes several, one after the other. */
    private static final int SLICE_BLOCKS = 4;

    private SamplingCalls() {}

    static Call sample(Lowering l, Operation.Sample o) {
        int vocabulary = o.logits().columns();
        int slices = Launch.blocks(vocabulary, SLICE);
        int room = SLICE_BLOCKS * l.context.device.processors();
        long perSequence = 48 + 8L * (5L * slices + CANDIDATES) + 64L * slices; // struct SampleScratch of sample.cuh
        long scratch = l.memory.scratch("sampling from " + vocabulary, perSequence * o.step().maxSequences());
        Launch.Geometry bySlices = (extent, launch) -> launch.grid(sliceBlocks(slices, extent.sequences, room), extent.sequences, 1);
        return Lowering.all(
                l.launch(l.kernels.get("sample_scan"), arguments(l, o, scratch), 256, 0, bySlices),
                l.launch(l.kernels.get("sample_filter"), arguments(l, o, scratch), 256, 0, bySlices),
                l.launch(l.kernels.get("sample_choose"), arguments(l, o, scratch), 1024, 0,
                        (extent, launch) -> launch.grid(extent.sequences, 1, 1)),
                l.launch(l.kernels.get("sample_draw"), arguments(l, o, scratch), 256, 0, bySlices));
    }

    /** Blocks that share a sequence's slices as evenly as one round of `room` blocks allows. */
    static int sliceBlocks(int slices, int sequences, int room) {
        int each = Math.max(1, Launch.blocks((long) slices * sequences, room));
        return Launch.blocks(slices, each);
    }

    private static Arguments arguments(Lowering l, Operation.Sample o, long scratch) {
        return l.arguments().step(o.step()).matrix(o.logits()).pointer(o.seen().address()).integer(o.seen().columns())
                .integer(o.logits().columns()).pointer(scratch);
    }

    static Call advance(Lowering l, Operation.Advance o) {
        return l.launch(l.kernels.get("advance"), l.arguments().step(o.step()), 256, 0, (extent, launch) -> launch.grid(1, 1, 1));
    }

    static Call publish(Lowering l, Operation.Publish o) {
        return l.launch(l.kernels.get("publish_result"), l.arguments().step(o.step()), 256, 0, (extent, launch) -> launch.grid(1, 1, 1));
    }
}
