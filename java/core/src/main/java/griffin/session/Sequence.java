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
    /** The most tokens of a sequence: far enough below what an int holds that no position of a step overflows. */
    static final int MOST_TOKENS = 1 << 30;

    private final ModelRunner runner;
    private final StatePool pool;
    private final int slot;
    /** The generation that may go on. */
    private SequenceRun run;
    private int consumed;
    private int pending = NONE;
    private int held = NONE;
    private long tokenHash;
    private boolean broken;
    private boolean closed;

    public Sequence(ModelRunner runner, StatePool pool) {
        this(runner, pool, Mark.START, pool.acquire(false));
    }

    /** @param slot borrowed from the pool, and as {@code mark} says; who makes a sequence of a state fills the whole slot next */
    Sequence(ModelRunner runner, StatePool pool, Mark mark, int slot) {
        this.runner = runner;
        this.pool = pool;
        this.slot = slot;
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

    /** Tokens in the state: all but a pending one. */
    public int consumed() {
        return consumed;
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
        requireUsable();
        Sequence copy = new Sequence(runner, pool, mark(), pool.acquireUncleared(false));
        try {
            runner.backend().copySlot(pool.states(), slot, copy.slot);
            return copy;
        } catch (Throwable e) {
            copy.close();
            throw e;
        }
    }

    /**
     * A generation that reads a prompt, then samples up to {@code maxTokens} tokens, or fewer where the sequence would get too long; with
     * 0 it only reads. It begins with the first {@link SequenceRun#next}, and ends an earlier run that did not end.
     *
     * @param prompt ids to append; may be empty for a sequence that already has tokens
     * @param endIds ids that end the generation
     */
    public SequenceRun start(int[] prompt, SamplingParams params, int maxTokens, int[] endIds) {
        requireUsable();
        check(prompt, runner.model().config().vocabulary());
        requireRoom(prompt.length);
        if (empty() && prompt.length == 0) {
            throw new InvalidRequestException("there is nothing to continue: the prompt is empty and the session has no tokens yet");
        }
        boolean resumed = prompt.length == 0 && held != NONE;
        int[] input = resumed ? null : withPending(prompt);
        if (input != null && input.length == 0) {
            throw new InvalidRequestException(
                    "the session's last tokens were scored, so all are in its state: give at least one token more");
        }
        run = new SequenceRun(this, runner, prompt.length, input, params, atMost(maxTokens, prompt.length), endIds);
        return run;
    }

    /**
     * A generation whose prompt is in the state already, none of it pending; it begins by sampling from the logits that the prompt led to,
     * so nothing is computed again.
     *
     * @param lastId    the prompt's last token
     * @param logits    float32 [V] after it
     * @param maxTokens at least 1
     */
    public SequenceRun start(int lastId, float[] logits, SamplingParams params, int maxTokens, int[] endIds) {
        requireUsable();
        if (consumed == 0 || pending != NONE || maxTokens < 1) {
            throw new IllegalStateException("logits are of use where a prompt is in the state and something is to be sampled: " + mark());
        }
        requireRoom(1);
        run = new SequenceRun(this, runner, 0, new int[] {lastId}, params, atMost(maxTokens, 0), endIds);
        run.begins(logits);
        return run;
    }

    /**
     * Runs a generation ({@link #start}) to its end.
     *
     * @param progress told after each chunk, or null
     * @return why it ended; {@code CANCELLED} when {@code progress} stopped the reading
     * @throws ModelFormatException when the logits are not finite, so that no token can be chosen
     */
    public Finish generate(int[] prompt, SamplingParams params, int maxTokens, int[] endIds, TokenSink sink, PromptProgress progress) {
        SequenceRun generation = start(prompt, params, maxTokens, endIds);
        while (generation.next()) {
            boolean more = generation.isToken() ? sink.token(generation.result().ids[0], generation.result())
                    : progress == null || progress.read(generation.promptRead(), prompt.length);
            if (!more) {
                generation.stop();
            }
        }
        return generation.finish();
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
        requireUsable();
        check(ids, runner.model().config().vocabulary());
        requireRoom(ids.length);
        if (ids.length == 0) {
            throw new InvalidRequestException("logits were asked for, of no tokens: give at least one token id");
        }
        run = null;
        int[] input = withPending(ids);
        int lead = input.length - ids.length;
        float[] row = new float[runner.model().config().vocabulary()];
        for (int at = 0; at < input.length;) {
            int start = at;
            int end = at + Math.min(runner.maxRows(), input.length - at);
            runner.plan().clear().add(slot, consumed, input, start, end, StepPlan.Outputs.ALL);
            pool.stepIsOf(null);
            broken = true;
            runner.score((from, rows, logits) -> {
                if (from == 0) { // the chunk is in the state, whatever happens to its rows
                    broken = false;
                    fed(input, start, end);
                }
                for (int i = 0; i < rows; i++) {
                    // the row of a token that an earlier generation left pending is none of these ids'
                    int index = start - lead + from + i;
                    if (index >= 0) {
                        runner.backend().read(logits.rows(i, 1), MemorySegment.ofArray(row));
                        sink.row(index, row);
                    }
                }
            });
            at = end;
        }
    }

    // ---- what a run does with its sequence

    int held() {
        return held;
    }

    /** The token belongs to the sequence and is not yet in its state. */
    void give(int id) {
        pending = id;
        held = NONE;
    }

    /** The token was sampled; the sequence does not have it. */
    void hold(int id) {
        held = id;
    }

    /** Whether the step stands ready as the next decode step of this run. */
    boolean isReadyFor(SequenceRun generation) {
        return pool.stepIs(generation);
    }

    /** A step with tokens of this sequence begins. If it fails, the state may hold part of them, and the sequence is of no use any more. */
    void stepBegins() {
        requireUsable();
        broken = true;
        pool.stepIsOf(null);
    }

    /**
     * The step has ended: ids[from, to) are in the state.
     *
     * @param sampled what it sampled
     * @throws ModelFormatException when the logits were not finite; the sequence stays broken
     */
    void stepEnded(int[] ids, int from, int to, int sampled) {
        fed(ids, from, to);
        if (sampled == StepResult.NOT_FINITE) {
            throw new ModelFormatException("the logits after token " + consumed + " of the session are not finite, so no token can follow: "
                    + "the model's weights, or the state that was resumed, hold NaN, infinite or absurdly large numbers; "
                    + "griffin-run info --check reads every weight and names the tensors that do");
        }
        broken = false;
    }

    /** The step was of this run alone, which can go on from it. */
    void stepIsOf(SequenceRun generation) {
        pool.stepIsOf(generation);
    }

    void requireRun(SequenceRun generation) {
        requireUsable();
        if (generation != run) {
            throw new IllegalStateException("the session has gone on otherwise since this generation began: finish one before the next");
        }
    }

    /**
     * Asserts that the sequence can be used.
     *
     * @throws IllegalStateException after {@link #close}, or when a step failed
     */
    void requireUsable() {
        if (closed) {
            throw new IllegalStateException("this session has been closed");
        }
        if (broken) {
            throw new IllegalStateException("a step of this session failed, so its state cannot be relied upon: close it, and go on from "
                    + "one that was saved before");
        }
    }

    /** Whether a step failed, so that only {@link #close} is left. */
    public boolean broken() {
        return broken;
    }

    /** Leaves the sequence with the tokens in its state alone: a token that was reported or sampled and not read is no longer part of it. */
    public void forgetPending() {
        requireUsable();
        pending = NONE;
        held = NONE;
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

    private void requireRoom(int tokens) {
        if (MOST_TOKENS - length() < tokens) {
            throw new InvalidRequestException("a sequence can have at most " + MOST_TOKENS + " tokens; this one has " + length() + ", and "
                    + tokens + " more were given: begin a new one");
        }
    }

    /** Of the tokens that are to be sampled after a prompt, those that there is room for. */
    private int atMost(int maxTokens, int prompt) {
        return Math.min(maxTokens, MOST_TOKENS - length() - prompt);
    }

    /**
     * Asserts that ids are the model's.
     *
     * @throws InvalidRequestException naming the first that is not
     */
    public static void check(int[] ids, int vocabulary) {
        for (int i = 0; i < ids.length; i++) {
            if (ids[i] < 0 || ids[i] >= vocabulary) {
                throw new InvalidRequestException(
                        "token id " + ids[i] + " at index " + i + " is outside the model's vocabulary: 0 to " + (vocabulary - 1));
            }
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
