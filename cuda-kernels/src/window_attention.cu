// Local multi-query attention of a prefill step: H query heads share one key and one value head of width K.
//
//   out[r, h] = sum_j p_j v_j,  p = softmax_j(q[r, h] . k_j / sqrt(K)),  j over the rows lo(r) = r - min(position(r), W) .. r
//
// j counts rows of the step; rows before the sequence's first row are positions before it and lie in the ring (row = position mod W).
// So documents, the window and the ring are one condition on j, and lo never falls within a sequence.
//
// Heads go into the row dimension: the items of a tile are (row, head) pairs, row-major, so all heads share each K/V tile and a tile
// of 128 items spans only 13 rows (H = 10): hardly any masked work at the two diagonals, and only edge tiles are masked at all.
// Tensor cores (bf16, K = 64, 128 or 256, rows of 16-byte groups): mma.sync m16n8k16, a warp owns 16 items; K and V tiles
// double-buffered by cp.async, online softmax in float32 base 2, p rounded to bf16. Anything else: the plain kernel, float32 FMAs.
//
//   window_attention_prefill_T(Step, qkv, qkvStride, keys [slots W, K], values, out, outStride, H, K, W)   out [M, H K], not in place
//     block = 256, dynamic shared memory 196608: where the device grants it to a block, T = bf16 and K = 256
//     block = 128, dynamic shared memory 98688 otherwise
//     grid = M H / (block / 2) + S of the step; the last tiles, which see the most keys, are the first blocks'
//   rotate_T(Step, qkv, qkvStride, H, K, rotaryDims, theta)   in place, query heads and key; before the attention
//     grid = (ceil(M / 4), ceil(rotaryDims / 128)), block = 256
//   store_keys_T(Step, qkv, qkvStride, keys, values, H, K, W)   after the attention; the newest W rows of each sequence's last document
//     grid = ceil(M / 4), block = 128
//
// FLOPs: 4 K H a visible key: T = 8192, W = 2048, H = 10: 150 GFLOP; at 790 TFLOP/s 0.19 ms on an H100. Bytes: q, out and the rows
// once, 90 MB: 0.03 ms. mma.sync reads K and V from shared memory once per 16 items, which bounds it near 0.55 of that rate.
// Prediction: 0.35 to 0.4. Outcome, H100: 0.24 with 10 heads, 0.25 with 16. rotate: 4 (H + 1) rotaryDims M bytes both ways together, 46 MB,
// 15 us; prediction 20 us, 7 us at T = 2048; outcome 23 us, 10 us.

#include "window_attention.cuh"

namespace {

/** The tensor-core kernel: WARPS * 16 items, KEYS keys a step. */
template <int K, int WARPS, int KEYS> struct TensorAttention {
    using Online = OnlineSoftmax<K, KEYS>;
    static constexpr int ITEMS = 16 * WARPS;
    static constexpr int THREADS = 32 * WARPS;

    /** Copies rows j0 .. j0 + KEYS - 1 of keys or values; rows after `last` become zeros. */
    static __device__ void load_keys(const Attention<bf16>& a, const Tile& t, int j0, int part, bf16* tile) {
#pragma unroll 4
        for (int c = threadIdx.x; c < KEYS * (K / 8); c += THREADS) {
            int row = c / (K / 8), column = c % (K / 8) * 8;
            int j = min(j0 + row, t.lastRow);
            copy_async(swizzled<K>(tile, row, column), key_row(a, t, j, part) + column, j0 + row <= t.lastRow);
        }
    }

    static __device__ void load_queries(const Attention<bf16>& a, const Tile& t, bf16* tile) {
#pragma unroll 4
        for (int c = threadIdx.x; c < ITEMS * (K / 8); c += THREADS) {
            int row = c / (K / 8), column = c % (K / 8) * 8;
            int item = min(t.firstItem + row, t.items - 1);
            const bf16* from = a.qkv + (size_t) (t.start + item / a.heads) * a.stride + item % a.heads * K;
            copy_async(swizzled<K>(tile, row, column), from + column, true);
        }
    }

    /** scores [16, KEYS] = the warp's queries times the keys. */
    static __device__ void products(float (&s)[KEYS / 8][4], bf16* queries, bf16* keys, int warp, int lane) {
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++) {
            s[n][0] = s[n][1] = s[n][2] = s[n][3] = 0;
        }
#pragma unroll 4
        for (int k = 0; k < K; k += 16) {
            unsigned q[4];
            load_matrices(q, swizzled<K>(queries, warp * 16 + lane % 16, k + lane / 16 * 8));
#pragma unroll
            for (int n = 0; n < KEYS; n += 16) {
                unsigned b[4];   // keys n..n+7: b[0], b[1]; n+8..n+15: b[2], b[3]
                load_matrices(b, swizzled<K>(keys, n + lane / 16 * 8 + lane % 8, k + lane / 8 % 2 * 8));
                mma_bf16(s[n / 8], q, b[0], b[1]);
                mma_bf16(s[n / 8 + 1], q, b[2], b[3]);
            }
        }
    }

