// residual += delta (if there is one); out = residual * rsqrt(mean(residual^2) + eps) * scale, rounded to T.
//   residual float [M, D], delta float [M, D] or null, scale float [D] (1 + w), out T [M, D].
//   add_planes_rms_norm_bf16: delta is the sum of planeCount such matrices, planeElements apart, as linear_planes_decode leaves them; they
//   are added in their order. It is launched as add_rms_norm_T.
//
// Two forms that add in the same order: a row has the same bits in both, whatever rows stand beside it.
//   add_rms_norm_T            a block a row: few rows, any D, any alignment
//     grid min(M, 65535), block D / 4 threads, in whole warps, where that is at most 1024: a thread keeps its four elements in registers,
//     and one trip to L2 is all. Else 256 (then in another order). No dynamic shared memory.
//   add_rms_norm_rows_T_cC    a warp a row, all of it in registers: more rows than a wave of such blocks; C = 2560 or 4096
//     grid ceil(M / 4), block 128. Only where D = C and rows of residual, delta, scale and out can be read 16 bytes at a time; elsewhere it
//     traps: launch the other form
//
// Bytes: M D (4 read + 4 delta + 4 written with delta + sizeof(T)). A longer row passes through L2 twice; the second read hits.
// 32 rows of 2560 in a decode step: 5.7 us with 256 threads on an H100; prediction for 640: 3.5 us, a launch and one trip; outcome, H200:
// 3.6 us. 2048 rows (31 MB, floor 7.3 us at 4.3 TB/s; the 21 MB of the residual were just written and lie in L2): 14.7 us with a block a
// row, of which three are on a multiprocessor at a time, each a launch, a trip, a barrier and a store, one after the other.
// With a warp a row all 2048 rows are on the chip at once, 160 KB of loads in flight a multiprocessor: prediction 7.5 us, 3.8 us of reads
// from L2 at 5.5 TB/s, then the last stores, and a launch. Outcome, H200: 10.2 us.
#include "tensor_cores.cuh"

/** What is added to the residual: the sum of `planes` matrices, or nothing. */
struct Delta {
    const float* rows;
    int stride, planes;
    long long planeElements;

    __device__ __forceinline__ Delta of(int row) const { return {rows ? rows + size_t(row) * stride : nullptr, stride, planes, planeElements}; }
};

/** Four elements of a row, x += delta's row; the sum is stored where there is a delta. */
__device__ __forceinline__ float4 add4(float* x, const Delta& delta, int at) {
    float4 v = __ldcg(reinterpret_cast<const float4*>(x + at));
    if (delta.rows) {
#pragma unroll 4
        for (int plane = 0; plane < delta.planes; plane++) {
            const float4 a = __ldcg(reinterpret_cast<const float4*>(delta.rows + plane * delta.planeElements + at));
            v = make_float4(v.x + a.x, v.y + a.y, v.z + a.z, v.w + a.w);
        }
        *reinterpret_cast<float4*>(x + at) = v;
    }
    return v;
}

/** The operations are spelled out, so that both forms have the same. */
__device__ __forceinline__ float squares4(float4 v) { return fmaf(v.w, v.w, fmaf(v.z, v.z, fmaf(v.y, v.y, v.x * v.x))); }

__device__ __forceinline__ float norm_of(float squares, int D, float eps) { return rsqrtf(squares / float(D) + eps); }

template <class T> __device__ __forceinline__ void scale4(T* y, float4 v, float norm, float4 s) {
    store4(y, v.x * norm * s.x, v.y * norm * s.y, v.z * norm * s.z, v.w * norm * s.w);
}

/** Whether whole rows can be read and written 16 bytes at a time. */
template <class T>
__device__ __forceinline__ bool in_vectors(const float* residual, int residualStride, const float* delta, int deltaStride,
                                           const float* scale, const T* out, int outStride, int D) {
    return vectorizable(residual, residualStride, D) && (!delta || vectorizable(delta, deltaStride, D)) && aligned16(scale) &&
           aligned16(out) && outStride % PER16<T> == 0;
}

