// The products of few rows behind linear.cu and logits.cu: y[m, o] = sum_i x[m, i] w[o, i] for 1 to ROWS rows of x, weights read once.
//
// A block owns a contiguous range of units, as even as can be: a unit is a weight row, or for the gated product a pair of rows (gate f,
// up f). Two engines:
// - by rows (this file, linear_rows.cuh): a warp takes whole units, lane by lane along I, FMA. For one row of x, and for float32.
// - by tiles (linear_tiles.cuh, its launch geometry there): bf16, 2 to 32 rows of x, on tensor cores.
//
// By rows, each sum runs in an order that does not depend on the grid, so results do not either.
// Launch: grid = multiprocessors of the card, block = 32 * warps, 1 <= warps <= 12, dynamic shared memory =
//   x (0 when it is not staged) ROWS * (I * sizeof(T) + 128), up to a multiple of 128  +  ring: at least warps * 5632.
// x is staged when normalised, when there is one row, when it is not aligned, and when the rows take at most STAGED_X_LIMIT bytes. The
// ring is fetched before the input is there. One row of x: 17/32 of what a block can have (123,488 bytes on an H100), a little more than
// lets two kernels share a multiprocessor. More only lengthens the queue in front of the memory; two at once are worse. H100, shares of
// read bandwidth of a step of 2B and 9B: 105 KB (two at once) 0.664, 0.688; 120 KB 0.775, 0.870; 150 KB 0.762, 0.865; 195 KB 0.747, 0.854.
// More rows: what a block can have less 32 KB. At least 8 warps' rings; never more than a block can have less the static 15 KB (then
// fewer warps).
// Warps: the number of 8 to 12 that leaves the fewest idle in the last round of a block's units, the larger if equal.
#pragma once

#include "tensor_cores.cuh"
#include "weight_stream.cuh"

constexpr int MAX_WARPS = 12;
constexpr int LINEAR_THREADS = MAX_WARPS * WARP;
/** A warp reads a chunk of a row in steps of 512 bytes, at most five. */
constexpr int STEP_BYTES = WARP * 16;
constexpr int CHUNK_LIMIT = 5 * STEP_BYTES;
constexpr int STAGED_X_LIMIT = 80 * 1024;
/** float4 of a row of the residual that a thread keeps in registers while the norm is summed. */
constexpr int NORM_VECTORS = 4;

struct LinearShared {
    unsigned long long full[MAX_WARPS][MAX_STAGES];
    float sums[MAX_WARPS];
};

/** Bytes of a chunk: the row in equal parts of whole steps where that is possible. A function of the row's bytes alone. */
__device__ __forceinline__ int chunk_bytes(int rowBytes) {
    int least = (rowBytes + CHUNK_LIMIT - 1) / CHUNK_LIMIT;
    for (int parts = least; parts <= 2 * least; parts++) {
        if (rowBytes % (parts * STEP_BYTES) == 0) {
            return rowBytes / parts;
        }
    }
    return ((rowBytes + least - 1) / least + 15) / 16 * 16;
}

/** The units of this block. */
struct UnitRange {
    int first, last;

    __device__ __forceinline__ explicit UnitRange(int units) {
        first = int((long long)units * blockIdx.x / gridDim.x);
        last = int((long long)units * (blockIdx.x + 1) / gridDim.x);
    }
};

// ---- input: where the rows of x come from

/** Rows of T as they are. */
template <class T> struct PlainInput {
    static constexpr bool NORM = false;
    const T* x;
    int stride;

    struct Ahead {};
    __device__ __forceinline__ Ahead ahead(int) const { return {}; }

    /** Copies `live` rows into shared memory, pitch elements apart, and zeros into the rest up to ROWS. */
    template <int ROWS> __device__ __forceinline__ void stage(T* to, int pitch, int live, int I, const Ahead&, float*) const {
        constexpr int N = PER16<T>;
        bool vectors = vectorizable(x, stride, I) && pitch % N == 0;
#pragma unroll
        for (int m = 0; m < ROWS; m++) {
            if (vectors) {
                for (int i = threadIdx.x * N; i < I; i += blockDim.x * N) {
                    uint4 v = m < live ? load_fresh16(x + size_t(m) * stride + i) : make_uint4(0, 0, 0, 0);
                    *reinterpret_cast<uint4*>(to + m * pitch + i) = v;
                }
            } else {
                for (int i = threadIdx.x; i < I; i += blockDim.x) {
                    to[m * pitch + i] = from_float<T>(m < live ? load_fresh(x + size_t(m) * stride + i) : 0.0f);
                }
            }
        }
    }
};

