package griffin.backend.cpu;

import java.lang.foreign.MemorySegment;

/**
 * The inner loops of the CPU backend, in a scalar form and in one per vector width. All forms give the same bits on every
 * machine, so a thread, a batch or a compiler tier can change the form at any time:
 * <ul>
 * <li>A dot product has {@link #LANES} partial sums; element k goes to sum k mod 16 by a fused multiply-add, in order of k. The sums
 * are then added in halves: 8 and 8, 4 and 4, 2 and 2, 1 and 1. That is one 512-bit register, two of 256 or four of 128.
 * <li>Everything else is elementwise or sequential in its reduced index.
 * <li>exp and its kin are {@link Elementary}'s, never the platform's.
 * </ul>
 */
interface Kernels {

    /** Partial sums of a dot product. */
    int LANES = 16;

    /** Rows of weights that {@link #matmulRowLanes} takes at once. */
    int ROW_LANES_TILE = 8;

    /** Floats from one of these rows to the next, a constant so that one register addresses them all; a cache line more than a page. */
    int ROW_LANES_STRIDE = 1040;

    /** Columns that {@link #addProducts} is best given at once: with few registers what it reads should stay in the first-level cache. */
    default int panelColumns() {
        return 256;
    }

    /** Floats of input rows up to which {@link #matmulBf16} is faster than widening the weights first, beyond a dozen rows. */
    default int streamedFloats() {
        return 0;
    }

    /** Rows of x that lie side by side for {@link #matmulRowLanes}, a multiple of 8; 0 where other products are faster. */
    default int rowLanes() {
        return 0;
    }

    /** Columns up to which {@link #matmulRowLanes} is the fastest product of many rows. */
    default int rowLanesColumns() {
        return 0;
    }

    /** Rows from which on it is. */
    default int rowLanesFrom() {
        return Integer.MAX_VALUE;
    }

    /**
     * sum_k a[aAt + k] b[bAt + k], k in [0, n).
     *
     * @param lanes room for partial sums, overwritten: 16 LANES here and in every kernel that has it; with bfloat16, n floats more
     */
    float dot(float[] a, int aAt, float[] b, int bAt, int n, float[] lanes);

    /**
     * out[outAt + r] = w[r] . x for {@code rows} rows of bfloat16 weights, row r beginning at element wAt + r n of {@code w}.
     */
    void matvecBf16(MemorySegment w, long wAt, int rows, int n, float[] x, int xAt, float[] out, int outAt, float[] lanes);

    /** The same for float32 weights. */
    void matvecF32(MemorySegment w, long wAt, int rows, int n, float[] x, int xAt, float[] out, int outAt, float[] lanes);

    /**
     * out[outAt + i outStride + r] = x[i] . w[r] for a few rows of x, {@code rows} rows of bfloat16 weights beginning at element wAt:
     * the weights are read from memory once.
     */
    void matmulBf16(MemorySegment w, long wAt, int rows, int n, float[] x, int xAt, int xStride, int m, float[] out, int outAt,
            int outStride, float[] lanes);

    /**
     * Adds n products to partial sums: sums[sumsAt + (i rows + r) LANES + l] += x[i, k] w[r, k] for l = k mod LANES; n is a multiple of
     * LANES. Large products go through this in blocks of columns that stay in the first-level cache.
     */
    void addProducts(float[] x, int xAt, int xStride, int m, float[] w, int wAt, int wStride, int rows, int n, float[] sums, int sumsAt);

    /**
     * out[outAt + i outStride + r] = x[i] . w[r] for m rows of x and {@code rows} rows of w, all in arrays with their strides.
     */
    void matmul(float[] x, int xAt, int xStride, int m, float[] w, int wAt, int wStride, int rows, int n, float[] out, int outAt,
            int outStride, float[] lanes);

    /**
     * out[outAt + row width + i] = x[i] . w[r] + bias[biasAt + row], row = r mod 4 apart + r / 4, for up to {@code width} rows of x side by side, of
     * which m count, and ROW_LANES_TILE rows of weights.
     *
     * @param x     element k of x[i] is at xAt + (k mod LANES c + k / LANES) width + i, c = n / LANES rounded up: [LANES, c, width]
     * @param width {@link #rowLanes} of the kernels that are used in the end
     * @param w     what {@link #widenRows} made of twice 4 rows: rows of n floats, ROW_LANES_STRIDE apart
     * @param sums  room for LANES ROW_LANES_TILE width floats
     */
    void matmulRowLanes(float[] x, int xAt, int width, int m, float[] w, int n, float[] bias, int biasAt, float[] out, int outAt,
            int apart, float[] sums);

