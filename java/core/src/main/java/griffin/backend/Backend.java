package griffin.backend;

import java.lang.foreign.MemorySegment;
import java.util.Map;

/**
 * One device: its memory, the operations Griffin needs, and recorded programs. Confined to one thread at a time.
 *
 * <p>Why it looks like this (the longer form is in {@code java/README.md}):
 * <ul>
 * <li>Operations are Griffin-shaped and few; fused ones have a default body that <em>defines</em> their result, so a backend
 * starts correct and becomes fast one override at a time, and each override has its oracle.
 * <li>Operations work in place on buffers that never move, with constant arguments; all that varies between steps (tokens,
 * positions, slots, counts) lives in {@link Step}, on the device. So a step can be recorded once and replayed as plain calls,
 * as a captured graph, or as the operation table of one resident kernel, with no allocation and no host synchronisation.
 * <li>Weights are opaque once loaded: a backend may repack them.
 * <li>Sampling and the decision to stop are operations too: a device may run ahead of the host and still never consumes a
 * token after the end.
 * </ul>
 *
 * <p>Shapes use the axis letters of {@code java/README.md}: M rows, S sequences, D model width, E recurrent width, F MLP
 * width, H heads of width K, C conv taps, W window, V vocabulary. Arguments are checked when a model is bound, not here:
 * operations only assert.
 */
public interface Backend extends AutoCloseable {

    /** Name, memory and kind of the device. */
    DeviceInfo device();

    /**
     * Element type of the operands: what an operation hands to a product or an attention, and weights of products. BF16 halves the
     * bytes; sums, norms, recurrence, residual and logits are float32 either way. Buffers for operands are allocated in it.
     */
    default DType operandType() {
        return DType.F32;
    }

    /**
     * Lengths of prompts to read once when a model is opened, so that what a device does at the first of its kind (loading code, choosing
     * algorithms, capturing graphs) does not fall into the first request. None by default.
     */
    default int[] warmUpRows() {
        return new int[0];
    }

    /** Prompt tokens read in one step where nobody says. */
    default int defaultChunk() {
        return 256;
    }

    /**
     * Called before anything of a model is allocated or loaded.
     *
     * @throws griffin.error.DeviceMemoryException when it will not fit, saying what is needed, what is free and what would fit
     */
    default void requireMemory(MemoryNeed need) {}

    /**
     * What a user may want to know about speed and memory, in the order of telling, such as the share of the bandwidth that is used.
     *
     * @param tokensPerSecond of decoding one sequence, as measured
     */
    default Map<String, String> statistics(double tokensPerSecond) {
        return Map.of();
    }

    // ---- memory: everything is allocated before the first step; nothing moves or grows afterwards

    /**
     * Takes a weight. Several parts are stacked along the output dimension (q|k|v, gate|up, x|y), or are the two gates of
     * {@link WeightRole#GATES}. The mapped segments of the parts must stay alive as long as the weight is used.
     */
    Weight load(WeightRole role, TensorPart... parts);

    /** Allocates a zero-filled matrix [rows, columns] of F32, I32 or {@link #operandType}. */
    Buffer allocate(DType type, int rows, int columns);

    /** Copies row-major elements of the buffer's type into the buffer. {@code source} holds at least {@code target.bytes()}. */
    void write(Buffer target, MemorySegment source);

    /** Copies the buffer out, row-major, in its own type. */
    void read(Buffer source, MemorySegment target);

    /** Allocates state slots of a model, all zero. The last slot is a scrap slot for rows that have ended. */
    StateBuffers allocateStates(StateLayout layout, int slots);

    /** Copies one sequence's whole state to another slot (a fork). */
    void copySlot(StateBuffers states, int from, int to);

    /** Writes a slot's state, in float32 and the order of {@link StateLayout}; {@code out} holds {@link StateLayout#bytes()}. */
    void exportSlot(StateBuffers states, int slot, MemorySegment out);

    /** The inverse of {@link #exportSlot}. */
    void importSlot(StateBuffers states, int slot, MemorySegment in);

    /** Makes a slot all zero. */
    void clearSlot(StateBuffers states, int slot);

    // ---- operations: in place, no allocation, no host synchronisation

    /** x[m] = table[token(m)] * scale. table [V, D], x [M, D]. */
    void embed(Step step, Weight table, float scale, Buffer x);

    /**
     * residual += delta (if there is one); out = residual * rsqrt(mean(residual^2) + eps) * (1 + scale).
     * residual, delta, out [M, D]; scale [D].
     */
    void addRmsNorm(Rows rows, Buffer residual, Buffer delta, Weight scale, float eps, Buffer out);

    /** out = in w^T + bias. in [M, I], w [O, I], bias [O] or null, out [M, O]. */
    void linear(Rows rows, Buffer in, Weight w, Weight bias, Buffer out);

    /** out = gelu_tanh(gate) * up, elementwise; out may be {@code up} or {@code gate}. All [M, F]. */
    void gatedGelu(Rows rows, Buffer gate, Buffer up, Buffer out);

    /**
     * Depthwise causal convolution: out[t, e] = bias[e] + sum_k taps[e, k] * x[t - (C-1) + k, e]; rows before the chunk come
     * from {@code state} [slots (C-1), E] (oldest first), which afterwards holds the last C-1 rows of x. Rows before position 0
     * count as zero. x, out [M, E].
     */
    void causalConv(Step step, Buffer x, Weight taps, Weight bias, Buffer state, Buffer out);

