package griffin.backend.cuda;

import griffin.backend.Rows;
import griffin.backend.Step;
import griffin.backend.StepPlan;
import griffin.backend.StepResult;
import griffin.bindings.cuda.Cuda;
import griffin.error.DeviceException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;

/** A step in device memory, and what the host needs to know of it: how many rows there are, which results were published. */
final class CudaStep implements Step {

    private static final VarHandle INT = ValueLayout.JAVA_INT.varHandle();
    /** Looks at the ring between two questions to the driver whether it still works: about a tenth of a millisecond. */
    private static final int SPINS = 4096;

    private final CudaContext context;
    private final StepImage layout;
    private final long device;
    private final MemorySegment image;
    private final CudaMemory.Mapped cancelled;
    private final CudaMemory.Mapped published;
    private final MemorySegment struct;
    private final CudaRows rows;
    private final CudaRows outputs;
    private int rowCount;
    private int sequenceCount;
    private int outputCount;
    private int before;
    private boolean oneRowEach;
    private int runs;

    CudaStep(CudaContext context, CudaMemory memory, int maxRows, int maxSequences, int scrapSlot) {
        this.context = context;
        layout = new StepImage(maxRows, maxSequences);
        device = memory.allocate(layout.bytes, "a step of " + maxRows + " rows");
        image = memory.pin(layout.submitted);
        cancelled = memory.map(4L * maxSequences);
        published = memory.map(4L * griffin.backend.Backend.RESULT_DEPTH * layout.publishedStride());
        struct = struct(scrapSlot);
        rows = new CudaRows(this, false, 0, maxRows);
        outputs = new CudaRows(this, true, 0, maxRows);
    }

    static CudaStep of(Step step) {
        return (CudaStep) step;
    }

    /** struct Step of cuda-kernels/src/common.cuh. */
    private MemorySegment struct(int scrapSlot) {
        long[] pointers = {device, device + layout.tokens, device + layout.positions, device + layout.rowSequence, device + layout.slots,
            device + layout.rowStarts, device + layout.outputRows, device + layout.sampledOutputs, device + layout.remaining,
            device + layout.endIds, cancelled.device(), device + layout.sampling, device + layout.ids, device + layout.logProbabilities,
            device + layout.alternativeIds, device + layout.alternativeLogProbabilities, device + layout.status, published.device()};
        int[] sizes = {layout.maxRows, layout.maxSequences, scrapSlot, layout.publishedStride()};
        MemorySegment out = context.arena.allocate(8L * pointers.length + 4L * sizes.length, 8);
        MemorySegment.copy(pointers, 0, out, ValueLayout.JAVA_LONG, 0, pointers.length);
        MemorySegment.copy(sizes, 0, out, ValueLayout.JAVA_INT, 8L * pointers.length, sizes.length);
        return out;
    }

    MemorySegment struct() {
        return struct;
    }

    long countAddress(int which) {
        return device + 4L * which;
    }

    /** Fills the step by one copy. Nothing may run meanwhile: the image and the cancel flags are the device's until then. */
    void submit(StepPlan plan) {
        layout.check(plan);
        context.synchronize("a run before submit");
        layout.fill(image, plan, runs);
        cancelled.host().fill((byte) 0);
        CudaErrors.check(Cuda.cuMemcpyHtoDAsync_v2(device, image, layout.submitted, context.stream), "cuMemcpyHtoDAsync of a step");
        rowCount = plan.rows();
        sequenceCount = plan.sequences();
        outputCount = plan.outputs();
        oneRowEach = rowCount == sequenceCount;
        before = 0;
        for (int s = 0; s < sequenceCount; s++) {
            before = Math.max(before, plan.position(plan.rowStart(s)));
        }
    }

    Extent extent(Extent into) {
        into.set(rowCount, sequenceCount, outputCount, oneRowEach);
        into.before = before;
        return into;
    }

    int sequences() {
        return sequenceCount;
    }

    /** A run was queued. Returns its number among this step's runs. */
    int ran(boolean advanced) {
        if (advanced) {
            before = (int) Math.min(Integer.MAX_VALUE, (long) before + rowCount); // at least what the longest has grown by
            rowCount = outputCount = sequenceCount;
            oneRowEach = true;
        }
        return runs++;
    }

    void cancel(int sequence) {
        INT.setVolatile(cancelled.host(), 4L * sequence, 1);
    }

    /** Waits until a run has published its result, and copies it. */
    void await(int run, StepResult into) {
        long slot = 4L * Integer.remainderUnsigned(run, griffin.backend.Backend.RESULT_DEPTH) * layout.publishedStride();
        MemorySegment ring = published.host();
        for (int spins = 1; (int) INT.getVolatile(ring, slot) != run + 1; spins++) {
            if (spins % SPINS == 0) {
                verifyAlive(ring, slot, run);
            }
            Thread.onSpinWait();
        }
        int n = Math.min(into.ids.length, layout.maxSequences);
        int s = layout.maxSequences;
        int alternatives = n * StepResult.MAX_ALTERNATIVES;
        MemorySegment.copy(ring, ValueLayout.JAVA_INT, slot + 4, into.ids, 0, n);
        MemorySegment.copy(ring, ValueLayout.JAVA_INT, slot + 4 + 4L * s, into.status, 0, n);
        MemorySegment.copy(ring, ValueLayout.JAVA_FLOAT, slot + 4 + 8L * s, into.logProbabilities, 0, n);
        long lists = slot + 4 + 12L * s;
        MemorySegment.copy(ring, ValueLayout.JAVA_INT, lists, into.alternativeIds, 0, alternatives);
        MemorySegment.copy(ring, ValueLayout.JAVA_FLOAT, lists + 4L * s * StepResult.MAX_ALTERNATIVES, into.alternativeLogProbabilities, 0,
                alternatives);
    }

    /** A failed launch would never publish: ask the driver rather than wait for ever. */
    private void verifyAlive(MemorySegment ring, long slot, int run) {
        context.enter();
        int state = Cuda.cuStreamQuery(context.stream);
        if (state == Cuda.CUDA_ERROR_NOT_READY()) {
            return;
        }
        CudaErrors.check(state, "a step on cuda:" + context.device.index());
        if ((int) INT.getVolatile(ring, slot) != run + 1) {
            throw new DeviceException("a step on cuda:" + context.device.index()
                    + " has finished without publishing its result: found ticket "
                    + (int) INT.getVolatile(ring, slot) + " instead of " + (run + 1) + "; the compiled kernels may not fit this version");
        }
    }

    @Override
    public int maxRows() {
        return layout.maxRows;
    }

    @Override
    public int maxSequences() {
        return layout.maxSequences;
    }

    @Override
    public Rows rows() {
        return rows;
    }

    @Override
    public Rows outputs() {
        return outputs;
    }
}