template <class T>
__device__ __forceinline__ void add_rms_norm(const int* count, int from, int limit, float* residual, int residualStride,
                                             const Delta& delta, const float* scale, float eps, T* out, int outStride, int D) {
    __shared__ float sums[WARP];
    const bool vectors = in_vectors(residual, residualStride, delta.rows, delta.stride, scale, out, outStride, D) && delta.planeElements % 4 == 0;
    const bool registers = vectors && D <= 4 * int(blockDim.x);
    const int mine = 4 * threadIdx.x;
    const float4 none = make_float4(0, 0, 0, 0);
    const float4 factor = registers && mine < D ? __ldg(reinterpret_cast<const float4*>(scale + mine)) : none; // a weight
    const int rows = live_rows(count, from, limit); // of the step, and written by none of its kernels but the last
    pdl_wait();
    pdl_launch_dependents(); // not before: a product that fetches its weights takes the place of the one whose sums are awaited here
    for (int m = blockIdx.x; m < rows; m += gridDim.x) {
        float* x = residual + size_t(m) * residualStride;
        const Delta add = delta.of(m);
        T* y = out + size_t(m) * outStride;
        float4 kept = none;
        float squares = 0;
        if (registers) {
            if (mine < D) {
                kept = add4(x, add, mine);
            }
            squares = squares4(kept);
        } else if (vectors) {
            for (int d = mine; d < D; d += blockDim.x * 4) {
                const float4 v = add4(x, add, d);
                squares += squares4(v);
            }
        } else {
            for (int d = threadIdx.x; d < D; d += blockDim.x) {
                float v = __ldcg(x + d);
                if (add.rows) {
                    for (int plane = 0; plane < add.planes; plane++) {
                        v += __ldcg(add.rows + plane * add.planeElements + d);
                    }
                    x[d] = v;
                }
                squares += v * v;
            }
        }
        const float norm = norm_of(block_sum(squares, sums), D, eps);
        if (registers) {
            if (mine < D) {
                scale4(y + mine, kept, norm, factor);
            }
        } else if (vectors) { // each thread reads back what it wrote itself
            for (int d = mine; d < D; d += blockDim.x * 4) {
                scale4(y + d, __ldcg(reinterpret_cast<const float4*>(x + d)), norm, __ldg(reinterpret_cast<const float4*>(scale + d)));
            }
        } else {
            for (int d = threadIdx.x; d < D; d += blockDim.x) {
                y[d] = from_float<T>(__ldcg(x + d) * norm * __ldg(scale + d));
            }
        }
        __syncthreads(); // sums is written again
    }
}

/**
 * The sums over the warp of squares4(kept[i]), i from FIRST to FIRST + 2^LEVEL - 1, each added as warp_sum does. At each distance two sums
 * share a shuffle: half the lanes go on with the one, half with the other. After LEVEL distances a lane holds the sum of the i whose
 * lowest bits are the highest of its number, reversed. A pair is added up before the next is begun: few registers.
 */
template <int LEVEL, int FIRST, int N> __device__ __forceinline__ float shared_sums(const float4 (&kept)[N]) {
    if constexpr (LEVEL == 0) {
        return squares4(kept[FIRST]);
    } else {
        constexpr int DISTANCE = WARP >> LEVEL, SECOND = FIRST + (1 << (LEVEL - 1));
        const float first = shared_sums<LEVEL - 1, FIRST>(kept);
        if constexpr (SECOND < N) {
            const float second = shared_sums<LEVEL - 1, SECOND>(kept);
            const bool upper = threadIdx.x & DISTANCE;
            return (upper ? second : first) + __shfl_xor_sync(ALL_LANES, upper ? first : second, DISTANCE);
        } else {
            return first + __shfl_xor_sync(ALL_LANES, first, DISTANCE);
        }
    }
}

/** The sum of all squares, in every lane, in the order of block_sum over a block of N warps. */
template <int N> __device__ __forceinline__ float sum_of_squares(const float4 (&kept)[N]) {
    static_assert(N <= WARP, "a lane for each");
    const float sums = shared_sums<5, 0>(kept);
    float sum = 0;
#pragma unroll 4 // not all at once: each has a register
    for (int i = 0; i < N; i++) {
        sum += __shfl_sync(ALL_LANES, sums, __brev(i) >> 27);
    }
    return sum;
}