/** RMS norm of a row of the residual, rounded to T: residual * rsqrt(mean(residual^2) + eps) * scale. */
template <class T> struct NormInput {
    static constexpr bool NORM = true;
    const float* residual;
    int stride;
    const float* scale;
    float eps;

    /** The part of scale that this thread will need, fetched before the residual is there. */
    struct Ahead {
        float4 scale[NORM_VECTORS];
    };

    __device__ __forceinline__ Ahead ahead(int D) const {
        Ahead a;
#pragma unroll
        for (int i = 0; i < NORM_VECTORS; i++) {
            int d = (i * int(blockDim.x) + int(threadIdx.x)) * 4;
            a.scale[i] = D % 4 == 0 && aligned16(scale) && d < D ? __ldg(reinterpret_cast<const float4*>(scale + d)) : float4{};
        }
        return a;
    }

    /** One row. */
    template <int ROWS> __device__ __forceinline__ void stage(T* to, int, int live, int D, const Ahead& a, float* sums) const {
        static_assert(ROWS == 1, "of several rows each block would normalise all");
        const bool vectors = vectorizable(residual, stride, D) && aligned16(scale);
        if (vectors && D <= NORM_VECTORS * 4 * int(blockDim.x)) {
            stage_by_block(to, live > 0, D, a, sums);
        } else if (threadIdx.x < WARP) {
            stage_by_warp(to, live > 0, D, vectors);
        }
    }

    /** All in registers: one trip to L2, one barrier. `sums` holds [warps]. */
    __device__ __forceinline__ void stage_by_block(T* to, bool live, int D, const Ahead& a, float* sums) const {
        float4 v[NORM_VECTORS];
        const int at = int(threadIdx.x) * 4, step = int(blockDim.x) * 4;
        float squares = 0;
#pragma unroll
        for (int i = 0; i < NORM_VECTORS; i++) {
            const int d = i * step + at;
            v[i] = live && d < D ? __ldcg(reinterpret_cast<const float4*>(residual + d)) : float4{};
        }
#pragma unroll
        for (int i = 0; i < NORM_VECTORS; i++) {
            squares += v[i].x * v[i].x + v[i].y * v[i].y + v[i].z * v[i].z + v[i].w * v[i].w;
        }
        const float norm = rsqrtf(block_sum(squares, sums) / float(D) + eps);
#pragma unroll
        for (int i = 0; i < NORM_VECTORS; i++) {
            const int d = i * step + at;
            if (d < D) {
                store4(to + d, v[i].x * norm * a.scale[i].x, v[i].y * norm * a.scale[i].y, v[i].z * norm * a.scale[i].z,
                       v[i].w * norm * a.scale[i].w);
            }
        }
    }

    __device__ __forceinline__ void stage_by_warp(T* to, bool live, int D, bool vectors) const {
        const int lane = threadIdx.x % WARP;
        float squares = 0;
        if (vectors) {
#pragma unroll 8
            for (int d = lane * 4; d < D; d += WARP * 4) {
                float4 v = live ? __ldcg(reinterpret_cast<const float4*>(residual + d)) : float4{};
                squares += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
            }
        } else {
            for (int d = lane; d < D; d += WARP) {
                float v = live ? __ldcg(residual + d) : 0.0f;
                squares += v * v;
            }
        }
        const float norm = rsqrtf(warp_sum(squares) / float(D) + eps);
        if (vectors) {
#pragma unroll 4
            for (int d = lane * 4; d < D; d += WARP * 4) {
                float4 v = live ? __ldcg(reinterpret_cast<const float4*>(residual + d)) : float4{};
                float4 s = __ldg(reinterpret_cast<const float4*>(scale + d));
                store4(to + d, v.x * norm * s.x, v.y * norm * s.y, v.z * norm * s.z, v.w * norm * s.w);
            }
        } else {
            for (int d = lane; d < D; d += WARP) {
                to[d] = from_float<T>(live ? __ldcg(residual + d) * norm * __ldg(scale + d) : 0.0f);
            }
        }
    }
};

// ---- output: what becomes of the sums of a unit. `ahead` loads weights (any time), `fresh` what other kernels wrote (after the wait);
// `at` is the output of a plane (linear_tiles.cuh), where there may be several.

