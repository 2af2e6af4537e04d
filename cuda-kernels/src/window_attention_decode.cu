// Local attention of a decode step in one launch: rotary embedding, attention over the ring and the row itself, merge, ring write.
// Every sequence has exactly one row: row q of qkv T [M, (H + 2) K] (queries, key, value) and of out T [M, H K] belongs to sequence q.
// keys, values T [slots W, K], row = position mod W. A row at position t sees the keys at distance 0..W: the ring still holds t - W, which
// the new key replaces once all blocks have read it.
//
// A block takes HEADS heads over one of `splits` equal parts of the ring; the part that holds row t mod W takes the new key, too. Partial
// maxima, sums and vectors go to scratch; the last block of a head group to arrive merges them in order of the splits, and the last head
// group writes the ring row.
//   scratch float [S, H, splits, K + 2]; arrivals int [S, groups + 1], zero before the first launch and after every launch.
//
// Launch: attention_decode_T_h2 (few sequences) or _h5 (from about 4 sequences on: less traffic from L2), grid (splits, groups, S) with
// groups = ceil(H / HEADS), block 256, dynamic shared memory 8 + 4 (K (HEADS + 1) + max(8 K, W / splits + 3)) + 8 max(splits, rotaryDims / 2).
// Good splits: 32 for one sequence, falling with S so that splits * groups * S is a few times the multiprocessors; at least W / 64 is best.
// Bytes: 2 W K sizeof(T) a sequence. Floor on an H100 at 3.11 TB/s: 0.67 us at K = 256, W = 2048, bf16.
#include "common.cuh"

constexpr int ATTENTION_THREADS = 256;
constexpr int ATTENTION_WARPS = ATTENTION_THREADS / WARP;
constexpr int FAST_HEAD = 256;
constexpr int KEYS = 8; // ring rows a warp works on at a time
constexpr int TILE_KEYS = KEYS * ATTENTION_WARPS;

template <class T> struct Attention {
    Step step;
    const T* qkv;
    int qkvStride;
    T *keys, *values;
    T* out;
    int outStride;
    float* scratch;
    int* arrivals;
    int heads, K, W, rotaryDims;
    float theta;
    int splits;
};

/** Shared memory of a block. */
struct AttentionShared {
    float* query;   // [HEADS, K] rotated, scaled
    float* key;     // [K] rotated
    float* work;    // [8, K] partial vectors of the warps, or [keys of the split] scores
    float2* table;  // [rotaryDims / 2] cos, sin; later [splits] maximum, sum
};

/** What a softmax over some keys has seen: its maximum and sum. */
struct Softmax {
    float max = -INFINITY, sum = 0;
};

/** exp(a - b) for a <= b, 0 where a is minus infinity, even if b is, too. */
__device__ __forceinline__ float decay_to(float a, float b) { return a == -INFINITY ? 0.0f : expf(a - b); }

/** cos and sin of the row's angles; needs no input but the position. */
template <class T> __device__ __forceinline__ void rotary_table(const Attention<T>& a, int position, float2* table) {
    for (int i = threadIdx.x; i < a.rotaryDims / 2; i += blockDim.x) {
        float frequency = float(pow(double(a.theta), -2.0 * i / a.rotaryDims));
        float sine, cosine;
        sincosf(float(position) * frequency, &sine, &cosine);
        table[i] = {cosine, sine};
    }
}

/** Element d of a head after rotation, rounded to T. */
template <class T> __device__ __forceinline__ float rotated(const T* head, int d, int rotaryDims, const float2* table) {
    const int half = rotaryDims / 2;
    float v = load_fresh(head + d);
    if (d < half) {
        v = v * table[d].x - load_fresh(head + d + half) * table[d].y;
    } else if (d < 2 * half) {
        v = v * table[d - half].x + load_fresh(head + d - half) * table[d - half].y;
    }
    return rounded<T>(v);
}

template <class T>
__device__ __forceinline__ void stage_heads(const Attention<T>& a, const T* row, int firstHead, int heads, const AttentionShared& s) {
    const float scale = 1.0f / sqrtf(float(a.K));
    for (int i = threadIdx.x; i < (heads + 1) * a.K; i += blockDim.x) {
        const int head = i / a.K, d = i % a.K;
        if (head < heads) {
            s.query[i] = rotated(row + size_t(firstHead + head) * a.K, d, a.rotaryDims, s.table) * scale;
        } else {
            s.key[d] = rotated(row + size_t(a.heads) * a.K, d, a.rotaryDims, s.table);
        }
    }
}

/** Ring rows of split s: [first, last), and whether a row holds a key that position t sees. */
struct RingPart {
    int first, last, position, window;

