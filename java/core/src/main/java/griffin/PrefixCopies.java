package griffin;

import griffin.session.Batch;
import griffin.session.States;

/**
 * What a scheduler copies out of its slots for the prefix cache, on its own thread. A copy is for others: where it fails, memory being
 * short, its request goes on without, and the failure is only counted.
 */
final class PrefixCopies {

    private final Prefixes prefixes;
    private final States states;
    private final SchedulerCounts counts;
    private final int vocabulary;

    /** @param prefixes null without a prefix cache: then nothing is wanted */
    PrefixCopies(Prefixes prefixes, States states, SchedulerCounts counts, int vocabulary) {
        this.prefixes = prefixes;
        this.states = states;
        this.counts = counts;
        this.vocabulary = vocabulary;
    }

    /** Whether states of this request are stored at all. */
    boolean wanted(Request request) {
        return prefixes != null && request.resume == null && prefixes.keeps(request.promptIds.length);
    }

    /**
     * After a chunk of a prompt, while its logits are still there.
     *
     * @return whether the whole prompt is read, so that nothing more of it comes
     */
    boolean ofPrompt(Request request, Batch batch, int index) {
        if (!wanted(request)) {
            return false;
        }
        int consumed = request.sequence().consumed();
        if (!request.run().reading() && consumed == request.promptIds.length) {
            attempt(() -> {
                if (prefixes.hasRoom(consumed)) {
                    float[] logits = new float[vocabulary];
                    batch.logits(index, logits);
                    prefixes.put(request.promptIds, consumed, states.copyConsumed(request.sequence()), logits);
                }
            });
            return true;
        }
        if (prefixes.isBoundary(consumed)) {
            attempt(() -> copy(request, request.promptIds, consumed));
        }
        return false;
    }

    /** Whether a request has ended with all of its prompt read, so that its state is the beginning of a conversation's next prompt. */
    boolean endsWhole(Request request) {
        return wanted(request) && !request.failed() && !request.completion.cancelled()
                && request.sequence().consumed() >= request.promptIds.length;
    }

    /** What was generated is the beginning of a conversation's next prompt. */
    void ofEnd(Request request) {
        int consumed = request.sequence().consumed();
        if (endsWhole(request) && consumed >= request.promptIds.length + prefixes.least()) {
            attempt(() -> copy(request, request.allIds(), consumed));
        }
    }

    private void copy(Request request, int[] ids, int consumed) {
        if (prefixes.wants(ids, consumed)) {
            prefixes.put(ids, consumed, states.copyConsumed(request.sequence()), null);
        }
    }

    private void attempt(Runnable copying) {
        try {
            copying.run();
        } catch (Throwable e) {
            counts.uncached++;
        }
    }
}