/** out = sum + bias, as T or float. */
template <class T> struct StoreOutput {
    static constexpr int PAIR = 1;
    const float* bias;
    void* out;
    int stride, isFloat;

    __device__ __forceinline__ StoreOutput at(int) const { return *this; }
    __device__ __forceinline__ float2 ahead(int unit) const { return {bias ? __ldg(bias + unit) : 0.0f, 0.0f}; }
    __device__ __forceinline__ float fresh(int, int) const { return 0.0f; }
    __device__ __forceinline__ void finish(int unit, int m, const float (&sum)[1], float2 b, float) const {
        store_either<T>(out, isFloat, size_t(m) * stride + unit, sum[0] + b.x);
    }
};

/** residual += sum + bias. */
struct AddOutput {
    static constexpr int PAIR = 1;
    const float* bias;
    float* residual;
    int stride;

    __device__ __forceinline__ float2 ahead(int unit) const { return {bias ? __ldg(bias + unit) : 0.0f, 0.0f}; }
    __device__ __forceinline__ float fresh(int unit, int m) const { return __ldcg(residual + size_t(m) * stride + unit); }
    __device__ __forceinline__ void finish(int unit, int m, const float (&sum)[1], float2 b, float before) const {
        residual[size_t(m) * stride + unit] = before + (sum[0] + b.x);
    }
};

/** planes[plane][m, unit] = sum over the plane's inputs; the first has the bias, too. */
struct PlanesOutput {
    static constexpr int PAIR = 1;
    const float* bias;
    float* planes;
    long long planeElements;
    int stride;

    __device__ __forceinline__ PlanesOutput at(int plane) const {
        return {plane == 0 ? bias : nullptr, planes + plane * planeElements, planeElements, stride};
    }
    __device__ __forceinline__ float2 ahead(int unit) const { return {bias ? __ldg(bias + unit) : 0.0f, 0.0f}; }
    __device__ __forceinline__ void finish(int unit, int m, const float (&sum)[1], float2 b, float) const {
        planes[size_t(m) * stride + unit] = sum[0] + b.x;
    }
};

/** out = gelu(gate) * up. Unit f has the weight rows f and F + f. */
template <class T> struct GatedOutput {
    static constexpr int PAIR = 2;
    const float* bias;
    T* out;
    int stride, F;

    __device__ __forceinline__ GatedOutput at(int) const { return *this; }
    __device__ __forceinline__ float2 ahead(int unit) const {
        return bias ? float2{__ldg(bias + unit), __ldg(bias + F + unit)} : float2{0.0f, 0.0f};
    }
    __device__ __forceinline__ float fresh(int, int) const { return 0.0f; }
    __device__ __forceinline__ void finish(int unit, int m, const float (&sum)[2], float2 b, float) const {
        out[size_t(m) * stride + unit] = from_float<T>(gelu_tanh(sum[0] + b.x) * (sum[1] + b.y));
    }
};

/** out = cap * tanh(sum / cap), or the sum when cap is 0. */
struct CappedOutput {
    static constexpr int PAIR = 1;
    float cap;
    float* out;
    int stride;

    __device__ __forceinline__ CappedOutput at(int) const { return *this; }
    __device__ __forceinline__ float2 ahead(int) const { return {0.0f, 0.0f}; }
    __device__ __forceinline__ float fresh(int, int) const { return 0.0f; }
    __device__ __forceinline__ void finish(int unit, int m, const float (&sum)[1], float2, float) const {
        out[size_t(m) * stride + unit] = cap > 0.0f ? cap * tanhf(sum[0] / cap) : sum[0];
    }
};

#include "linear_rows.cuh"
#include "linear_tiles.cuh"

/** `units` outputs a row of x; w has units * PAIR rows of I. */
template <class T, int ROWS, class Input, class Output>
__device__ __forceinline__ void mat_vec(const int* count, int from, int limit, const Input& input, const T* w, const Output& output,
                                        int units, int I) {
    extern __shared__ __align__(128) unsigned char dynamic[];
    __shared__ LinearShared shared;
    pdl_launch_dependents();
    if (!aligned16(w) || I * int(sizeof(T)) % 16 != 0) {
        mat_vec_scalar<T, ROWS>(count, from, limit, input, w, output, units, I, dynamic, shared);
    } else {
        mat_vec_rows<T, ROWS>(count, from, limit, input, w, output, units, I, dynamic, shared);
    }
}
