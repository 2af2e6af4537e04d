package griffin.session;

import griffin.backend.StepPlan;
import griffin.backend.StepResult;
import griffin.error.InvalidRequestException;
import griffin.error.ModelFormatException;
import griffin.model.ModelRunner;
import griffin.sampling.SamplingParams;
import java.lang.foreign.MemorySegment;

/**
 * One sequence: a state slot and how far it has come. Its rule is that the sequence consists of exactly the tokens that were given to it
 * or reported by it. A sampled token enters the state only when the next step feeds it, so the last one may still be
 * <em>pending</em>: reported, but not in the state. A sampled end id is neither reported nor fed; it is kept, so that a
 * continuation that ignores end ids goes on exactly as if it had never stopped.
 */
public final class Sequence implements AutoCloseable {

    /** Why {@link #generate} returned. */
    public enum Finish {
        END_ID, LIMIT, STOPPED_BY_SINK, CANCELLED
    }

    /** Receives each sampled token; returns false to stop. */
    public interface TokenSink {
        boolean token(int id, StepResult result);
    }

    /** Told after each chunk of a prompt; returns false to stop reading. */
    public interface PromptProgress {
        boolean read(int tokens, int of);
    }

    /** What does not fit in the slot: how far the sequence is. */
    record Mark(int consumed, int pending, int held, long tokenHash) {
        static final Mark START = new Mark(0, NONE, NONE, 0);
    }

    static final int NONE = -1;

    private final ModelRunner runner;
    private final StatePool pool;
    private final int slot;
    private final StepResult result;
    private final int[] single = new int[1];
    private int consumed;
    private int pending = NONE;
    private int held = NONE;
    private long tokenHash;
    private boolean closed;

    public Sequence(ModelRunner runner, StatePool pool) {
        this(runner, pool, Mark.START);
    }

    Sequence(ModelRunner runner, StatePool pool, Mark mark) {
        this.runner = runner;
        this.pool = pool;
        slot = pool.acquire();
        result = new StepResult(runner.maxSequences());
        consumed = mark.consumed;
        pending = mark.pending;
        held = mark.held;
        tokenHash = mark.tokenHash;
    }

    int slot() {
        return slot;
    }

    Mark mark() {
        return new Mark(consumed, pending, held, tokenHash);
    }

    /** Tokens of the sequence so far: given to it, or reported by it. */
    public int length() {
        return consumed + (pending == NONE ? 0 : 1);
    }

    /** Whether nothing was given to it yet. */
    public boolean empty() {
        return length() == 0;
    }

    /** The last token that was given or reported, or -1 if it is in the state already (an end id followed it) or there is none. */
    public int lastId() {
        return pending;
    }

    /** A second sequence that goes on from here. */
    public Sequence fork() {
        Sequence copy = new Sequence(runner, pool, mark());
        runner.backend().copySlot(pool.states(), slot, copy.slot);
        return copy;
    }

    /**
     * Reads a prompt, then samples up to {@code maxTokens} tokens; with 0 it only reads.
     *
     * @param prompt   ids to append; may be empty for a sequence that already has tokens
     * @param endIds   ids that end the generation
     * @param progress told after each chunk, or null
     * @return why it ended; {@code CANCELLED} when {@code progress} stopped the reading
     * @throws ModelFormatException when the logits are not finite, so that no token can be chosen
     */
    public Finish generate(int[] prompt, SamplingParams params, int maxTokens, int[] endIds, TokenSink sink, PromptProgress progress) {
        check(prompt);
        if (empty() && prompt.length == 0) {
            throw new InvalidRequestException("there is nothing to continue: the prompt is empty and the session has no tokens yet");
        }
        if (prompt.length == 0 && held != NONE) {
            return resumeHeld(params, maxTokens, endIds, sink, progress);
        }
        held = NONE;
        int[] input = withPending(prompt);
        if (input.length == 0) {
            throw new InvalidRequestException(
                    "the session's last tokens were scored, so all are in its state: give at least one token more");
        }
        int lead = input.length - prompt.length;
        int most = maxTokens == 0 ? 1 : runner.maxRows();
        int at = 0;
        while (input.length - at > most) {
            int count = Math.min(runner.maxRows(), input.length - at - 1);
            runner.plan().clear().add(slot, consumed, input, at, at + count, StepPlan.Outputs.NONE);
            runner.await(runner.generate(), result);
            fed(input, at, at + count);
            at += count;
            pending = input[at]; // given, and fed by whatever comes next
            if (progress != null && !progress.read(at + 1 - lead, prompt.length)) {
                return Finish.CANCELLED;
            }
        }
        pending = input[at];
        if (maxTokens == 0) {
            return Finish.LIMIT;
        }
        runner.plan().clear().add(slot, consumed, input, at, input.length, StepPlan.Outputs.LAST, params, maxTokens, endIds);
        long ticket = runner.generate();
        fed(input, at, input.length);
        if (progress != null && !progress.read(prompt.length, prompt.length)) {
            held = sampled(ticket);
            return Finish.CANCELLED;
        }
        return decode(ticket, sink);
    }