    /**
     * Widens 4 rows of n bfloat16, the first at element wAt and each {@code apart} rows after the one before, to rows ROW_LANES_STRIDE apart.
     * Measured, products of a decode step of the embedded model with 32 rows: 5.0 ms, and 5.7 with rows read one after the other.
     */
    void widenRows(MemorySegment w, long wAt, int apart, int n, float[] out, int outAt);

    /**
     * out[outAt + c outStride + r] = in[inAt + r inStride + c] for r in [0, rows) and c in [0, columns).
     *
     * @param room for 2 LANES LANES floats
     */
    void transpose(float[] in, int inAt, int inStride, int rows, int columns, float[] out, int outAt, int outStride, float[] room);

    /** Elements [at, at + n) of bfloat16 data as float32. */
    void widenBf16(MemorySegment w, long at, int n, float[] out, int outAt);

    /** x += delta. */
    void add(float[] x, int xAt, float[] delta, int deltaAt, int n);

    /** out = (x * s) * factor. */
    void scale(float[] x, int xAt, float s, float[] factor, int n, float[] out, int outAt);

    /** out = gelu(gate) * up; {@code out} may be one of the two. */
    void gatedGelu(float[] gate, int gateAt, float[] up, int upAt, float[] out, int outAt, int n, float[] lanes);

    /** z = cap tanh(z / cap). */
    void softCap(float[] z, int at, int n, float cap);

    /** out = bias, then fused multiply-add of each tap's row: rows[k][at[k] + e] taps[k width + e0 + e], k in order. */
    void conv(float[][] rows, int[] at, int tapCount, float[] taps, int width, float[] bias, int e0, int n, float[] out, int outAt);

    /**
     * Gate pre-activations of columns [j0, j0 + n) of one block: z[zAt + j] = bias[biasAt + j] + sum_i x[xAt + i] w[wAt + i block + j0 + j]
     * for j in [0, n), i from 0 to block - 1 in order; w is [in, out] = [block, block] in bfloat16.
     */
    void gateBf16(float[] x, int xAt, MemorySegment w, long wAt, int block, int j0, int n, float[] bias, int biasAt, float[] z, int zAt);

    /** The same with the weights in an array. */
    void gateF32(float[] x, int xAt, float[] w, int wAt, int block, int j0, int n, float[] bias, int biasAt, float[] z, int zAt);

    /**
     * One row of the RG-LRU for n channels: h = a h + g i x with i = sigmoid(zi), r = sigmoid(zr), log a = decay r,
     * g = sqrt(-expm1(2 log a)); at a reset h = i x. Writes h to {@code out}, too. What zi and zr hold afterwards is undefined;
     * {@code out} may be x, and otherwise overlaps nothing.
     */
    void lru(float[] zi, int ziAt, float[] zr, int zrAt, float[] decay, int decayAt, float[] x, int xAt, boolean reset, float[] h, int hAt,
            float[] out, int outAt, int n);

    /** s = exp((s - max) * scale). */
    void expScaled(float[] s, int at, int n, float max, float scale);

    /** out[d] = sum over j in order of p[pAt + j] v[vAt + j vStride + d], added to what {@code out} holds. */
    void weightedSum(float[] p, int pAt, float[] v, int vAt, int vStride, int count, float[] out, int outAt, int n);

    /** Largest element. */
    float max(float[] s, int at, int n);

    /** The halving sum of 16 lanes. */
    static float reduce(float[] lanes, int at) {
        float a0 = lanes[at] + lanes[at + 8];
        float a1 = lanes[at + 1] + lanes[at + 9];
        float a2 = lanes[at + 2] + lanes[at + 10];
        float a3 = lanes[at + 3] + lanes[at + 11];
        float a4 = lanes[at + 4] + lanes[at + 12];
        float a5 = lanes[at + 5] + lanes[at + 13];
        float a6 = lanes[at + 6] + lanes[at + 14];
        float a7 = lanes[at + 7] + lanes[at + 15];
        return ((a0 + a4) + (a2 + a6)) + ((a1 + a5) + (a3 + a7));
    }
}
