// What every kernel shares: the step in device memory, element types, loads, reductions, programmatic dependent launch.
//
// Rules for kernels that are launched with programmatic dependent launch (PDL):
// - Every block calls pdl_wait() exactly once before it touches anything another kernel writes, and before it returns.
// - pdl_launch_dependents() comes first: it only lets the next kernel's blocks take free room on the chip. What they do before
//   their own pdl_wait() may touch weights alone, plus the Step and the states of earlier programs (below).
// - A program's first kernel is launched without PDL. What the Step says of its rows (counts to sampling) is written by the program's last
//   kernels alone (advance), and a layer's state (ring keys and values, h, convState) by that layer's kernel alone: both may be read before
//   pdl_wait(). The results in the Step (ids to status: written by sampling) and whatever else kernels of the program write may not.
// - Data that another kernel writes is read through L2 (load_fresh*, __ldcg): a block may be older than the data, and its L1 too.
//   Only weights go through the read-only path (stream16, __ldg).
// Without PDL, both calls do nothing wrong and nothing useful.
#pragma once

#include <cuda_bf16.h>

using bf16 = __nv_bfloat16;

constexpr int WARP = 32;
constexpr unsigned ALL_LANES = 0xffffffffu;
constexpr int MAX_END_IDS = 16;
constexpr int MAX_ALTERNATIVES = 20;
constexpr int RESULT_DEPTH = 4;

// status of a sequence after advance: griffin.backend.StepResult
constexpr int RUNNING = 0, ENDED = 1, LIMIT = 2, CANCELLED = 3, PARKED = 4, FAILED = 5;

/** In place of a token: the sequence's logits were not finite. */
constexpr int NOT_FINITE = -2;

/** How one sequence samples: griffin.sampling.SamplingParams. */
struct SamplingRow {
    float temperature;
    int topK;
    float topP, minP, repetitionPenalty;
    int logProbabilities;
    unsigned long long seed;

    __device__ bool greedy() const { return temperature == 0.0f || topK == 1; }
};
static_assert(sizeof(SamplingRow) == 32, "the host packs these");

/** One step: what varies between runs of a program. M rows of S sequences. All pointers are device memory but the two mapped ones. */
struct Step {
    int* counts;              // [4] rows, sequences, outputs, ticket of this run
    int* tokens;              // [M]
    int* positions;           // [M]
    int* rowSequence;         // [M]
    int* slots;               // [S]
    int* rowStarts;           // [S + 1]
    int* outputRows;          // [M]
    int* sampledOutputs;      // [S] index among the outputs, or -1
    int* remaining;           // [S]
    int* endIds;              // [S, MAX_END_IDS], padded with -1
    volatile int* cancelled;  // [S] mapped host memory
    SamplingRow* sampling;    // [S]
    int* ids;                           // result of this run: [S]
    float* logProbabilities;            // [S]
    int* alternativeIds;                // [S, MAX_ALTERNATIVES]
    float* alternativeLogProbabilities; // [S, MAX_ALTERNATIVES]
    int* status;                        // [S]
    int* published;           // mapped host memory: RESULT_DEPTH results of publishedStride ints
    int maxRows, maxSequences, scrapSlot, publishedStride;

    __device__ int rows() const { return counts[0]; }
    __device__ int sequences() const { return counts[1]; }
    __device__ int outputs() const { return counts[2]; }
};
static_assert(sizeof(Step) == 18 * 8 + 4 * 4, "the host packs these");

/** The live rows of a view [from, from + limit) of the rows that count counts. */
__device__ __forceinline__ int live_rows(const int* count, int from, int limit) {
    int live = __ldcg(count) - from;
    return live < 0 ? 0 : live < limit ? live : limit;
}

// ---- programmatic dependent launch

/** Lets the next kernel of the stream start as soon as there is room. */
__device__ __forceinline__ void pdl_launch_dependents() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/** Returns when all kernels before this one have finished and their writes are visible. */
__device__ __forceinline__ void pdl_wait() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// ---- element types

__device__ __forceinline__ float to_float(float v) { return v; }
__device__ __forceinline__ float to_float(bf16 v) { return __bfloat162float(v); }

template <class T> __device__ __forceinline__ T from_float(float v);
template <> __device__ __forceinline__ float from_float<float>(float v) { return v; }
/** To nearest, ties to even. */
template <> __device__ __forceinline__ bf16 from_float<bf16>(float v) { return __float2bfloat16_rn(v); }

/** v as it reads back after being stored as T. */
template <class T> __device__ __forceinline__ float rounded(float v) { return to_float(from_float<T>(v)); }

/** The elements of 16 bytes: 8 bf16 or 4 float. */
template <class T> constexpr int PER16 = 16 / int(sizeof(T));

__device__ __forceinline__ float low_half(unsigned pair) { return __uint_as_float(pair << 16); }
__device__ __forceinline__ float high_half(unsigned pair) { return __uint_as_float(pair & 0xffff0000u); }

template <class T> __device__ __forceinline__ void unpack16(uint4 v, float (&out)[PER16<T>]);
template <> __device__ __forceinline__ void unpack16<bf16>(uint4 v, float (&out)[8]) {
    out[0] = low_half(v.x), out[1] = high_half(v.x), out[2] = low_half(v.y), out[3] = high_half(v.y);
    out[4] = low_half(v.z), out[5] = high_half(v.z), out[6] = low_half(v.w), out[7] = high_half(v.w);
}
template <> __device__ __forceinline__ void unpack16<float>(uint4 v, float (&out)[4]) {
    out[0] = __uint_as_float(v.x), out[1] = __uint_as_float(v.y), out[2] = __uint_as_float(v.z), out[3] = __uint_as_float(v.w);
}