    /** Receives a row of logits [V] in an array that is reused; {@code index} counts the scored ids from 0. */
    public interface LogitsSink {
        void row(int index, float[] logits);
    }

    /**
     * Reads ids and hands over the logits after each of them, one row at a time; no more than a few rows exist at once.
     *
     * @param ids  ids to append, at least one
     * @param sink receives as many rows as there are ids, in order; what it throws ends the reading at the end of a chunk
     */
    public void score(int[] ids, LogitsSink sink) {
        check(ids);
        if (ids.length == 0) {
            throw new InvalidRequestException("logits were asked for, of no tokens: give at least one token id");
        }
        int[] input = withPending(ids);
        int lead = input.length - ids.length;
        float[] row = new float[runner.model().config().vocabulary()];
        for (int at = 0; at < input.length;) {
            int count = Math.min(runner.maxRows(), input.length - at);
            int first = at - lead;
            runner.plan().clear().add(slot, consumed, input, at, at + count, StepPlan.Outputs.ALL);
            fed(input, at, at + count);
            runner.score((from, rows, logits) -> {
                for (int i = 0; i < rows; i++) {
                    // the row of a token that an earlier generation left pending is none of these ids'
                    if (first + from + i >= 0) {
                        runner.backend().read(logits.rows(i, 1), MemorySegment.ofArray(row));
                        sink.row(first + from + i, row);
                    }
                }
            });
            at += count;
        }
    }

    /** A held end id was sampled by an earlier call: it is the first token of this one. */
    private Finish resumeHeld(SamplingParams params, int maxTokens, int[] endIds, TokenSink sink, PromptProgress progress) {
        for (int end : endIds) {
            if (end == held) {
                return Finish.END_ID;
            }
        }
        if (maxTokens == 0) {
            return Finish.LIMIT;
        }
        pending = held;
        held = NONE;
        result.ids[0] = pending;
        result.logProbabilities[0] = Float.NaN;
        if (!sink.token(pending, result)) {
            return Finish.STOPPED_BY_SINK;
        }
        return maxTokens == 1 ? Finish.LIMIT : generate(new int[0], params, maxTokens - 1, endIds, sink, progress);
    }

    private Finish decode(long ticket, TokenSink sink) {
        long running = ticket;
        while (true) {
            int id = sampled(running);
            if (result.status[0] == StepResult.ENDED) {
                held = id;
                return Finish.END_ID;
            }
            pending = id;
            boolean more = sink.token(id, result);
            if (result.status[0] != StepResult.RUNNING) {
                return Finish.LIMIT;
            }
            if (!more) {
                return Finish.STOPPED_BY_SINK;
            }
            running = runner.next();
            single[0] = id;
            fed(single, 0, 1);
        }
    }

    /** Waits for a run and returns the token it sampled. */
    private int sampled(long ticket) {
        runner.await(ticket, result);
        if (result.ids[0] == StepResult.NOT_FINITE) {
            throw new ModelFormatException("the logits after token " + consumed + " of the session are not finite, so no token can follow: "
                    + "the model's weights, or the state that was resumed, hold NaN, infinite or absurdly large numbers; "
                    + "griffin-run info --check reads every weight and names the tensors that do");
        }
        return result.ids[0];
    }

    /** The pending token, if any, followed by the prompt. */
    private int[] withPending(int[] prompt) {
        if (pending == NONE) {
            return prompt;
        }
        int[] out = new int[prompt.length + 1];
        out[0] = pending;
        System.arraycopy(prompt, 0, out, 1, prompt.length);
        return out;
    }

    private void fed(int[] ids, int from, int to) {
        for (int i = from; i < to; i++) {
            tokenHash = mix(tokenHash, ids[i]);
        }
        consumed += to - from;
        pending = NONE;
        held = NONE;
    }

    /** A chain over the tokens in the state: equal prefixes have equal hashes. */
    static long mix(long hash, int id) {
        long h = (hash ^ id) * 0x9E3779B97F4A7C15L;
        return h ^ h >>> 32;
    }

    private void check(int[] ids) {
        int vocabulary = runner.model().config().vocabulary();
        for (int i = 0; i < ids.length; i++) {
            if (ids[i] < 0 || ids[i] >= vocabulary) {
                throw new InvalidRequestException(
                        "token id " + ids[i] + " at index " + i + " is outside the model's vocabulary: 0 to " + (vocabulary - 1));
            }
        }
        if (Integer.MAX_VALUE - length() < ids.length) {
            throw new InvalidRequestException("a sequence can have at most " + Integer.MAX_VALUE + " tokens");
        }
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            pool.release(slot);
        }
    }
}
