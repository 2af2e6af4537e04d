package griffin.backend.host;

import griffin.backend.AttentionShape;
import griffin.backend.Backend;
import griffin.backend.Buffer;
import griffin.backend.DType;
import griffin.backend.MemoryNeed;
import griffin.backend.Program;
import griffin.backend.StateBuffers;
import griffin.backend.StateLayout;
import griffin.backend.Step;
import griffin.backend.StepPlan;
import griffin.backend.StepResult;
import griffin.backend.TensorPart;
import griffin.backend.Weight;
import griffin.backend.WeightRole;
import griffin.error.DeviceMemoryException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * What the backends that live in the JVM share: memory in Java arrays, states, and programs that are lists of calls. Operations
 * hand their work to {@link #emit}, which runs it at once or, while recording, keeps it.
 */
public abstract class HostBackend implements Backend {

    private record HostProgram(HostStep step, Runnable[] operations) implements Program {
        @Override
        public int size() {
            return operations.length;
        }
    }

    private final StepResult[] results = new StepResult[RESULT_DEPTH];
    private List<Runnable> recording;
    private long tickets;

    /** Runs an operation now, or keeps it for the program that is being recorded. */
    protected final void emit(Runnable operation) {
        if (recording != null) {
            recording.add(operation);
        } else {
            operation.run();
        }
    }

    // ---- memory

    /** All of it lives in the Java heap; saying so beforehand beats an OutOfMemoryError. The weights stay in the mapped files. */
    @Override
    public void requireMemory(MemoryNeed need) {
        requireMemory(need, 0);
    }

    /**
     * The same with {@code further} bytes that the backend itself takes of the heap. States and workspace live there; saying so beforehand
     * beats an OutOfMemoryError.
     */
    public final void requireMemory(MemoryNeed need, long further) {
        long needed = need.stateBytes(operandType()) + need.workspaceBytes(operandType()) + further;
        long most = Runtime.getRuntime().maxMemory();
        if (needed > most * 9 / 10) {
            throw new DeviceMemoryException("the sessions and buffers need " + (needed >> 20) + " MiB (" + need.slots() + " sessions of "
                    + (need.layout().bytes() >> 20) + " MiB, chunks of " + need.rows() + " tokens), and the Java heap may grow to "
                    + (most >> 20) + " MiB: ask for fewer sessions or smaller chunks, or give Java more with -Xmx");
        }
    }

    @Override
    public Weight load(WeightRole role, TensorPart... parts) {
        return HostWeight.load(role, parts);
    }

    @Override
    public Buffer allocate(DType type, int rows, int columns) {
        return HostBuffer.allocate(type, rows, columns);
    }

    @Override
    public void write(Buffer target, MemorySegment source) {
        HostBuffer b = HostBuffer.of(target);
        for (int r = 0; r < b.rows(); r++) {
            HostStates.copyIn(source, (long) r * b.columns() * b.type().bytes(), b.type(), b, b.at(r), b.columns());
        }
    }

    @Override
    public void read(Buffer source, MemorySegment target) {
        HostBuffer b = HostBuffer.of(source);
        for (int r = 0; r < b.rows(); r++) {
            HostStates.copyOut(b, b.at(r), b.columns(), b.type(), target, (long) r * b.columns() * b.type().bytes());
        }
    }

    @Override
    public StateBuffers allocateStates(StateLayout layout, int slots) {
        return HostStates.allocate(layout, slots, operandType());
    }

    @Override
    public void copySlot(StateBuffers states, int from, int to) {
        HostStates.copy(states, from, to);
    }

    @Override
    public void exportSlot(StateBuffers states, int slot, MemorySegment out) {
        HostStates.exportSlot(states, slot, out);
    }

    @Override
    public void importSlot(StateBuffers states, int slot, MemorySegment in) {
        HostStates.importSlot(states, slot, in);
    }

    @Override
    public void clearSlot(StateBuffers states, int slot) {
        HostStates.clear(states, slot);
    }

    // ---- operations that need no arithmetic: the same plain loops serve every host backend

    @Override
    public void storeKeys(Step step, AttentionShape shape, Buffer qkv, Buffer keys, Buffer values) {
        HostStep s = HostStep.of(step);
        HostBuffer in = HostBuffer.of(qkv);
        HostBuffer k = HostBuffer.of(keys);
        HostBuffer v = HostBuffer.of(values);
        int width = k.columns();
        int window = shape.window();
        emit(() -> {
            for (int q = 0; q < s.sequenceCount; q++) {
                int last = s.rowStarts[q + 1] - 1;
                int first = Math.max(s.documentStart(last), last - window + 1);
                for (int row = first; row <= last; row++) {
                    int slotRow = s.slots[q] * window + s.positions[row] % window;
                    int at = in.at(row) + in.columns() - 2 * width;
                    System.arraycopy(in.floats(), at, k.floats(), k.at(slotRow), width);
                    System.arraycopy(in.floats(), at + width, v.floats(), v.at(slotRow), width);
                }
            }
            k.round();
            v.round();
        });
    }

    @Override
    public void selectRows(Step step, Buffer in, Buffer out) {
        HostStep s = HostStep.of(step);
        HostBuffer from = HostBuffer.of(in);
        HostBuffer to = HostBuffer.of(out);
        emit(() -> {
            for (int o = 0; o < s.outputCount; o++) {
                System.arraycopy(from.floats(), from.at(s.outputRows[o]), to.floats(), to.at(o), from.columns());
            }
            to.round();
        });
    }

    @Override
    public void advance(Step step) {
        HostStep s = HostStep.of(step);
        emit(() -> HostAdvance.advance(s));
    }

    // ---- execution

    @Override
    public Step allocateStep(int maxRows, int maxSequences, int scrapSlot) {
        return new HostStep(maxRows, maxSequences, scrapSlot);
    }

    @Override
    public void submit(Step step, StepPlan plan) {
        HostStep.of(step).fill(plan);
    }

    @Override
    public Program record(Step step, Runnable operations) {
        recording = new ArrayList<>();
        try {
            operations.run();
            return new HostProgram(HostStep.of(step), recording.toArray(Runnable[]::new));
        } finally {
            recording = null;
        }
    }

    @Override
    public long run(Program program) {
        HostProgram p = (HostProgram) program;
        for (Runnable operation : p.operations) {
            operation.run();
        }
        int at = (int) (tickets % RESULT_DEPTH);
        if (results[at] == null || results[at].ids.length != p.step.maxSequences()) {
            results[at] = new StepResult(p.step.maxSequences());
        }
        results[at].copyFrom(p.step.result);
        return tickets++;
    }

    @Override
    public void await(long ticket, StepResult into) {
        if (ticket < 0 || ticket >= tickets || ticket < tickets - RESULT_DEPTH) {
            throw new IllegalArgumentException("run " + ticket + " is not among the last " + RESULT_DEPTH + " of " + tickets);
        }
        into.copyFrom(results[(int) (ticket % RESULT_DEPTH)]);
    }

    @Override
    public void cancel(Step step, int sequence) {
        HostStep.of(step).cancelled[sequence] = true;
    }

    @Override
    public void close() {
        // memory is the collector's; subclasses stop their threads
    }
}