    __device__ __forceinline__ RingPart(int split, int splits, int t, int W)
        : first(int((long long)W * split / splits)), last(int((long long)W * (split + 1) / splits)), position(t), window(W) {}
    __device__ __forceinline__ bool holds(int row) const { return row < last && (position >= window || row < position); }
    __device__ __forceinline__ bool owns_new_row() const { return position % window >= first && position % window < last; }
};

/** Sums eight values over the warp at once: lane l gets the sum of value l / 4. */
__device__ __forceinline__ float warp_sum_of_eight(float (&v)[KEYS]) {
    const int lane = threadIdx.x % WARP;
#pragma unroll
    for (int half = KEYS / 2, bit = WARP / 2; half > 0; half /= 2, bit /= 2) {
        const bool upper = (lane & bit) != 0;
#pragma unroll
        for (int i = 0; i < half; i++) {
            float give = upper ? v[i] : v[i + half];
            float keep = upper ? v[i + half] : v[i];
            v[i] = keep + __shfl_xor_sync(ALL_LANES, give, bit);
        }
    }
    v[0] += __shfl_xor_sync(ALL_LANES, v[0], 2);
    return v[0] + __shfl_xor_sync(ALL_LANES, v[0], 1);
}

/** Eight ring rows of a warp: lane l holds elements 8 l .. 8 l + 7 of each. bf16, K = 256. */
struct RingRows {
    uint4 key[KEYS], value[KEYS];

    __device__ __forceinline__ void load(const Attention<bf16>& a, size_t slotRow, const RingPart& part, int row) {
        const int lane = threadIdx.x % WARP;
#pragma unroll
        for (int i = 0; i < KEYS; i++) {
            const bool holds = part.holds(row + i);
            const size_t at = (slotRow + row + i) * FAST_HEAD + lane * 8;
            key[i] = holds ? load_fresh16(a.keys + at) : make_uint4(0, 0, 0, 0);
            value[i] = holds ? load_fresh16(a.values + at) : make_uint4(0, 0, 0, 0);
        }
    }
};

/** Adds `count` keys with scores in lanes 4 i (minus infinity: not there) and values to a head's running softmax and vector. */
__device__ __forceinline__ void absorb(const RingRows& rows, float score, Softmax& soft, float (&vector)[8]) {
    const float max = fmaxf(soft.max, warp_max(score));
    const float keep = decay_to(soft.max, max), p = decay_to(score, max);
    soft.sum = soft.sum * keep + 0.25f * warp_sum(p); // each key is in four lanes
    soft.max = max;
#pragma unroll
    for (int j = 0; j < 8; j++) {
        vector[j] *= keep;
    }
#pragma unroll
    for (int i = 0; i < KEYS; i++) {
        const float weight = __shfl_sync(ALL_LANES, p, i * 4);
        float v[8];
        unpack16<bf16>(rows.value[i], v);
#pragma unroll
        for (int j = 0; j < 8; j++) {
            vector[j] = fmaf(weight, v[j], vector[j]);
        }
    }
}

/** One head's eight scores: lane l gets that of key l / 4. */
__device__ __forceinline__ float scores_of(const RingRows& rows, const float* query) {
    float q[8];
    const float4* from = reinterpret_cast<const float4*>(query + threadIdx.x % WARP * 8);
    *reinterpret_cast<float4*>(q) = from[0];
    *reinterpret_cast<float4*>(q + 4) = from[1];
    float dot[KEYS];
#pragma unroll
    for (int i = 0; i < KEYS; i++) {
        float k[8];
        unpack16<bf16>(rows.key[i], k);
        dot[i] = 0;
#pragma unroll
        for (int j = 0; j < 8; j++) {
            dot[i] = fmaf(k[j], q[j], dot[i]);
        }
    }
    return warp_sum_of_eight(dot);
}

/** Where a block's result for a head lies in scratch: [K] vector, maximum, sum. */
template <class T> __device__ __forceinline__ float* partial(const Attention<T>& a, int q, int head, int split) {
    return a.scratch + ((size_t(q) * a.heads + head) * a.splits + split) * (a.K + 2);
}

