// Local attention of a decode step in one launch: rotary embedding, attention over the ring and the row itself, merge, ring write.
// Every sequence has exactly one row: row q of qkv T [M, (H + 2) K] (queries, key, value) and of out T [M, H K] belongs to sequence q.
// keys, values T [slots W, K], row = position mod W. A row at position t sees the keys at distance 0..W: the ring still holds t - W, which
// the new key replaces once all blocks have read it.
//
// A block takes one of `splits` equal parts of the ring; the part that holds row t mod W takes the new key, too. Two engines:
// - by tiles (window_attention_decode_tiles.cuh): bf16, K = 256, H <= 16, rotaryDims a multiple of 16, aligned: all heads, COLUMNS columns
//   of the values. The groups of a split read the same keys, from L2: few sequences occupy the card without many splits to merge.
// - plain: any shape; the groups of a split share the heads evenly.
// Partial maxima, sums and vectors go to scratch; the last block of a group to arrive merges them in order of the splits. The last block of
// the split that takes the new key writes the ring row.
//   scratch float [S, H, splits, K + K mod 2 + 2 groups], 16-byte aligned
//   arrivals int [S, groups + 1], zero before the first launch and after every launch
//
// Launch: attention_decode_T_c32 (one or two sequences) or _c128 (more), grid (splits, groups, S) with groups = ceil(K / COLUMNS), block
// 256, dynamic shared memory the larger of 11,840 + 512 (COLUMNS + 4), and with G = ceil(H / groups)
// 4 (K (G + 1) + ceil(W / splits) + 3 + G) + 8 (rotaryDims / 2 + G splits).
// Good splits: W / 128, which is one round of eight warps; at most 128.
// Bytes: 2 W K sizeof(T) a sequence. Floor on an H100 at 3.09 TB/s: 0.68 us at K = 256, W = 2048, bf16. Before (two heads a block, FMA,
// scalar loads of the queries one after the other, 32 splits merged head by head): 16.6 us. Predicted now: 4 to 5 us, of which three
// trips to L2 in a row (queries, arrival, partial results) are 3.
#include "window_attention_decode_tiles.cuh"

/** Shared memory of a block of the plain engine. */
struct PlainShared {
    float* query;   // [G, K] rotated, scaled
    float* key;     // [K] rotated
    float* work;    // [keys of the split] scores
    float* scale;   // [G] of the merge
    float2* table;  // [rotaryDims / 2] cos, sin
    float2* stats;  // [G, splits] of the merge

    template <class T> __device__ __forceinline__ PlainShared(const Attention<T>& a, float2* memory, int most) {
        table = memory;
        stats = table + a.rotaryDims / 2;
        query = reinterpret_cast<float*>(stats + most * a.splits);
        key = query + most * a.K;
        scale = key + a.K;
        work = scale + most;
    }
};

/** Any type and head width: `heads` heads from firstHead on. */
template <class T>
__device__ __forceinline__ void attend_plain(const Attention<T>& a, int q, int slot, int position, int firstHead, int heads,
                                             const PlainShared& s) {
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    const RingPart part(blockIdx.x, a.splits, position, a.W);
    __shared__ float scratch[2][ATTENTION_WARPS];
    rotary_table(a, position, s.table);
    __syncthreads();
    pdl_wait();
    const T* input = a.qkv + size_t(q) * a.qkvStride;
    const float scale = 1.0f / sqrtf(float(a.K));
    for (int i = threadIdx.x; i < (heads + 1) * a.K; i += blockDim.x) {
        const int head = i / a.K, d = i % a.K;
        if (head < heads) {
            s.query[i] = rotated(input + size_t(firstHead + head) * a.K, d, a.rotaryDims, s.table) * scale;
        } else {
            s.key[d] = rotated(input + size_t(a.heads) * a.K, d, a.rotaryDims, s.table);
        }
    }
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
        float* to = a.vectors(q, firstHead + h) + size_t(blockIdx.x) * a.K;
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
            a.stats(q, blockIdx.y, firstHead + h)[blockIdx.x] = {max, sum};
        }
        __syncthreads(); // work and scratch are written again
    }
}

