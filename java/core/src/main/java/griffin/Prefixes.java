package griffin;

import griffin.PrefixStore.Found;
import griffin.error.GriffinException;
import griffin.session.StateSnapshot;
import griffin.session.States;
import java.util.Arrays;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The prefix cache as the scheduler uses it: looking up, unpacking, packing and storing happen on a thread of their own, so that no step
 * waits for them. What the scheduler does itself is to copy a state into its slot or out of it.
 */
final class Prefixes implements AutoCloseable {

    /** Copies of states that may wait to be stored; further ones are left out, since each costs a state's memory. */
    private static final int MOST_WAITING = 4;

    /**
     * A request whose prompt was looked for.
     *
     * @param state  of the first {@code tokens} of its ids; null if none was found
     * @param logits after all of its ids, or null
     */
    record Ready(Request request, int tokens, States.Checked state, float[] logits) {}

    private final PrefixStore store;
    private final States states;
    private final int interval;
    private final int least;
    private final Runnable wake;
    private final ExecutorService helper;
    private final Queue<Ready> ready = new ConcurrentLinkedQueue<>();
    private final AtomicInteger waiting = new AtomicInteger();

    /**
     * @param interval tokens between two stored states of a prompt
     * @param least    tokens below which reading is cheaper than storing
     * @param wake     called when a request is ready
     */
    Prefixes(PrefixStore store, States states, int interval, int least, Runnable wake) {
        this.store = store;
        this.states = states;
        this.interval = interval;
        this.least = least;
        this.wake = wake;
        helper = Executors.newSingleThreadExecutor(work -> {
            Thread thread = new Thread(work, "griffin-scheduler-prefixes");
            thread.setDaemon(true);
            return thread;
        });
    }

    /** Looks a prompt up; {@link #poll} hands it back. */
    void lookUp(Request request) {
        helper.execute(() -> {
            Ready found;
            try {
                found = find(request);
            } catch (RuntimeException | Error e) { // a cache that fails costs time, and no request
                found = new Ready(request, 0, null, null);
            }
            ready.add(found);
            wake.run();
        });
    }

    Ready poll() {
        return ready.poll();
    }

    boolean hasReady() {
        return !ready.isEmpty();
    }

    private Ready find(Request request) {
        int[] ids = request.promptIds;
        for (int length = ids.length; length >= least;) {
            Optional<Found> found = store.find(Arrays.copyOf(ids, length));
            if (found.isEmpty()) {
                break;
            }
            Ready usable = usable(request, found.get());
            if (usable != null) {
                return usable;
            }
            length = Math.min(length, found.get().tokens()) - 1;
        }
        return new Ready(request, 0, null, null);
    }

    /** What was found for a request, or null if a shorter one has to serve. */
    private Ready usable(Request request, Found found) {
        if (found.tokens() == request.promptIds.length && (request.maxTokens == 0 || found.logits() == null)) {
            return null; // all is read and nothing is left to sample from: a shorter one leaves a token to read
        }
        try {
            States.Checked state = states.check(found.snapshot(), "a cached state");
            boolean fits = state.header().consumed() == found.tokens() && !state.pending();
            return fits ? new Ready(request, found.tokens(), state, found.logits()) : null;
        } catch (GriffinException e) {
            return null;
        }
    }

    /** Rows to the next place of a prompt whose state is worth storing. */
    int rowsToBoundary(int consumed) {
        return interval - consumed % interval;
    }

    boolean isBoundary(int consumed) {
        return consumed % interval == 0;
    }

    /** Whether there is room for the state after so many ids, and need of it. */
    boolean wants(int[] ids, int length) {
        return hasRoom(length) && !store.contains(ids, length);
    }

    /** Whether there is room for it. */
    boolean hasRoom(int length) {
        return length >= least && waiting.get() < MOST_WAITING;
    }

    /** Whether prompts of this length are stored at all. */
    boolean keeps(int length) {
        return length >= least;
    }

    /** Tokens below which a state is not worth storing. */
    int least() {
        return least;
    }

    /** Stores a state, before anything that is looked up after this call. */
    void put(int[] ids, int length, StateSnapshot.Copy state, float[] logits) {
        waiting.getAndIncrement();
        try {
            helper.execute(() -> {
                try {
                    store.put(ids, length, state.bytes(), logits);
                } catch (RuntimeException | Error e) {
                    // as in lookUp
                } finally {
                    waiting.getAndDecrement();
                }
            });
        } catch (RuntimeException | Error e) {
            waiting.getAndDecrement();
            throw e;
        }
    }

    /** Finishes what was to be stored. */
    @Override
    public void close() {
        helper.close();
    }
}