/** bf16, K = 256: the first ring rows are under way before the input is there. */
template <int HEADS> __device__ __forceinline__ void attend_fast(const Attention<bf16>& a, int q, int slot, int position, int firstHead,
                                                                 int heads, const AttentionShared& s) {
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    const RingPart part(blockIdx.x, a.splits, position, a.W);
    RingRows rows;
    int row = part.first + warp * KEYS;
    rows.load(a, size_t(slot) * a.W, part, row);
    rotary_table(a, position, s.table);
    __syncthreads();
    pdl_wait();
    const bf16* input = a.qkv + size_t(q) * a.qkvStride;
    stage_heads(a, input, firstHead, heads, s);
    __syncthreads();

    Softmax soft[HEADS];
    float vector[HEADS][8] = {};
    while (true) {
        const bool there = part.holds(row + lane / 4);
#pragma unroll
        for (int h = 0; h < HEADS; h++) {
            if (h < heads) {
                float score = scores_of(rows, s.query + h * FAST_HEAD);
                absorb(rows, there ? score : -INFINITY, soft[h], vector[h]);
            }
        }
        row += TILE_KEYS;
        if (row >= part.last) {
            break;
        }
        rows.load(a, size_t(slot) * a.W, part, row);
    }
    if (part.owns_new_row() && warp == 0) {
#pragma unroll
        for (int i = 0; i < KEYS; i++) {
            rows.key[i] = rows.value[i] = make_uint4(0, 0, 0, 0);
        }
        float k[8];
#pragma unroll
        for (int j = 0; j < 8; j++) {
            k[j] = s.key[lane * 8 + j];
        }
        rows.key[0] = pack16<bf16>(k);
        rows.value[0] = load_fresh16(input + size_t(a.heads + 1) * FAST_HEAD + lane * 8);
#pragma unroll
        for (int h = 0; h < HEADS; h++) {
            if (h < heads) {
                float score = scores_of(rows, s.query + h * FAST_HEAD);
                absorb(rows, lane < 4 ? score : -INFINITY, soft[h], vector[h]);
            }
        }
    }
    __shared__ Softmax warps[ATTENTION_WARPS];
#pragma unroll
    for (int h = 0; h < HEADS; h++) {
        __syncthreads(); // work is free
        if (h < heads) {
#pragma unroll
            for (int j = 0; j < 8; j++) {
                s.work[warp * FAST_HEAD + lane * 8 + j] = vector[h][j];
            }
            if (lane == 0) {
                warps[warp] = soft[h];
            }
        }
        __syncthreads();
        if (h < heads) {
            float max = -INFINITY, sum = 0, v = 0;
#pragma unroll
            for (int k = 0; k < ATTENTION_WARPS; k++) {
                max = fmaxf(max, warps[k].max);
            }
#pragma unroll
            for (int k = 0; k < ATTENTION_WARPS; k++) {
                float weight = decay_to(warps[k].max, max);
                sum = fmaf(weight, warps[k].sum, sum);
                v = fmaf(weight, s.work[k * FAST_HEAD + threadIdx.x], v);
            }
            float* to = partial(a, q, firstHead + h, blockIdx.x);
            to[threadIdx.x] = v;
            if (threadIdx.x == 0) {
                to[FAST_HEAD] = max;
                to[FAST_HEAD + 1] = sum;
            }
        }
    }
}

/** Any type and head width. */
template <class T> __device__ __forceinline__ void attend_any(const Attention<T>& a, int q, int slot, int position, int firstHead, int heads,
                                                              const AttentionShared& s) {
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    const RingPart part(blockIdx.x, a.splits, position, a.W);
    __shared__ float scratch[2][ATTENTION_WARPS];
    rotary_table(a, position, s.table);
    __syncthreads();
    pdl_wait();
    const T* input = a.qkv + size_t(q) * a.qkvStride;
    stage_heads(a, input, firstHead, heads, s);
    __syncthreads();
    const int ring = part.last - part.first, count = ring + (part.owns_new_row() ? 1 : 0); // the new row comes last
    for (int h = 0; h < heads; h++) {
        for (int i = warp; i < count; i += ATTENTION_WARPS) {
            const bool there = i == ring || part.holds(part.first + i);
            float dot = 0;
            for (int d = lane; d < a.K && there; d += WARP) {
                float k = i == ring ? s.key[d] : load_fresh(a.keys + (size_t(slot) * a.W + part.first + i) * a.K + d);
                dot = fmaf(k, s.query[h * a.K + d], dot);
            }
            dot = warp_sum(dot);
            if (lane == 0) {
                s.work[i] = there ? dot : -INFINITY;
            }
        }
        __syncthreads();
        float max = -INFINITY;
        for (int i = threadIdx.x; i < count; i += blockDim.x) {
            max = fmaxf(max, s.work[i]);
        }
        max = block_max(max, scratch[0]);
        float sum = 0;
        for (int i = threadIdx.x; i < count; i += blockDim.x) {
            sum += decay_to(s.work[i], max);
        }
        sum = block_sum(sum, scratch[1]);
        float* to = partial(a, q, firstHead + h, blockIdx.x);
        for (int d = threadIdx.x; d < a.K; d += blockDim.x) {
            float v = 0;
            for (int i = 0; i < count; i++) {
                float weight = decay_to(s.work[i], max);
                if (weight > 0.0f) {
                    const T* from = i == ring ? input + size_t(a.heads + 1) * a.K + d
                                              : a.values + (size_t(slot) * a.W + part.first + i) * a.K + d;
                    v = fmaf(weight, load_fresh(from), v);
                }
            }
            to[d] = v;
        }
        if (threadIdx.x == 0) {
            to[a.K] = max;
            to[a.K + 1] = sum;
        }
        __syncthreads(); // work and scratch are written again
    }
}