    /** sum [16, K] += p values; p comes in the layout that `products` leaves, which is that of an operand. */
    static __device__ void add_values(float (&sum)[K / 8][4], const float (&p)[KEYS / 8][4], bf16* values, int lane) {
#pragma unroll
        for (int n = 0; n < KEYS; n += 16) {
            const float(&low)[4] = p[n / 8], (&high)[4] = p[n / 8 + 1];
            unsigned a[4] = {pack_pair(low[0], low[1]), pack_pair(low[2], low[3]),
                    pack_pair(high[0], high[1]), pack_pair(high[2], high[3])};
#pragma unroll
            for (int d = 0; d < K; d += 16) {
                unsigned b[4];
                load_matrices_transposed(b, swizzled<K>(values, n + lane % 16, d + lane / 16 * 8));
                mma_bf16(sum[d / 8], a, b[0], b[1]);
                mma_bf16(sum[d / 8 + 1], a, b[2], b[3]);
            }
        }
    }

    static __device__ void run(const Step& step, const Attention<bf16>& a, const Tile& t, void* shared) {
        bf16* queries = (bf16*) shared;
        bf16* keys = queries + ITEMS * K;      // [2][KEYS, K]
        bf16* values = keys + 2 * KEYS * K;    // [2][KEYS, K]
        int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
        Band band(step, a, t, t.firstItem + warp * 16 + lane / 4);
        int from = band.from, tiles = (t.lastRow - from) / KEYS + 1;
        float scale = LOG2_E * rsqrtf((float) K);

        load_queries(a, t, queries);
        load_keys(a, t, from, 0, keys);
        commit_copies();
        load_keys(a, t, from, 1, values);
        commit_copies();
        float sum[K / 8][4] = {};
        float highest[2] = {-INFINITY, -INFINITY}, total[2] = {0, 0};
        for (int n = 0; n < tiles; n++) {
            int j0 = from + n * KEYS;
            int now = n % 2 * KEYS * K, next = (n + 1) % 2 * KEYS * K;
            await_copies<1>();
            __syncthreads();   // the keys are there, and nobody reads the other buffers any more
            if (n + 1 < tiles) {
                load_keys(a, t, j0 + KEYS, 0, keys + next);
            }
            commit_copies();
            if (n + 1 < tiles) {
                load_keys(a, t, j0 + KEYS, 1, values + next);
            }
            commit_copies();
            float s[KEYS / 8][4];
            products(s, queries, keys + now, warp, lane);
            if (band.cuts(j0, KEYS)) {
                Online::mask(s, j0, band, lane);
            }
            float rescale[2];
            Online::weigh(s, highest, total, rescale, scale);
            Online::rescale_sums(sum, rescale);
            await_copies<2>();
            __syncthreads();
            add_values(sum, s, values + now, lane);
        }
        Online::store(a, t, sum, total, t.firstItem + warp * 16 + lane / 4, lane);
    }
};

} // namespace

