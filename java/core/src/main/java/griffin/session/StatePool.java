package griffin.session;

import griffin.backend.Backend;
import griffin.backend.StateBuffers;
import griffin.backend.StateLayout;
import griffin.error.DeviceMemoryException;
import java.util.BitSet;

/**
 * The state slots of a model, each borrowed by one sequence, all of the same size; and whose step was the last. Some can be reserved, so that
 * whoever admits sequences by counting never finds the slots taken by others. Not thread-safe.
 */
public final class StatePool {

    private final Backend backend;
    private final StateBuffers states;
    private final BitSet used = new BitSet();
    /** Free slots that only sequences made as reserved ones get. */
    private int reserved;
    private Object stepOf;

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
     * @param ofReserved whether it is one of the reserved ones
     * @throws DeviceMemoryException when all are borrowed
     */
    int acquire(boolean ofReserved) {
        if ((ofReserved ? reserved : free()) == 0) {
            throw new DeviceMemoryException("all " + states.slots() + " state slots are in use (" + states.layout().bytes()
                    + " bytes each): close a session, or open the model with more sessions");
        }
        int slot = used.nextClearBit(0);
        backend.clearSlot(states, slot);
        used.set(slot);
        reserved -= ofReserved ? 1 : 0;
        return slot;
    }

    void release(int slot, boolean ofReserved) {
        used.clear(slot);
        reserved += ofReserved ? 1 : 0;
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
