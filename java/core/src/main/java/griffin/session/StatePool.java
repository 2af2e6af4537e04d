package griffin.session;

import griffin.backend.Backend;
import griffin.backend.StateBuffers;
import griffin.backend.StateLayout;
import griffin.error.DeviceMemoryException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.BitSet;

/**
 * The state slots of a model, each borrowed by one sequence, all of the same size; and whose step was the last. Some can be reserved, so that
 * whoever admits sequences by counting never finds the slots taken by others. Not thread-safe.
 */
public final class StatePool {

    private final Backend backend;
    private final StateBuffers states;
    private final BitSet used = new BitSet();
    /** Of the used ones, those that were reserved. */
    private final BitSet ofReserved = new BitSet();
    /** Free slots that only {@link #acquire acquire(true)} gets. */
    private int reserved;
    private Object stepOf;
    private MemorySegment exported;

    public StatePool(Backend backend, StateLayout layout, int slots) {
        this.backend = backend;
        states = backend.allocateStates(layout, slots);
    }

    public StateBuffers states() {
        return states;
    }

    /** Slots that anybody can borrow. */
    public int free() {
        return states.slots() - used.cardinality() - reserved;
    }

    /**
     * Sets free slots aside for sequences that are made as reserved ones.
     *
     * @throws DeviceMemoryException when fewer are free
     */
    public void reserve(int slots) {
        if (slots > free()) {
            throw new DeviceMemoryException(slots + " state slots are needed, and " + free() + " of " + states.slots()
                    + " are free: close sessions, or open the model with more");
        }
        reserved += slots;
    }

    /** Gives reserved slots back, none of them borrowed. */
    public void unreserve(int slots) {
        reserved -= slots;
    }

    /**
     * Borrows an empty slot.
     *
     * @param asReserved whether it is to be one of the reserved ones
     * @throws DeviceMemoryException when all are borrowed
     */
    int acquire(boolean asReserved) {
        int slot = acquireUncleared(asReserved);
        try {
            backend.clearSlot(states, slot);
            return slot;
        } catch (Throwable e) {
            release(slot);
            throw e;
        }
    }

    /** The same of a slot that still holds what another sequence left, for who overwrites all of it. */
    int acquireUncleared(boolean asReserved) {
        if ((asReserved ? reserved : free()) == 0) {
            throw new DeviceMemoryException("all " + states.slots() + " state slots are in use (" + states.layout().bytes()
                    + " bytes each): close a session, or open the model with more sessions");
        }
        int slot = used.nextClearBit(0);
        used.set(slot);
        ofReserved.set(slot, asReserved);
        reserved -= asReserved ? 1 : 0;
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
        reserved += ofReserved.get(slot) ? 1 : 0;
    }

    /** Whether the runner's step is as this run or batch left it, so that it can go on from there. */
    boolean stepIs(Object owner) {
        return stepOf == owner;
    }

    /** Notes whose step the runner's is from now on; null while it is nobody's. */
    void stepIsOf(Object owner) {
        stepOf = owner;
    }
}
