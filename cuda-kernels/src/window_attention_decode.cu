// Local attention of a decode step in one launch: rotary embedding, attention over the ring and the row itself, merge, ring write.
// Every sequence has exactly one row: row q of qkv T [M, (H + 2) K] (queries, key, value) and of out T [M, H K] belongs to sequence q.
// keys, values T [slots W, K], row = position mod W. A row at position t sees the keys at distance 0..W: the ring still holds t - W, which
// the new key replaces once all blocks have read it.
//
// A block takes one of `splits` equal parts of the ring; the part that holds row t mod W takes the new key, too. Two engines:
// - by tiles (window_attention_decode_tiles.cuh): bf16, K = 256, H <= 16, rotaryDims a multiple of 16, aligned: all heads, COLUMNS columns
//   of the values. With 32 columns, the groups of a split read the same keys, from L2: few sequences occupy the card without many splits
//   to merge. With 256, a block reads keys and values once.
// - plain: any shape; the groups of a split share the heads evenly.
// Partial maxima, sums and vectors go to scratch; the last block of a group to arrive merges them in order of the splits. The last block of
// the split that takes the new key writes the ring row.
//   scratch float [S, H splits (K + K mod 2 + 2 groups) up to a multiple of 4], 16-byte aligned
//   arrivals int [S, groups + 1], zero before the first launch and after every launch
//
// Launch: attention_decode_T_c32, or, for more than two sequences where the tiles serve, attention_decode_bf16_c256. Grid (splits, groups,
// S) with groups = ceil(K / COLUMNS), block 256, dynamic shared memory the larger of 29,696 (c32) or 78,848 (c256), and, with
// G = ceil(H / groups), 4 (K (G + 1) + ceil(W / splits) + 3 + G) + 8 (rotaryDims / 2 + G splits).
// Good splits: W / 128 (c32: one round of eight warps; at most 128); for c256 at most that, and as many as make two blocks a
// multiprocessor.
// Bytes: 2 W K sizeof(T) a sequence. Floor on an H100 at 3.09 TB/s, K = 256, W = 2048, bf16: 0.68 us a sequence; 8 sequences 5.4 us, 32
// sequences 21.7 us. One sequence: three trips to L2 in a row (queries, arrival, partial results) are 3 us. Before (all keys of a block in
// registers at once, two blocks reading the same keys): 12.6 us with dependent launch, 35.2 us, 106.4 us. Predicted now: 10, 11, 28 us;
// outcome on an H200 with dependent launch: 8.4, 17.0, 29.5 us (10.7, 19.1, 36.7 before queries lay as operands and copies had one address).
// Clusters of four blocks that merge through shared memory: no gain for 8 sequences (17.2), a loss for 32, of whose 64 clusters 62 fit (38).
#include "window_attention_decode_tiles.cuh"

static_assert(sizeof(TileShared<32, 1>) == 29696 && sizeof(TileShared<128, 2>) == 78848, "the host asks for these");

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
    const float scale = LOG2_E / sqrtf(float(a.K));
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

/** Writes the new key, element d of which is key(d), and its value. */
template <class T, class Key> __device__ __forceinline__ void write_ring(const Attention<T>& a, int q, int slot, int position, Key key) {
    const size_t at = (size_t(slot) * a.W + position % a.W) * a.K;
    const T* value = a.qkv + size_t(q) * a.qkvStride + size_t(a.heads + 1) * a.K;
    for (int d = threadIdx.x; d < a.K; d += blockDim.x) {
        a.keys[at + d] = key(d);
        a.values[at + d] = from_float<T>(load_fresh(value + d));
    }
}

template <class T, int COLUMNS, int TEAM> __device__ __forceinline__ void attention_decode(const Attention<T>& a) {
    extern __shared__ __align__(128) unsigned char dynamic[];
    pdl_launch_dependents();
    const int q = blockIdx.z, group = blockIdx.y, groups = gridDim.y;
    if (q >= a.step.sequences()) {
        pdl_wait();
        return;
    }
    const int slot = __ldcg(a.step.slots + q), position = __ldcg(a.step.positions + q);
    // All blocks of the split that takes the new key read the row it replaces: the last of them writes it.
    const bool owner = RingPart(blockIdx.x, a.splits, position, a.W).owns_new_row();
    int* counters = a.arrivals + size_t(q) * (groups + 1);
    auto arrived = [&] { return arrive(counters + 1 + group, a.splits, owner ? counters : nullptr, groups); };
    if constexpr (sizeof(T) == 2) {
        if (a.K == FAST_HEAD && a.heads <= FAST_HEADS && a.rotaryDims % 16 == 0 && groups * COLUMNS * TEAM == FAST_HEAD &&
            aligned16(a.keys) && aligned16(a.values) && vectorizable(a.qkv, a.qkvStride, a.K) && vectorizable(a.out, a.outStride, a.K)) {
            auto& s = *reinterpret_cast<TileShared<COLUMNS, TEAM>*>(dynamic);
            attend_tiles<COLUMNS, TEAM>(a, q, slot, position, s);
            const Arrival last = arrived();
            if (last.ring) {
                write_ring(a, q, slot, position, [&](int d) { return s.heads.key[d]; });
            }
            if (last.group) {
                float* scale = &s.out[0][0][0];
                merge_tiles<COLUMNS * TEAM>(a, q, reinterpret_cast<float2*>(scale + FAST_HEADS), scale);
            }
            return;
        }
    }
    const int firstHead = a.heads * group / groups, heads = a.heads * (group + 1) / groups - firstHead;
    const PlainShared s(a, reinterpret_cast<float2*>(dynamic), (a.heads + groups - 1) / groups);
    attend_plain(a, q, slot, position, firstHead, heads, s);
    const Arrival last = arrived();
    if (last.ring) {
        write_ring(a, q, slot, position, [&](int d) { return from_float<T>(s.key[d]); });
    }
    if (last.group) {
        merge_plain(a, q, firstHead, heads, s);
    }
}

#define ATTENTION(name, T, COLUMNS, TEAM)                                                                                              \
    extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS, 2)                                                                 \
    attention_decode_##name(Step step, const T* qkv, int qkvStride, T* keys, T* values, T* out, int outStride, float* scratch,         \
                            int* arrivals, int heads, int K, int W, int rotaryDims, float theta, int splits) {                         \
        attention_decode<T, COLUMNS, TEAM>(                                                                                            \
            {step, qkv, qkvStride, keys, values, out, outStride, scratch, arrivals, heads, K, W, rotaryDims, theta, splits});          \
    }
ATTENTION(bf16_c32, bf16, 32, 1)
ATTENTION(bf16_c256, bf16, 128, 2)
ATTENTION(f32_c32, float, 32, 1)
