package griffin;

import griffin.session.Sequence;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Sequences that have ended and stay in their slots as long as nobody needs these: the next turn of a conversation goes on where the last
 * one ended, with no copy to the host and back. A prefix cache's first tier; its others have the same states, as bytes, for whoever comes
 * when the slot is another's. Used with the device to oneself.
 */
final class ResidentStates {

    /** A sequence whose state has exactly {@code ids}. */
    record Resident(int[] ids, Sequence sequence) {}

    /** The one that was kept last is the last. */
    private final List<Resident> all = new ArrayList<>();

    /** Keeps a request's sequence; false if memory is too short for its ids, which is nobody else's harm. */
    boolean keep(Request request) {
        Sequence sequence = request.sequence();
        try {
            Resident resident = new Resident(Arrays.copyOf(request.allIds(), sequence.consumed()), sequence);
            sequence.forgetPending();
            return all.add(resident);
        } catch (RuntimeException | Error e) {
            return false;
        }
    }

    /** The one with the longest beginning of a prompt that leaves a token to read, no longer kept here; null if there is none. */
    Resident take(int[] promptIds) {
        Resident longest = null;
        for (Resident one : all) {
            int length = one.ids.length;
            if (length < promptIds.length && (longest == null || length > longest.ids.length)
                    && Arrays.equals(one.ids, 0, length, promptIds, 0, length)) {
                longest = one;
            }
        }
        all.remove(longest);
        return longest;
    }

    /** Gives slots back, those kept longest first, until there are at most {@code most}. */
    void shrink(int most) {
        while (all.size() > most) {
            all.removeFirst().sequence.close();
        }
    }
}
