package griffin.backend.cuda;

import griffin.backend.Program;
import griffin.bindings.cuda.Cuda;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * A recorded list of operations. Steps in which every sequence has one row run as a CUDA graph, captured once for each bucket of
 * sequences; all others launch by launch with exact geometry.
 */
final class CudaProgram implements Program {

    /** Larger batches are launched one by one: their kernels take longer than the host needs. */
    static final int LARGEST_BUCKET = 64;

    private final CudaContext context;
    private final CudaStep step;
    private final List<Operation> operations;
    private final CudaSettings settings;
    private final boolean advances;
    /** What steps of many rows run, before it was lowered. */
    final List<Operation> planned;
    private final Call[] plain;
    /** For decode steps of one row; null where the plain list serves. */
    private final Call[] single;
    /** By the power of two of sequences. */
    private final MemorySegment[] graphs = new MemorySegment[Integer.numberOfTrailingZeros(LARGEST_BUCKET) + 1];
    private final Extent extent = new Extent();

    CudaProgram(Lowering lowering, CudaSettings settings, CudaStep step, List<Operation> recorded) {
        this.settings = settings;
        extent.spare = true;
        this.step = step;
        context = lowering.context;
        operations = List.copyOf(recorded);
        advances = recorded.stream().anyMatch(Operation.Advance.class::isInstance);
        planned = published(settings.fusions() ? DecodePlanner.sums(recorded) : recorded);
        plain = lowering.lower(planned);
        List<Operation> fused = settings.fusions() ? new DecodePlanner(lowering.matVec).plan(recorded) : recorded;
        single = fused.equals(recorded) ? null : lowering.lower(published(fused));
    }

    private List<Operation> published(List<Operation> list) {
        List<Operation> all = new ArrayList<>(list);
        all.add(new Operation.Publish(step));
        return all;
    }

    static CudaProgram of(Program program) {
        return (CudaProgram) program;
    }

    CudaStep step() {
        return step;
    }

    @Override
    public int size() {
        return operations.size();
    }

    /** The next of 1, 2, 4 and so on. */
    static int bucket(int sequences) {
        return MatVec.bucket(sequences);
    }

    /** Queues a run; returns its number among the step's runs. */
    int run() {
        step.extent(extent);
        if (extent.decode && settings.graphs() && extent.sequences > 0 && extent.sequences <= LARGEST_BUCKET) {
            int power = Integer.numberOfTrailingZeros(bucket(extent.sequences));
            if (graphs[power] == null) {
                graphs[power] = capture(1 << power);
            }
            int result = Cuda.cuGraphLaunch(graphs[power], context.stream);
            if (result != Cuda.CUDA_SUCCESS()) {
                CudaErrors.check(result, "cuGraphLaunch of a step of " + extent.sequences + " sequences");
            }
        } else {
            issue(extent);
        }
        return step.ran(advances);
    }

    private void issue(Extent e) {
        for (Call call : e.decode && e.rows == 1 && single != null ? single : plain) {
            call.issue(e);
        }
    }

    /** Issues the list for a full bucket into a graph; its kernels stop at the rows that live when it runs. */
    private MemorySegment capture(int bucket) {
        int all = Math.min(bucket, Math.min(step.maxSequences(), step.maxRows()));
        Extent full = new Extent().set(all, all, all, true);
        full.spare = true;
        full.before = Integer.MAX_VALUE; // it is replayed whatever the sequences have become
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            CudaErrors.check(Cuda.cuStreamBeginCapture_v2(context.stream, Cuda.CU_STREAM_CAPTURE_MODE_RELAXED()), "cuStreamBeginCapture");
            try {
                issue(full);
            } catch (Throwable e) { // it names the kernel; that the capture is void then is no news
                if (Cuda.cuStreamEndCapture(context.stream, out) == Cuda.CUDA_SUCCESS()) {
                    Cuda.cuGraphDestroy(out.get(ValueLayout.ADDRESS, 0));
                }
                throw e;
            }
            CudaErrors.check(Cuda.cuStreamEndCapture(context.stream, out), "cuStreamEndCapture of a step of " + bucket + " sequences");
            MemorySegment graph = out.get(ValueLayout.ADDRESS, 0);
            int result = Cuda.cuGraphInstantiateWithFlags(out, graph, 0);
            CudaErrors.check(Cuda.cuGraphDestroy(graph), "cuGraphDestroy");
            CudaErrors.check(result, "cuGraphInstantiateWithFlags of a step of " + bucket + " sequences");
            MemorySegment executable = out.get(ValueLayout.ADDRESS, 0);
            CudaErrors.check(Cuda.cuGraphUpload(executable, context.stream), "cuGraphUpload");
            return executable;
        }
    }

    void close() {
        for (MemorySegment graph : graphs) {
            if (graph != null) {
                Cuda.cuGraphExecDestroy(graph);
            }
        }
    }
}