/** x += add for the lane's quads of a row, a few loads at a time. */
template <int N> __device__ __forceinline__ void add_row(float4 (&kept)[N], float* x, const float* add) {
    constexpr int AT_ONCE = 4;
    static_assert(N % AT_ONCE == 0, "whole batches");
#pragma unroll
    for (int from = 0; from < N; from += AT_ONCE) {
        float4 a[AT_ONCE];
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            a[i] = __ldcg(reinterpret_cast<const float4*>(add + (from + i) * 4 * WARP));
        }
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            float4& v = kept[from + i];
            v = make_float4(v.x + a[i].x, v.y + a[i].y, v.z + a[i].z, v.w + a[i].w);
            *reinterpret_cast<float4*>(x + (from + i) * 4 * WARP) = v;
        }
    }
}

/** A warp a row; a lane has the quads of the threads of its number in the warps of the other form. */
template <class T, int N>
__device__ __forceinline__ void add_rms_norm_rows(const int* count, int from, int limit, float* residual, int residualStride,
                                                  const float* delta, int deltaStride, const float* scale, float eps, T* out,
                                                  int outStride, int D) {
    constexpr int NEXT = 4 * WARP; // elements from a lane's quad to its next
    __shared__ __align__(16) float factors[N * NEXT];
    pdl_launch_dependents();
    if (D != N * NEXT || !in_vectors(residual, residualStride, delta, deltaStride, scale, out, outStride, D)) {
        __trap();
    }
    for (int d = 4 * threadIdx.x; d < D; d += 4 * blockDim.x) { // weights: on their way while the row is
        copy_async(factors + d, scale + d);
    }
    commit_copies();
    const int rows = live_rows(count, from, limit), mine = 4 * (threadIdx.x % WARP);
    const int number = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    pdl_wait();
    if (rows == 0) {
        return;
    }
    const bool live = number < rows;
    const int m = live ? number : rows - 1; // a warp without a row reads the last, and writes nothing
    float* x = residual + size_t(m) * residualStride + mine;
    T* y = out + size_t(m) * outStride + mine;
    float4 kept[N];
#pragma unroll
    for (int i = 0; i < N; i++) {
        kept[i] = __ldcg(reinterpret_cast<const float4*>(x + i * NEXT));
    }
    if (delta && live) {
        add_row(kept, x, delta + size_t(m) * deltaStride + mine);
    }
    const float norm = norm_of(sum_of_squares(kept), D, eps);
    await_copies<0>();
    __syncthreads();
    if (live) {
#pragma unroll
        for (int i = 0; i < N; i++) {
            scale4(y + i * NEXT, kept[i], norm, *reinterpret_cast<const float4*>(factors + mine + i * NEXT));
        }
    }
}

#define ADD_RMS_NORM(suffix, T)                                                                                                          \
    extern "C" __global__ void __launch_bounds__(1024)                                                                                   \
    add_rms_norm_##suffix(const int* count, int from, int limit, float* residual, int residualStride, const float* delta, int deltaStride, \
                          const float* scale, float eps, T* out, int outStride, int D) {                                                 \
        add_rms_norm<T>(count, from, limit, residual, residualStride, {delta, deltaStride, 1, 0}, scale, eps, out, outStride, D);        \
    }
FOR_BOTH_TYPES(ADD_RMS_NORM)

extern "C" __global__ void __launch_bounds__(1024)
add_planes_rms_norm_bf16(const int* count, int from, int limit, float* residual, int residualStride, const float* planes, int planeStride,
                         long long planeElements, int planeCount, const float* scale, float eps, bf16* out, int outStride, int D) {
    add_rms_norm<bf16>(count, from, limit, residual, residualStride, {planes, planeStride, planeCount, planeElements}, scale, eps, out, outStride,
                       D);
}

#define ADD_RMS_NORM_ROWS(suffix, T, C, BLOCKS)                                                                                          \
    extern "C" __global__ void __launch_bounds__(128, BLOCKS)                                                                            \
    add_rms_norm_rows_##suffix##_c##C(const int* count, int from, int limit, float* residual, int residualStride, const float* delta,    \
                                      int deltaStride, const float* scale, float eps, T* out, int outStride, int D) {                    \
        add_rms_norm_rows<T, C / 128>(count, from, limit, residual, residualStride, delta, deltaStride, scale, eps, out, outStride, D);  \
    }
#define ADD_RMS_NORM_ROWS_OF_EITHER_WIDTH(suffix, T) \
    ADD_RMS_NORM_ROWS(suffix, T, 2560, 4)            \
    ADD_RMS_NORM_ROWS(suffix, T, 4096, 3)
FOR_BOTH_TYPES(ADD_RMS_NORM_ROWS_OF_EITHER_WIDTH)
