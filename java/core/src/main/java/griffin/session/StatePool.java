package griffin.session;

import griffin.backend.Backend;
import griffin.backend.StateBuffers;
import griffin.backend.StateLayout;
import griffin.error.DeviceMemoryException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.BitSet;

/** The state slots of a model, each borrowed by one sequence, all of the same size; and whose step was the last. Not thread-safe. */
public final class StatePool {

    private final Backend backend;
    private final StateBuffers states;
    private final BitSet used = new BitSet();
    private SequenceRun stepOf;
    private MemorySegment exported;

    public StatePool(Backend backend, StateLayout layout, int slots) {
        this.backend = backend;
        states = backend.allocateStates(layout, slots);
    }

    public StateBuffers states() {
        return states;
    }

    /**
     * Borrows an empty slot.
     *
     * @throws DeviceMemoryException when all are borrowed
     */
    int acquire() {
        int slot = free();
        backend.clearSlot(states, slot);
        used.set(slot);
        return slot;
    }

    /** The same of a slot that still holds what another sequence left, for who overwrites all of it. */
    int acquireUncleared() {
        int slot = free();
        used.set(slot);
        return slot;
    }

    private int free() {
        int slot = used.nextClearBit(0);
        if (slot >= states.slots()) {
            throw new DeviceMemoryException("all " + states.slots() + " state slots are in use (" + states.layout().bytes()
                    + " bytes each): close a session, or open the model with more sessions");
        }
        return slot;
    }

    /**
     * Room for one exported slot. It is the same each time, with what the last use left in it: new memory of this size costs more than
     * filling it.
     */
    MemorySegment exported() {
        if (exported == null) {
            exported = Arena.ofAuto().allocate(Math.max(1, states.layout().bytes()), 64);
        }
        return exported;
    }

    /** A slot in that room. */
    MemorySegment exported(int slot) {
        backend.exportSlot(states, slot, exported());
        return exported;
    }

    void release(int slot) {
        used.clear(slot);
    }

    /** Whether the runner's step is as the run left it, so that it can go on from there. */
    boolean stepIs(SequenceRun run) {
        return stepOf == run;
    }

    /** Notes whose step the runner's is from now on; null while it is nobody's. */
    void stepIsOf(SequenceRun run) {
        stepOf = run;
    }
}
