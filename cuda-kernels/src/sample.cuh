// What the sampling kernels share: the order of tokens, their weights and random numbers, the scratch memory. See sample.cu.
#pragma once

#include "common.cuh"

using u64 = unsigned long long;

constexpr int SLICE_THREADS = 256;
constexpr int SLICE_ITEMS = 8;
constexpr int SLICE = SLICE_THREADS * SLICE_ITEMS; // tokens that a block takes at once
constexpr int SLICE_WARPS = SLICE_THREADS / WARP;
/** Blocks of a multiprocessor: what a slice waits for is latency. */
constexpr int SLICE_BLOCKS = 4;
constexpr int CHOOSE_THREADS = 1024;
/** Tokens that can be sorted; more take the slow path. */
constexpr int CANDIDATES = 2048;
constexpr int RAW_CANDIDATES = 512;
/** Without top-k, top-p is first tried on about this many of the most likely tokens. */
constexpr int TOP_P_GUESS = 512;
/** Keys that a block of more threads sorts by counting. */
constexpr int FEW_KEYS = 128;
/** Sub-maxima beyond those asked for that a bound may let through. */
constexpr int BOUND_SLACK = 16;
/** Sub-maxima that a block can rank: 16 a thread. */
constexpr int RANKED = 16 * SLICE_THREADS;

// ---- the order: by falling logit, the lower id first among equals, zeros of both signs equal. Larger key: earlier. A NaN of either sign
// is the largest of all, so that the maximum shows it.

constexpr unsigned ORDER_OF_NAN = 0xffffffffu, ORDER_OF_INFINITY = 0xff800000u, ORDER_OF_MINUS_INFINITY = 0x007fffffu;