/** Counts this block in and tells all its threads whether it is the last; what the others wrote is then visible. */
__device__ __forceinline__ bool arrive_last(int* counter, int blocks) {
    __shared__ bool last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        last = atomicAdd(counter, 1) == blocks - 1;
        if (last) {
            *counter = 0;
        }
    }
    __syncthreads();
    __threadfence();
    return last;
}

template <class T>
__device__ __forceinline__ void merge(const Attention<T>& a, int q, int firstHead, int heads, const AttentionShared& s) {
    for (int h = 0; h < heads; h++) {
        const float* from = partial(a, q, firstHead + h, 0);
        const int stride = a.K + 2;
        for (int i = threadIdx.x; i < a.splits; i += blockDim.x) {
            s.table[i] = {__ldcg(from + size_t(i) * stride + a.K), __ldcg(from + size_t(i) * stride + a.K + 1)};
        }
        __syncthreads();
        float max = -INFINITY, sum = 0;
        for (int i = 0; i < a.splits; i++) {
            max = fmaxf(max, s.table[i].x);
        }
        for (int i = 0; i < a.splits; i++) {
            sum = fmaf(decay_to(s.table[i].x, max), s.table[i].y, sum);
        }
        for (int d = threadIdx.x; d < a.K; d += blockDim.x) {
            float v = 0;
#pragma unroll 8
            for (int i = 0; i < a.splits; i++) {
                v = fmaf(decay_to(s.table[i].x, max), __ldcg(from + size_t(i) * stride + d), v);
            }
            a.out[size_t(q) * a.outStride + size_t(firstHead + h) * a.K + d] = from_float<T>(v / sum);
        }
        __syncthreads();
    }
}

template <class T, int HEADS> __device__ __forceinline__ void attention_decode(const Attention<T>& a) {
    extern __shared__ __align__(16) float dynamic[];
    pdl_launch_dependents();
    const int q = blockIdx.z, group = blockIdx.y, groups = gridDim.y;
    if (q >= a.step.sequences()) {
        pdl_wait();
        return;
    }
    const int firstHead = group * HEADS, heads = min(HEADS, a.heads - firstHead);
    const int slot = __ldcg(a.step.slots + q), position = __ldcg(a.step.positions + q);
    AttentionShared s;
    s.query = dynamic;
    s.key = s.query + HEADS * a.K;
    s.table = reinterpret_cast<float2*>(s.key + a.K + ((HEADS + 1) * a.K) % 2);
    s.work = reinterpret_cast<float*>(s.table + max(a.splits, a.rotaryDims / 2));
    bool fast = false;
    if constexpr (sizeof(T) == 2) {
        fast = a.K == FAST_HEAD && aligned16(a.keys) && aligned16(a.values) && vectorizable(a.qkv, a.qkvStride, a.K);
        if (fast) {
            attend_fast<HEADS>(a, q, slot, position, firstHead, heads, s);
        }
    }
    if (!fast) {
        attend_any(a, q, slot, position, firstHead, heads, s);
    }
    int* counters = a.arrivals + size_t(q) * (groups + 1);
    if (!arrive_last(counters + 1 + group, a.splits)) {
        return;
    }
    merge(a, q, firstHead, heads, s);
    if (!arrive_last(counters, groups)) {
        return;
    }
    // All blocks have read the ring: the new key and value may replace the oldest.
    const size_t at = (size_t(slot) * a.W + position % a.W) * a.K;
    for (int d = threadIdx.x; d < a.K; d += blockDim.x) {
        a.keys[at + d] = from_float<T>(s.key[d]);
        a.values[at + d] = from_float<T>(load_fresh(a.qkv + size_t(q) * a.qkvStride + size_t(a.heads + 1) * a.K + d));
    }
}

#define ATTENTION(suffix, T, HEADS)                                                                                                          \
    extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS)                                                                          \
    attention_decode_##suffix##_h##HEADS(Step step, const T* qkv, int qkvStride, T* keys, T* values, T* out, int outStride, float* scratch,  \
                                         int* arrivals, int heads, int K, int W, int rotaryDims, float theta, int splits) {                  \
        attention_decode<T, HEADS>(                                                                                                          \
            {step, qkv, qkvStride, keys, values, out, outStride, scratch, arrivals, heads, K, W, rotaryDims, theta, splits});                \
    }
#define ATTENTION_HEADS(suffix, T) ATTENTION(suffix, T, 2) ATTENTION(suffix, T, 5)
FOR_BOTH_TYPES(ATTENTION_HEADS)
