package griffin.session;

import griffin.backend.Backend;
import griffin.backend.StateBuffers;
import griffin.backend.StateLayout;
import griffin.error.DeviceMemoryException;
import java.util.BitSet;

/** The state slots of a model: each sequence borrows one, all of the same size. Not thread-safe. */
public final class StatePool {

    private final Backend backend;
    private final StateBuffers states;
    private final BitSet used = new BitSet();

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
        int slot = used.nextClearBit(0);
        if (slot >= states.slots()) {
            throw new DeviceMemoryException("all " + states.slots() + " state slots are in use (" + states.layout().bytes()
                    + " bytes each): close a session, or open the model with more sessions");
        }
        used.set(slot);
        backend.clearSlot(states, slot);
        return slot;
    }

    void release(int slot) {
        used.clear(slot);
    }

    /** Slots in use. */
    public int inUse() {
        return used.cardinality();
    }
}
