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
        /** The prompt is in the state, and the logits after it are known. */
        KNOWN,
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
    private final int[] single = new int[1];
    /** Where a run that steps by itself awaits its results. */
    private StepResult own;
    /** What the last step came to: this run's place in {@code result} is {@code index}. */
    private StepResult result;
    private int index;
    /** The pending token, if any, and the prompt. */
    private int[] input;
    private int at;
    /** What the step under way feeds: fed[fedFrom, fedTo). */
    private int[] fed;
    private int fedFrom;
    private int fedTo;
    /** Tokens that may still be sampled. */
    private int left;
    private float[] logits;
    private Phase phase;
    private boolean token;
    private int read;
    private Sequence.Finish finish;

    SequenceRun(Sequence sequence, ModelRunner runner, int promptLength, int[] input, SamplingParams params, int maxTokens, int[] endIds) {
        this.sequence = sequence;
        this.runner = runner;
        this.input = input;
        this.params = params;
        this.endIds = endIds;
        this.promptLength = promptLength;
        left = maxTokens;
        phase = input == null ? Phase.RESUMING : Phase.READING;
    }

    /** The input is in the state, and these are the logits after it. */
    void begins(float[] known) {
        logits = known;
        phase = Phase.KNOWN;
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
            case KNOWN -> sampleKnown();
            case READING -> rows() == 0 ? endReading() : step();
            case SAMPLED -> report();
            case DECODING -> step();
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

    /** The sampled token and its log-probabilities, at {@link #index}; overwritten by the next step. */
    public StepResult result() {
        return result;
    }

    /** Which sequence of the result this run is. */
    public int index() {
        return index;
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

    // ---- a run as one of several in a step: see Batch

    /** Whether {@link #next} would run a step of the device; otherwise it only reports. */
    public boolean needsStep() {
        return finish == null && (phase == Phase.DECODING || phase == Phase.KNOWN || phase == Phase.READING && rows() > 0);
    }

    /** Whether it is reading its prompt. */
    public boolean reading() {
        return finish == null && phase == Phase.READING;
    }

    /** Rows that steps of it can still take: the ids that are left to read, or one of a decode step. */
    public int rows() {
        return phase == Phase.READING ? input.length - at - (left == 0 ? 1 : 0) : 1;
    }

    /** Adds the next {@code rows} rows, at most {@link #rows}, to a plan. */
    void plan(StepPlan plan, int rows) {
        aim(rows);
        if (samples(rows)) {
            plan.add(sequence.slot(), sequence.consumed(), fed, fedFrom, fedTo, StepPlan.Outputs.LAST, params, left, endIds);
        } else {
            plan.add(sequence.slot(), sequence.consumed(), fed, fedFrom, fedTo, StepPlan.Outputs.NONE);
        }
    }

    /** The planned or repeated step begins. */
    void begin() {
        sequence.requireRun(this);
        if (phase == Phase.DECODING) {
            aim(1); // a repeated step has no plan
        }
        sequence.stepBegins();
    }

    /** Takes what the step came to for its sequence {@code s}; returns whether a token is to be reported. */
    boolean take(StepResult from, int s) {
        boolean more = accept(from, s);
        if (phase == Phase.SAMPLED) {
            return report();
        }
        return reading() && rows() == 0 ? endReading() : more && token;
    }

    /** Whether a step of so many rows samples, rather than reads a chunk with more to come. */
    boolean samples(int rows) {
        return phase == Phase.DECODING || at + rows == input.length;
    }

    // ---- the phases

    private void aim(int rows) {
        if (phase == Phase.DECODING) {
            single[0] = sequence.lastId();
            fed = single;
            fedFrom = 0;
            fedTo = 1;
        } else {
            fed = input;
            fedFrom = at;
            fedTo = at + rows;
        }
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
        result = new StepResult(1);
        index = 0;
        result.setNotFinite(0); // nothing is known of how likely it was
        result.ids[0] = id;
        input = new int[] {id};
        phase = Phase.READING;
        return report(id, left == 1);
    }

    /** The prompt's last token stays pending where nothing is to be sampled. */
    private boolean endReading() {
        token = false;
        sequence.give(input[at]);
        return end(Sequence.Finish.LIMIT);
    }

    /** A step of this run alone. */
    private boolean step() {
        boolean again = phase == Phase.DECODING && sequence.isReadyFor(this);
        if (!again) { // another sequence took a step in between, or this is the first
            plan(runner.plan().clear(), Math.min(rows(), runner.chunk()));
        }
        begin();
        await(again ? runner.next() : runner.generate());
        boolean more = accept(own, 0);
        sequence.stepIsOf(this);
        return more;
    }

    private void await(long ticket) {
        if (own == null) {
            own = new StepResult(runner.maxSequences());
        }
        runner.await(ticket, own);
    }

    private boolean sampleKnown() {
        runner.plan().clear().add(sequence.slot(), sequence.consumed() - 1, input, 0, 1, StepPlan.Outputs.LAST, params, left, endIds);
        sequence.stepBegins();
        await(runner.sample(logits));
        logits = null;
        fed = input;
        fedFrom = fedTo = at = 1;
        boolean more = accept(own, 0);
        sequence.stepIsOf(this);
        return more;
    }

    private boolean accept(StepResult from, int s) {
        result = from;
        index = s;
        sequence.stepEnded(fed, fedFrom, fedTo, from.ids[s]);
        if (phase == Phase.DECODING) {
            if (from.status[s] == StepResult.ENDED) {
                sequence.hold(from.ids[s]);
                return end(Sequence.Finish.END_ID);
            }
            return report(from.ids[s], from.status[s] != StepResult.RUNNING);
        }
        token = false;
        at = fedTo;
        read = Math.max(0, Math.min(at + 1, input.length) - (input.length - promptLength));
        if (at < input.length) {
            sequence.give(input[at]); // fed by whatever comes next
        } else {
            sequence.hold(from.ids[s]); // until it is reported
            phase = Phase.SAMPLED;
        }
        return true;
    }

    private boolean report() {
        if (result.status[index] == StepResult.ENDED) {
            return end(Sequence.Finish.END_ID);
        }
        phase = Phase.DECODING;
        return report(result.ids[index], result.status[index] != StepResult.RUNNING);
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
}