__device__ __forceinline__ unsigned pack_pair(float low, float high) {
    __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<unsigned*>(&pair);
}

template <class T> __device__ __forceinline__ uint4 pack16(const float (&v)[PER16<T>]);
template <> __device__ __forceinline__ uint4 pack16<bf16>(const float (&v)[8]) {
    return make_uint4(pack_pair(v[0], v[1]), pack_pair(v[2], v[3]), pack_pair(v[4], v[5]), pack_pair(v[6], v[7]));
}
template <> __device__ __forceinline__ uint4 pack16<float>(const float (&v)[4]) {
    return make_uint4(__float_as_uint(v[0]), __float_as_uint(v[1]), __float_as_uint(v[2]), __float_as_uint(v[3]));
}

// ---- loads and stores

/** Whether p is a multiple of 16 bytes. */
__device__ __forceinline__ bool aligned16(const void* p) { return (reinterpret_cast<unsigned long long>(p) & 15) == 0; }

/** Whether rows of `columns` elements at p, `stride` elements apart, can be read 16 bytes at a time. */
template <class T> __device__ __forceinline__ bool vectorizable(const T* p, int stride, int columns) {
    return aligned16(p) && stride % PER16<T> == 0 && columns % PER16<T> == 0;
}

/** Four neighbouring elements; `to` is a multiple of four elements. */
__device__ __forceinline__ void store4(float* to, float a, float b, float c, float d) { *reinterpret_cast<float4*>(to) = make_float4(a, b, c, d); }
__device__ __forceinline__ void store4(bf16* to, float a, float b, float c, float d) {
    *reinterpret_cast<uint2*>(to) = make_uint2(pack_pair(a, b), pack_pair(c, d));
}

/** 16 bytes of a weight, read once: past L1. */
__device__ __forceinline__ uint4 stream16(const void* p) {
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p));
    return v;
}

/** 16 bytes that another kernel wrote, through L2. */
__device__ __forceinline__ uint4 load_fresh16(const void* p) { return __ldcg(static_cast<const uint4*>(p)); }

/** One element that another kernel wrote, through L2. */
__device__ __forceinline__ float load_fresh(const float* p) { return __ldcg(p); }
__device__ __forceinline__ float load_fresh(const bf16* p) {
    return __uint_as_float(unsigned(__ldcg(reinterpret_cast<const unsigned short*>(p))) << 16);
}

/** An output of either type at [index]. */
template <class T> __device__ __forceinline__ void store_either(void* out, int isFloat, size_t index, float v) {
    if (isFloat) {
        static_cast<float*>(out)[index] = v;
    } else {
        static_cast<T*>(out)[index] = from_float<T>(v);
    }
}

// ---- reductions: always in the same order, so always the same bits

__device__ __forceinline__ float warp_sum(float v) {
#pragma unroll
    for (int distance = WARP / 2; distance > 0; distance /= 2) {
        v += __shfl_xor_sync(ALL_LANES, v, distance);
    }
    return v;
}

__device__ __forceinline__ double warp_sum(double v) {
#pragma unroll
    for (int distance = WARP / 2; distance > 0; distance /= 2) {
        v += __shfl_xor_sync(ALL_LANES, v, distance);
    }
    return v;
}

__device__ __forceinline__ float warp_max(float v) {
#pragma unroll
    for (int distance = WARP / 2; distance > 0; distance /= 2) {
        v = fmaxf(v, __shfl_xor_sync(ALL_LANES, v, distance));
    }
    return v;
}

__device__ __forceinline__ unsigned long long warp_max(unsigned long long v) {
#pragma unroll
    for (int distance = WARP / 2; distance > 0; distance /= 2) {
        unsigned long long other = __shfl_xor_sync(ALL_LANES, v, distance);
        v = other > v ? other : v;
    }
    return v;
}

/**
 * The sum over the block, in every thread; blockDim.x is a multiple of 32, at most 1024. `scratch` holds one V per warp and is free
 * again after the next __syncthreads().
 */
template <class V> __device__ __forceinline__ V block_sum(V v, V* scratch) {
    v = warp_sum(v);
    if (threadIdx.x % WARP == 0) {
        scratch[threadIdx.x / WARP] = v;
    }
    __syncthreads();
    V sum = 0;
    for (int warp = 0; warp < int(blockDim.x) / WARP; warp++) {
        sum += scratch[warp];
    }
    return sum;
}

/** The largest of the block, in every thread; as block_sum. */
template <class V> __device__ __forceinline__ V block_max(V v, V* scratch) {
    v = warp_max(v);
    if (threadIdx.x % WARP == 0) {
        scratch[threadIdx.x / WARP] = v;
    }
    __syncthreads();
    V largest = scratch[0];
    for (int warp = 1; warp < int(blockDim.x) / WARP; warp++) {
        largest = scratch[warp] > largest ? scratch[warp] : largest;
    }
    return largest;
}

// ---- elementary functions

constexpr float LOG2_E = 1.4426950408889634f;

/** 0.5 v (1 + tanh(sqrt(2/pi) (v + 0.044715 v^3))). */
__device__ __forceinline__ float gelu_tanh(float v) {
    constexpr float SQRT_2_OVER_PI = 0.7978845608028654f;
    return 0.5f * v * (1.0f + tanhf(SQRT_2_OVER_PI * (v + 0.044715f * v * v * v)));
}

__device__ __forceinline__ float sigmoid(float v) { return 1.0f / (1.0f + expf(-v)); }

// ---- instantiation: X(suffix of the kernel's name, element type)

#define FOR_BOTH_TYPES(X) X(bf16, bf16) X(f32, float)