    /**
     * RG-LRU: i, r = sigmoid of the block-diagonal gates of x; log a = decay * r with decay = -8 softplus(recurrent_param);
     * h_t = a h_(t-1) + sqrt(1 - a^2) i x. At position 0, h_0 = i x. {@code state} [slots, E] holds h. x, out [M, E].
     */
    void rgLru(Step step, Buffer x, RgLruWeights weights, Buffer state, Buffer out);

    /** Rotates the query heads and the key of qkv [M, (H+2) K] in place: the first {@code rotaryDims} of each head, in half-split pairs. */
    void rotate(Step step, AttentionShape shape, Buffer qkv);

    /**
     * Multi-query attention of each row over the keys at distance 0..W of its own document: W + 1 keys, itself included.
     * Older keys come from the ring (keys, values [slots W, K], row = position mod W), newer ones from this step's own rows, so
     * the ring is read before {@link #storeKeys} overwrites it. Scores are scaled by 1/sqrt(K). qkv [M, (H+2) K], out [M, H K].
     */
    void windowAttention(Step step, AttentionShape shape, Buffer qkv, Buffer keys, Buffer values, Buffer out);

    /** Stores the rotated keys and the values of this step's rows in the ring, row = position mod W, the newest W of each sequence. */
    void storeKeys(Step step, AttentionShape shape, Buffer qkv, Buffer keys, Buffer values);

    /** out[o] = in[output row o]: gathers the rows whose logits are wanted. */
    void selectRows(Step step, Buffer in, Buffer out);

    /** out = cap * tanh(x table^T / cap), or the plain product when cap is 0. x [rows, D], table [V, D], out [rows, V]. */
    void logits(Rows rows, Buffer x, Weight table, float cap, Buffer out);

    /**
     * Marks the step's tokens as seen, then chooses the next token of every sequence that has an output row, from its row of
     * logits [S, V], by the sequence's {@link griffin.sampling.SamplingParams}. {@code seen} [slots, ceil(V/32)] I32.
     *
     * <p>No token is chosen where a logit of the row is NaN or the largest of them is infinite: the result is
     * {@link StepResult#NOT_FINITE}, without log-probabilities, and {@link #advance} ends the sequence as FAILED. Other rows are
     * chosen for as ever, and single logits of minus infinity are tokens that cannot come.
     */
    void sample(Step step, Buffer logits, Buffer seen);

    /**
     * Turns the step into the next decode step: each sequence that sampled a token gets one row with that token at the next
     * position, unless it ended (end id, limit, cancelled, failed): then its row is parked on the scrap slot, so that its state keeps
     * exactly the tokens that were reported. Sequences without an output row are parked, too.
     */
    void advance(Step step);

    // ---- fusions: the default body defines the result

    /** Convolution, RG-LRU and the product with the gelu branch. xy [M, 2E] (x | y), conv, out [M, E]. */
    default void recurrence(Step step, Buffer xy, RecurrenceWeights weights, Buffer convState, Buffer state, Buffer conv, Buffer out) {
        int width = xy.columns() / 2;
        causalConv(step, xy.columns(0, width), weights.taps(), weights.convBias(), convState, conv);
        rgLru(step, conv, weights.rgLru(), state, out);
        gatedGelu(step.rows(), xy.columns(width, width), out, out);
    }

    /** down(gelu(gate(in)) * up(in)). gateAndUp [M, 2F], out [M, D]. */
    default void gatedMlp(Rows rows, Buffer in, MlpWeights weights, Buffer gateAndUp, Buffer out) {
        int width = gateAndUp.columns() / 2;
        Buffer gate = gateAndUp.columns(0, width);
        linear(rows, in, weights.gateAndUp(), weights.gateAndUpBias(), gateAndUp);
        gatedGelu(rows, gate, gateAndUp.columns(width, width), gate);
        linear(rows, gate, weights.down(), weights.downBias(), out);
    }

    /** Rotation, attention and the ring write, in that order. */
    default void attention(Step step, AttentionShape shape, Buffer qkv, Buffer keys, Buffer values, Buffer out) {
        rotate(step, shape, qkv);
        windowAttention(step, shape, qkv, keys, values, out);
        storeKeys(step, shape, qkv, keys, values);
    }

    // ---- execution

    /** Allocates a step for at most {@code maxRows} rows of at most {@code maxSequences} sequences; ended rows go to {@code scrapSlot}. */
    Step allocateStep(int maxRows, int maxSequences, int scrapSlot);

    /** Fills the step on the device: tokens, positions, slots, row starts, output rows, sampling parameters, limits. */
    void submit(Step step, StepPlan plan);

    /** Records the operations that {@code operations} calls, with their arguments, instead of running them. */
    Program record(Step step, Runnable operations);

    /** Queues a run of the program and returns at once with its ticket; tickets count up by one. */
    long run(Program program);

    /** Waits for a run and copies what its {@link #sample} chose. Only the last {@link #RESULT_DEPTH} runs can be asked for. */
    void await(long ticket, StepResult into);

    /** How many runs back {@link #await} still answers. */
    int RESULT_DEPTH = 4;

    /** Asks {@link #advance} to end a sequence of the step; takes effect with the next run that starts. */
    void cancel(Step step, int sequence);

    @Override
    void close();
}