template <class T>
__device__ __forceinline__ void merge_plain(const Attention<T>& a, int q, int firstHead, int heads, const PlainShared& s) {
    merge_weights(a, q, blockIdx.y, firstHead, heads, s.stats, s.scale);
    for (int i = threadIdx.x; i < heads * a.K; i += blockDim.x) {
        const int h = i / a.K, d = i % a.K;
        const float* from = a.vectors(q, firstHead + h) + d;
        float v = 0;
#pragma unroll 8
        for (int split = 0; split < a.splits; split++) {
            v = fmaf(s.stats[h * a.splits + split].x, __ldcg(from + size_t(split) * a.K), v);
        }
        a.out[size_t(q) * a.outStride + size_t(firstHead + h) * a.K + d] = from_float<T>(v * s.scale[h]);
    }
}

/** The last block of the split that took the new key writes it and its value: all have read the rows they replace. key(d) is element d. */
template <class T, class Key> __device__ __forceinline__ void write_ring(const Attention<T>& a, int q, int slot, int position, Key key) {
    const RingPart part(blockIdx.x, a.splits, position, a.W);
    if (!part.owns_new_row() || !arrive_last(a.arrivals + size_t(q) * (gridDim.y + 1), gridDim.y)) {
        return;
    }
    const size_t at = (size_t(slot) * a.W + position % a.W) * a.K;
    const T* value = a.qkv + size_t(q) * a.qkvStride + size_t(a.heads + 1) * a.K;
    for (int d = threadIdx.x; d < a.K; d += blockDim.x) {
        a.keys[at + d] = key(d);
        a.values[at + d] = from_float<T>(load_fresh(value + d));
    }
}

template <class T, int COLUMNS> __device__ __forceinline__ void attention_decode(const Attention<T>& a) {
    extern __shared__ __align__(128) unsigned char dynamic[];
    pdl_launch_dependents();
    const int q = blockIdx.z, group = blockIdx.y, groups = gridDim.y;
    if (q >= a.step.sequences()) {
        pdl_wait();
        return;
    }
    const int slot = __ldcg(a.step.slots + q), position = __ldcg(a.step.positions + q);
    int* counter = a.arrivals + size_t(q) * (groups + 1) + 1 + group;
    if constexpr (sizeof(T) == 2) {
        if (a.K == FAST_HEAD && a.heads <= FAST_HEADS && a.rotaryDims % 16 == 0 && groups * COLUMNS == FAST_HEAD && aligned16(a.keys) &&
            aligned16(a.values) && vectorizable(a.qkv, a.qkvStride, a.K) && vectorizable(a.out, a.outStride, a.K)) {
            auto& s = *reinterpret_cast<TileShared<COLUMNS>*>(dynamic);
            attend_tiles<COLUMNS>(a, q, slot, position, s);
            if (arrive_last(counter, a.splits)) {
                float* scale = &s.out[0][0][0];
                merge_tiles<COLUMNS>(a, q, reinterpret_cast<float2*>(scale + FAST_HEADS), scale);
            }
            write_ring(a, q, slot, position, [&](int d) { return s.query[FAST_HEADS][d]; });
            return;
        }
    }
    const int firstHead = a.heads * group / groups, heads = a.heads * (group + 1) / groups - firstHead;
    const PlainShared s(a, reinterpret_cast<float2*>(dynamic), (a.heads + groups - 1) / groups);
    attend_plain(a, q, slot, position, firstHead, heads, s);
    if (arrive_last(counter, a.splits)) {
        merge_plain(a, q, firstHead, heads, s);
    }
    write_ring(a, q, slot, position, [&](int d) { return from_float<T>(s.key[d]); });
}

#define ATTENTION(suffix, T, COLUMNS)                                                                                                  \
    extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS, COLUMNS < 128 ? 2 : 1)                                             \
    attention_decode_##suffix##_c##COLUMNS(Step step, const T* qkv, int qkvStride, T* keys, T* values, T* out, int outStride,          \
                                           float* scratch, int* arrivals, int heads, int K, int W, int rotaryDims, float theta,        \
                                           int splits) {                                                                               \
        attention_decode<T, COLUMNS>(                                                                                                  \
            {step, qkv, qkvStride, keys, values, out, outStride, scratch, arrivals, heads, K, W, rotaryDims, theta, splits});          \
    }
#define ATTENTION_COLUMNS(suffix, T) ATTENTION(suffix, T, 32) ATTENTION(suffix, T, 128)
FOR_BOTH_TYPES(ATTENTION_COLUMNS)