__device__ __forceinline__ unsigned order_of(float z) {
    unsigned bits = __float_as_uint(z + 0.0f);
    return z != z ? ORDER_OF_NAN : bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
__device__ __forceinline__ float value_of(unsigned order) {
    return __uint_as_float(order & 0x80000000u ? order & 0x7fffffffu : ~order);
}
__device__ __forceinline__ u64 key_of(float z, int id) { return u64(order_of(z)) << 32 | unsigned(~id); }
__device__ __forceinline__ int id_of(u64 key) { return int(~unsigned(key)); }
__device__ __forceinline__ float logit_of(u64 key) { return value_of(unsigned(key >> 32)); }

/** Whether a row whose largest key this is lets no token be chosen: a NaN somewhere, or the largest logit is infinite. */
__device__ __forceinline__ bool not_finite(u64 largest) {
    const unsigned order = unsigned(largest >> 32);
    return order >= ORDER_OF_INFINITY || order <= ORDER_OF_MINUS_INFINITY;
}

// ---- random numbers: griffin.sampling.Gumbel

/** Word token % 4 of Philox4x32-10 with key = seed, counter = (token / 4, position, 0, 0). */
__device__ __forceinline__ unsigned philox(u64 seed, int position, int token) {
    unsigned k0 = unsigned(seed), k1 = unsigned(seed >> 32);
    unsigned c0 = unsigned(token) >> 2, c1 = unsigned(position), c2 = 0, c3 = 0;
    for (int round = 0; round < 10; round++) {
        unsigned high0 = __umulhi(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
        unsigned high1 = __umulhi(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
        c0 = high1 ^ c1 ^ k0;
        c1 = low1;
        c2 = high0 ^ c3 ^ k1;
        c3 = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    const int word = token & 3;
    return word == 0 ? c0 : word == 1 ? c1 : word == 2 ? c2 : c3;
}

/** A standard Gumbel number, u = (top 24 bits + 1/2) / 2^24. */
__device__ __forceinline__ float gumbel(u64 seed, int position, int token) {
    double u = (double(philox(seed, position, token) >> 8) + 0.5) * 0x1p-24;
    return float(-log(-log(u)));
}

// ---- one sequence's view

struct Sampler {
    SamplingRow params;
    const float* z;        // its row of logits
    const unsigned* seen;  // its words
    int V, position;       // position of the token to be chosen

    __device__ __forceinline__ float raw(int id) const { return __ldcg(z + id); }
    /** The logit after the repetition penalty. */
    __device__ __forceinline__ float logit(int id) const { return penalized(raw(id), id); }
    __device__ __forceinline__ float penalized(float v, int id) const {
        if (params.repetitionPenalty != 1.0f && (__ldcg(seen + (id >> 5)) >> (id & 31) & 1u) != 0) {
            v = v > 0.0f ? v / params.repetitionPenalty : v * params.repetitionPenalty;
        }
        return v;
    }
    __device__ __forceinline__ double weight(float logit, float max) const { return exp(double(logit - max) / double(params.temperature)); }
    /** What the draw maximises. */
    __device__ __forceinline__ float score(float logit, float max, int id) const {
        return (logit - max) / params.temperature + gumbel(params.seed, position, id);
    }
    /** Whether the most likely tokens are to be listed. */
    __device__ __forceinline__ bool lists() const { return !params.greedy() && !draws_from_all(); }
    /** Most tokens that top-k leaves. */
    __device__ __forceinline__ int kept() const { return params.topK == 0 ? V : min(params.topK, V); }
    __device__ __forceinline__ bool draws_from_all() const { return params.topK == 0 && params.topP == 1.0f; }
    __device__ __forceinline__ int alternatives() const { return max(params.logProbabilities, 0); }
};

__device__ __forceinline__ bool samples(const Step& step, int q) { return q < step.sequences() && __ldcg(step.sampledOutputs + q) >= 0; }

__device__ __forceinline__ Sampler sampler_of(const Step& step, int q, const float* logits, int stride, const unsigned* seen, int seenWords,
                                              int V) {
    Sampler s;
    s.params = step.sampling[q];
    s.z = logits + size_t(__ldcg(step.sampledOutputs + q)) * stride;
    s.seen = seen + size_t(__ldcg(step.slots + q)) * seenWords;
    s.V = V;
    s.position = __ldcg(step.positions + __ldcg(step.rowStarts + q + 1) - 1) + 1;
    return s;
}

// ---- slices: SLICE tokens of a block, four neighbours a thread and 16 bytes. A block takes every gridDim.x-th.

/** Token i of this thread's SLICE_ITEMS; they rise with i. */
__device__ __forceinline__ int slice_id(int slice, int i) { return slice * SLICE + (i / 4 * SLICE_THREADS + int(threadIdx.x)) * 4 + i % 4; }

/** Raw logits of this thread's tokens; zero from V on. */
__device__ __forceinline__ void load_slice(const Sampler& s, int slice, float (&raw)[SLICE_ITEMS]) {
    const bool whole = aligned16(s.z) && (slice + 1) * SLICE <= s.V;
#pragma unroll
    for (int i = 0; i < SLICE_ITEMS; i += 4) {
        if (whole) {
            const float4 v = __ldcg(reinterpret_cast<const float4*>(s.z + slice_id(slice, i)));
            raw[i] = v.x, raw[i + 1] = v.y, raw[i + 2] = v.z, raw[i + 3] = v.w;
        } else {
#pragma unroll
            for (int j = i; j < i + 4; j++) {
                raw[j] = slice_id(slice, j) < s.V ? s.raw(slice_id(slice, j)) : 0.0f;
            }
        }
    }
}

/** Raw logits of a block's slices, one after the other; those of the next are under way meanwhile. */
struct Slices {
    const Sampler& s;
    int slice, count;
    float next[SLICE_ITEMS];

    __device__ __forceinline__ Slices(const Sampler& sampler, int slices) : s(sampler), slice(int(blockIdx.x) - int(gridDim.x)), count(slices) {
        load_slice(s, blockIdx.x, next);
    }
    /** Goes on to the next slice, if there is one. */
    __device__ __forceinline__ bool advance(float (&raw)[SLICE_ITEMS]) {
        slice += gridDim.x;
#pragma unroll
        for (int i = 0; i < SLICE_ITEMS; i++) {
            raw[i] = next[i];
        }
        if (slice + int(gridDim.x) < count) {
            load_slice(s, slice + gridDim.x, next);
        }
        return slice < count;
    }
};

/** The largest key among this warp's tokens, in every lane; without tokens, less than any key. */
__device__ __forceinline__ u64 warp_best(const Sampler& s, int slice, const float (&z)[SLICE_ITEMS]) {
    unsigned order = 0;
    int at = 0x7fffffff;
#pragma unroll
    for (int i = 0; i < SLICE_ITEMS; i++) {
        const unsigned mine = order_of(z[i]);
        if (slice_id(slice, i) < s.V && mine > order) {
            order = mine;
            at = slice_id(slice, i);
        }
    }
    const unsigned top = __reduce_max_sync(ALL_LANES, order);
    const int id = __reduce_min_sync(ALL_LANES, order == top ? at : 0x7fffffff);
    return u64(top) << 32 | unsigned(~id);
}

/** Lists the tokens of this warp that are wanted; the counter goes on where the list ends. All lanes call it. */
__device__ __forceinline__ void append(bool wanted, u64 key, u64* list, int room, int* counter) {
    const unsigned who = __ballot_sync(ALL_LANES, wanted);
    if (who == 0) {
        return;
    }
    const int lane = threadIdx.x % WARP, first = __ffs(who) - 1;
    int at = lane == first ? atomicAdd(counter, __popc(who)) : 0;
    at = __shfl_sync(ALL_LANES, at, first) + __popc(who & ((1u << lane) - 1));
    if (wanted && at < room) {
        list[at] = key;
    }
}

// ---- scratch of one sequence, zero before the first launch; the counters are zero again after each sample

struct SampleHeader {
    u64 cutoff;        // draw from tokens with at least this key ...
    double logSum;     // log of the sum of exp of the raw logits
    int candidates, rawCandidates; // how many filter found; may exceed what the lists hold
    int arrivals, needDraw;        // ... when needDraw
    u64 top;                       // the largest key
    unsigned bound, rawBound;      // orders that the tokens to be listed reach
};
static_assert(sizeof(SampleHeader) == 48, "the host sizes the scratch");

struct SampleScratch {
    SampleHeader* header;
    u64* blockMax;        // [B slices] largest key after the penalty
    u64* rawMax;          // [B] largest raw key
    double* rawSum;       // [B] sum of exp(raw - block's largest raw)
    double* weight;       // [B] sum of the weights
    u64* score;           // [B] best score, ordered, with its id
    u64* list;            // [CANDIDATES]
    u64* rawList;         // [RAW_CANDIDATES]
    unsigned* warpMax;    // [8 B] orders of the largest of each warp's share, after the penalty
    unsigned* rawWarpMax; // [8 B]
    int blocks;

    /** Bytes a sequence: 48 + 8 (5 B + CANDIDATES + RAW_CANDIDATES) + 64 B, B = ceil(V / SLICE). */
    __device__ __forceinline__ SampleScratch(unsigned char* memory, int q, int V) {
        blocks = (V + SLICE - 1) / SLICE;
        const size_t keys = size_t(5) * blocks + CANDIDATES + RAW_CANDIDATES;
        const size_t bytes = sizeof(SampleHeader) + 8 * keys + size_t(8) * SLICE_WARPS * blocks;
        unsigned char* at = memory + q * bytes;
        header = reinterpret_cast<SampleHeader*>(at);
        blockMax = reinterpret_cast<u64*>(at + sizeof(SampleHeader));
        rawMax = blockMax + blocks;
        rawSum = reinterpret_cast<double*>(rawMax + blocks);
        weight = rawSum + blocks;
        score = reinterpret_cast<u64*>(weight + blocks);
        list = score + blocks;
        rawList = list + CANDIDATES;
        warpMax = reinterpret_cast<unsigned*>(rawList + RAW_CANDIDATES);
        rawWarpMax = warpMax + SLICE_WARPS * blocks;
    }
};

/** The largest of values[0, count), in every thread of the block. */
__device__ __forceinline__ u64 block_max_of(const u64* values, int count, u64* scratch) {
    u64 largest = 0;
    for (int i = threadIdx.x; i < count; i += blockDim.x) {
        u64 v = __ldcg(values + i);
        largest = v > largest ? v : largest;
    }
    return block_max(largest, scratch);
}

/** Sorts different keys[0, count) in shared memory, falling; room up to the next power of two. */
__device__ __forceinline__ void sort_falling(u64* keys, int count) {
    if (count <= FEW_KEYS) { // each counts the keys before it: two barriers
        const u64 mine = int(threadIdx.x) < count ? keys[threadIdx.x] : 0;
        int before = 0;
        for (int i = 0; i < count && mine != 0; i++) {
            before += keys[i] > mine;
        }
        __syncthreads();
        if (mine != 0) {
            keys[before] = mine;
        }
        __syncthreads();
        return;
    }
    int size = 1;
    while (size < count) {
        size *= 2;
    }
    for (int i = count + threadIdx.x; i < size; i += blockDim.x) {
        keys[i] = 0;
    }
    __syncthreads();
    for (int run = 2; run <= size; run *= 2) {
        for (int distance = run / 2; distance > 0; distance /= 2) {
            for (int i = threadIdx.x; i < size / 2; i += blockDim.x) {
                const int low = i / distance * 2 * distance + i % distance, high = low + distance;
                const bool falling = (low & run) == 0;
                const u64 a = keys[low], b = keys[high];
                if ((a < b) == falling) {
                    keys[low] = b;
                    keys[high] = a;
                }
            }
            __syncthreads();
        }
    }
}
