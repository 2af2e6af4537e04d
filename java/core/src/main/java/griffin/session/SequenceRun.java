package griffin.session;

import griffin.backend.StepPlan;
import griffin.backend.StepResult;
import griffin.model.ModelRunner;
import griffin.sampling.SamplingParams;
import java.util.Arrays;

/**
 * A generation under way, one device step at a time. Between two steps the sequence is whole: it has exactly the tokens that were
 * given or reported, so it can be forked and saved, another sequence may take a step, and a run that nobody goes on with leaves nothing
 * to tidy up.
 */
public final class SequenceRun {

    private enum Phase {
        /** The sequence holds a token that was sampled and never reported. */
        RESUMING,
        /** Ids are left to read. */
        READING,
        /** The first token is sampled and not yet reported. */
        SAMPLED,
        /** The last token was reported and is to be read. */
        DECODING
    }

    private final Sequence sequence;
    private final ModelRunner runner;
    private final SamplingParams params;
    private final int[] endIds;
    private final int promptLength;
    private final StepResult result;
    private final int[] single = new int[1];
    /** The pending token, if any, and the prompt. */
    private int[] input;
    private int at;
    /** Tokens that may still be sampled. */
    private int left;
    private Phase phase;
    private boolean token;
    private int read;
    private Sequence.Finish finish;

    SequenceRun(Sequence sequence, ModelRunner runner, int[] prompt, int[] input, SamplingParams params, int maxTokens, int[] endIds) {
        this.sequence = sequence;
        this.runner = runner;
        this.input = input;
        this.params = params;
        this.endIds = endIds;
        promptLength = prompt.length;
        left = maxTokens;
        result = new StepResult(runner.maxSequences());
        phase = input == null ? Phase.RESUMING : Phase.READING;
    }

    /**
     * Goes on to the next thing to report: a chunk of the prompt was read, or a token was sampled ({@link #isToken}).
     *
     * @return false when there is nothing more to report; {@link #finish} says why
     * @throws IllegalStateException when the sequence was closed or went on otherwise, or a step of it failed
     */
    public boolean next() {
        if (finish != null) {
            return false;
        }
        sequence.requireRun(this);
        return switch (phase) {
            case RESUMING -> resume();
            case READING -> read();
            case SAMPLED -> report();
            case DECODING -> decode();
        };
    }

    /** Whether a token is to be reported, else a chunk of the prompt was read. */
    public boolean isToken() {
        return token;
    }

    /** Prompt tokens that were read so far. */
    public int promptRead() {
        return read;
    }

    /** The sampled token and its log-probabilities; overwritten by the next step. */
    public StepResult result() {
        return result;
    }

    /** Ends the run after what was reported last. */
    public void stop() {
        if (finish == null) {
            finish = token ? Sequence.Finish.STOPPED_BY_SINK : Sequence.Finish.CANCELLED;
        }
    }

    /** Why it ended, or null before that. */
    public Sequence.Finish finish() {
        return finish;
    }

    private boolean end(Sequence.Finish why) {
        finish = why;
        return false;
    }

    /** A held token was sampled by an earlier run: unless it ends this one, too, it is the first token here. */
    private boolean resume() {
        int id = sequence.held();
        if (Arrays.stream(endIds).anyMatch(end -> end == id)) {
            return end(Sequence.Finish.END_ID);
        }
        if (left == 0) {
            return end(Sequence.Finish.LIMIT);
        }
        result.ids[0] = id;
        result.logProbabilities[0] = Float.NaN;
        Arrays.fill(result.alternativeIds, -1);
        Arrays.fill(result.alternativeLogProbabilities, Float.NEGATIVE_INFINITY);
        input = new int[] {id};
        phase = Phase.READING;
        return report(id, left == 1);
    }

    private boolean read() {
        token = false;
        int most = left == 0 ? 1 : runner.maxRows();
        if (input.length - at > most) {
            int count = Math.min(runner.maxRows(), input.length - at - 1);
            runner.plan().clear().add(sequence.slot(), sequence.consumed(), input, at, at + count, StepPlan.Outputs.NONE);
            sequence.step(this, result, false, input, at, at + count);
            at += count;
            sequence.give(input[at]); // fed by whatever comes next
            read = at + 1 - (input.length - promptLength);
            return true;
        }
        if (left == 0) {
            sequence.give(input[at]);
            return end(Sequence.Finish.LIMIT);
        }
        sample(input, at, input.length);
        sequence.hold(result.ids[0]); // until it is reported
        read = promptLength;
        phase = Phase.SAMPLED;
        return true;
    }

    private boolean report() {
        if (result.status[0] == StepResult.ENDED) {
            return end(Sequence.Finish.END_ID);
        }
        phase = Phase.DECODING;
        return report(result.ids[0], result.status[0] != StepResult.RUNNING);
    }

    private boolean report(int id, boolean last) {
        sequence.give(id);
        token = true;
        left--;
        if (last) {
            finish = Sequence.Finish.LIMIT;
        }
        return true;
    }

    private boolean decode() {
        single[0] = sequence.lastId();
        if (sequence.isReadyFor(this)) {
            sequence.step(this, result, true, single, 0, 1);
        } else {
            sample(single, 0, 1); // another sequence took a step in between
        }
        if (result.status[0] == StepResult.ENDED) {
            sequence.hold(result.ids[0]);
            return end(Sequence.Finish.END_ID);
        }
        return report(result.ids[0], result.status[0] != StepResult.RUNNING);
    }

    private void sample(int[] ids, int from, int to) {
        runner.plan().clear().add(sequence.slot(), sequence.consumed(), ids, from, to, StepPlan.Outputs.LAST, params, left, endIds);
        sequence.step(this, result, false, ids, from, to);
    }
}
