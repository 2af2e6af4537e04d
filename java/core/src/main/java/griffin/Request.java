package griffin;

import griffin.Completion.Piece;
import griffin.sampling.SamplingParams;
import griffin.session.Sequence;
import griffin.session.SequenceRun;
import griffin.session.StateSnapshot;
import griffin.session.States;
import griffin.text.TextStream;
import griffin.tokenizer.Tokenizer;
import java.util.Arrays;
import java.util.List;

/** A job on its way through the scheduler: it waits, has a sequence, has ended. Used by the scheduler's thread once it is submitted. */
final class Request {

    final int[] promptIds;
    final SamplingParams sampling;
    final int maxTokens;
    final int[] endIds;
    final boolean keepState;
    final byte[] resumeBytes;
    /** The state to go on from, or null. */
    final States.Checked resume;
    final Completion completion;
    private final GenerationLog log;
    /** What the last token let out. */
    private String text = "";
    private Sequence sequence;
    private SequenceRun run;
    /** Tokens that the sequence had when it was opened, beyond the prompt's. */
    private int before;
    private Throwable failure;
    private boolean resting;
    private long restsSince;
    private long takenBefore;

    /** @param tokenizer null for a model without one */
    Request(Job job, SamplingParams sampling, int[] endIds, Tokenizer tokenizer, States.Checked resume, Completion completion) {
        promptIds = job.promptIds();
        maxTokens = job.options().maxTokens();
        keepState = job.keepState();
        resumeBytes = job.keepState() ? job.resume() : null;
        this.sampling = sampling;
        this.endIds = endIds;
        this.resume = resume;
        this.completion = completion;
        List<String> stops = job.options().stop();
        log = new GenerationLog(sampling, tokenizer == null ? TextStream.none(stops)
                : new TextStream(tokenizer, stops, piece -> text = text.isEmpty() ? piece : text + piece));
        log.begin();
    }

    // ---- with a sequence

    /**
     * Begins on a sequence.
     *
     * @param cached how many of the prompt's tokens it has already
     * @param logits float32 [V] after all of them, if that is the whole prompt, or null
     */
    void open(Sequence with, int cached, float[] logits) {
        sequence = with;
        before = with.length() - cached;
        completion.cachedTokens(cached);
        if (cached == promptIds.length && logits != null) {
            run = with.start(promptIds[cached - 1], logits, sampling, maxTokens, endIds);
            run.next();
        } else {
            int[] rest = Arrays.copyOfRange(promptIds, cached, promptIds.length);
            run = with.start(rest, sampling, maxTokens, endIds);
        }
        while (run.finish() == null && !run.needsStep()) {
            if (run.next() && run.isToken()) {
                token();
            }
        }
    }

    Sequence sequence() {
        return sequence;
    }

    SequenceRun run() {
        return run;
    }

    /** Whether it takes part in the next step. */
    boolean steps() {
        return !resting && failure == null && run.needsStep();
    }

    /** Whether it does so with rows of its prompt. */
    boolean reads() {
        return steps() && run.reading();
    }

    /** The run has a token to report. */
    void token() {
        int id = run.result().ids[run.index()];
        log.token(id, run.result(), run.index());
        if (completion.read()) {
            completion.put(new Piece(text, List.of(id), log.lastLogProbability()));
        }
        text = "";
        if (log.stopped()) {
            run.stop();
        }
    }

    void fail(Throwable why) {
        failure = why;
    }

    /** Whether it has no more steps to take. */
    boolean over() {
        return failure != null || run.finish() != null;
    }

    boolean failed() {
        return failure != null;
    }

    int generated() {
        return log.count();
    }

    /** All tokens of the sequence, if it began with the prompt. */
    int[] allIds() {
        return log.after(promptIds);
    }

    // ---- a consumer that is slow

    /** Looks whether the consumer keeps up: lets the sequence rest or go on, and ends it when patience is over. */
    void watch(long now, long patienceNanos) {
        if (!resting) {
            if (completion.full()) {
                resting = true;
                restsSince = now;
                takenBefore = completion.taken();
                completion.resting(true);
            } else {
                return;
            }
        }
        if (completion.drained()) { // looked at after the flag was set, so that no wake-up is missed
            resting = false;
            completion.resting(false);
        } else if (completion.taken() != takenBefore) {
            takenBefore = completion.taken();
            restsSince = now;
        } else if (now - restsSince >= patienceNanos) {
            run.stop();
        }
    }

    boolean resting() {
        return resting;
    }

    /** Nanoseconds of patience left. */
    long patience(long now, long patienceNanos) {
        return Math.max(1, patienceNanos - (now - restsSince));
    }

    // ---- the end

    /** What came of it; the text that was held back is let out with {@link #end}. */
    Generation result() {
        return log.result(promptIds, sequence.length() - before - log.count(), run.finish());
    }

    /**
     * Tells the consumer.
     *
     * @param state what the generation left, or null
     */
    void end(Generation result, StateSnapshot.Copy state) {
        if (!text.isEmpty() && completion.read()) {
            completion.put(new Piece(text, List.of(), List.of()));
        }
        completion.end(result, state == null ? null : state::bytes);
    }

    /** It never had a sequence: nothing was read, so the state is the one that was to be resumed. */
    void endUnopened() {
        completion.end(log.result(promptIds, 0, Sequence.Finish.CANCELLED), resumeBytes == null ? null : () -> resumeBytes);
    }

    void endFailed() {
        completion.fail(failure);
    }
}