#include "window_attention_plain.cuh"

namespace {

template <typename T> __device__ bool is_tensor(const Attention<T>& a) {
    return false;
}

template <> __device__ bool is_tensor(const Attention<bf16>& a) {
    return (a.width == 64 || a.width == 128 || a.width == 256) && is_vector(a.qkv, a.stride, 8) && is_vector(a.keys, a.width, 8)
            && is_vector(a.values, a.width, 8) && is_vector(a.out, a.outStride, 2);
}

template <typename T> __device__ void tensor(const Step& step, const Attention<T>& a, const Tile& t, void* shared) {}

template <> __device__ void tensor(const Step& step, const Attention<bf16>& a, const Tile& t, void* shared) {
    if (blockDim.x == 256) {
        TensorAttention<256, 8, 64>::run(step, a, t, shared);
    } else if (a.width == 256) {
        TensorAttention<256, 4, 32>::run(step, a, t, shared);
    } else if (a.width == 128) {
        TensorAttention<128, 4, 32>::run(step, a, t, shared);
    } else {
        TensorAttention<64, 4, 32>::run(step, a, t, shared);
    }
}

template <typename T> __device__ void prefill(const Step& step, const Attention<T>& a) {
    extern __shared__ __align__(128) unsigned char shared[];
    pdl_launch_dependents();
    pdl_wait();
    if (step.counts[1] > 0) {
        Tile t = tile_of(step, tile_number(), blockDim.x / 2, a.heads);
        if (t.firstItem < t.items) {
            if (is_tensor(a)) {
                tensor(step, a, t, shared);
            } else {
                PlainAttention<T>::run(step, a, t, (float*) shared);
            }
        }
    }
}

constexpr int ROTATED_ROWS = 4;
constexpr int ROTATED_PAIRS = 64;   // of a block; grid.y takes the others

/** Rotates the pairs (x[0 ..], x[half ..]), as many as 16 bytes hold, by the given {cosine, sine}. */
template <typename T> __device__ void rotate_group(T* x, int half, const float2* turn) {
    constexpr int GROUP = PER16<T>;
    float a[GROUP], b[GROUP], low[GROUP], high[GROUP];
    unpack16<T>(load_fresh16(x), a);
    unpack16<T>(load_fresh16(x + half), b);
#pragma unroll
    for (int i = 0; i < GROUP; i++) {
        float2 t = turn[i];
        low[i] = a[i] * t.x - b[i] * t.y;
        high[i] = b[i] * t.x + a[i] * t.y;
    }
    *(uint4*) x = pack16<T>(low);
    *(uint4*) (x + half) = pack16<T>(high);
}

/** Sines and cosines once per row and pair, for all heads; the frequency in double, because a rounding of it turns far rows by much. */
template <typename T>
__device__ void rotate(const Step& step, T* qkv, int stride, int heads, int width, int rotaryDims, float theta) {
    __shared__ float frequencies[ROTATED_PAIRS];
    __shared__ __align__(16) float2 turns[ROTATED_ROWS][ROTATED_PAIRS];
    pdl_launch_dependents();
    int half = rotaryDims / 2, firstPair = blockIdx.y * ROTATED_PAIRS, pairs = min(half - firstPair, ROTATED_PAIRS);
    if (threadIdx.x < pairs) {
        frequencies[threadIdx.x] = (float) pow((double) theta, -2.0 * (firstPair + (int) threadIdx.x) / rotaryDims);
    }
    __syncthreads();
    int firstRow = blockIdx.x * ROTATED_ROWS, rows = min(step.counts[0] - firstRow, ROTATED_ROWS);
    for (int i = threadIdx.x; i < rows * pairs; i += blockDim.x) {
        int row = i / pairs, pair = i - row * pairs;
        float sine, cosine;
        sincosf(step.positions[firstRow + row] * frequencies[pair], &sine, &cosine);
        turns[row][pair] = {cosine, sine};
    }
    pdl_wait();
    __syncthreads();
    constexpr int GROUP = PER16<T>;
    int columns = (heads + 1) * pairs;   // the last head is the key
    T* base = qkv + (size_t) firstRow * stride + firstPair;
    if (pairs % GROUP == 0 && half % GROUP == 0 && width % GROUP == 0 && is_vector(qkv, stride, GROUP)) {
        for (int i = threadIdx.x; i < rows * columns / GROUP; i += blockDim.x) {
            int row = i / (columns / GROUP), c = (i - row * (columns / GROUP)) * GROUP, head = c / pairs, pair = c - head * pairs;
            rotate_group(base + (size_t) row * stride + head * width + pair, half, &turns[row][pair]);
        }
        return;
    }
    for (int i = threadIdx.x; i < rows * columns; i += blockDim.x) {
        int row = i / columns, c = i - row * columns, head = c / pairs, pair = c - head * pairs;
        T* x = base + (size_t) row * stride + head * width + pair;
        float2 turn = turns[row][pair];
        float a = load_fresh(x), b = load_fresh(x + half);
        x[0] = from_float<T>(a * turn.x - b * turn.y);
        x[half] = from_float<T>(b * turn.x + a * turn.y);
    }
}

template <typename T>
__device__ void store_keys(const Step& step, const T* qkv, int stride, T* keys, T* values, int heads, int width, int window) {
    pdl_launch_dependents();
    pdl_wait();
    int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (row < step.counts[0]) {
        int q = step.rowSequence[row];
        int last = step.rowStarts[q + 1] - 1;
        if (row > last - min(step.positions[last] + 1, window)) {
            size_t to = ((size_t) step.slots[q] * window + step.positions[row] % window) * width;
            const T* from = qkv + (size_t) row * stride + heads * width;
            constexpr int GROUP = 16 / sizeof(T);
            if (width % GROUP == 0 && is_vector(from, GROUP, GROUP) && is_vector(keys, width, GROUP) && is_vector(values, width, GROUP)) {
                for (int d = lane * GROUP; d < width; d += 32 * GROUP) {
                    *(uint4*) (keys + to + d) = load_fresh16(from + d);
                    *(uint4*) (values + to + d) = load_fresh16(from + width + d);
                }
            } else {
                for (int d = lane; d < width; d += 32) {
                    keys[to + d] = from_float<T>(load_fresh(from + d));
                    values[to + d] = from_float<T>(load_fresh(from + width + d));
                }
            }
        }
    }
}

} // namespace

#define WINDOW_ATTENTION(suffix, T)                                                                                                     \
    extern "C" __global__ void __launch_bounds__(256, 1) window_attention_prefill_##suffix(Step step, const T* qkv, int qkvStride,      \
            const T* keys, const T* values, T* out, int outStride, int H, int K, int W) {                                              \
        prefill<T>(step, {qkv, keys, values, out, qkvStride, outStride, H, K, W});                                                     \
    }                                                                                                                                   \
    extern "C" __global__ void __launch_bounds__(256) rotate_##suffix(Step step, T* qkv, int qkvStride, int H, int K, int rotaryDims,   \
            float theta) {                                                                                                             \
        rotate<T>(step, qkv, qkvStride, H, K, rotaryDims, theta);                                                                      \
    }                                                                                                                                   \
    extern "C" __global__ void __launch_bounds__(128) store_keys_##suffix(Step step, const T* qkv, int qkvStride, T* keys, T* values,   \
            int H, int K, int W) {                                                                                                     \
        store_keys<T>(step, qkv, qkvStride, keys, values, H, K, W);                                                                     \
    }

FOR_BOTH_TYPES(WINDOW_ATTENTION)
