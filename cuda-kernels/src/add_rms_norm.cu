// residual += delta (if there is one); out = residual * rsqrt(mean(residual^2) + eps) * scale, rounded to T.
//   residual float [M, D], delta float [M, D] or null, scale float [D] (1 + w), out T [M, D].
//
// Launch: grid min(M, 65535), block D / 4 threads, in whole warps, where that is at most 1024: a thread keeps its four elements in
// registers, and one trip to L2 is all. Else 256. No dynamic shared memory.
// Bytes: M D (4 read + 4 delta + 4 written with delta + sizeof(T)). A longer row passes through L2 twice; the second read hits.
// 32 rows of 2560 in a decode step: 5.7 us with 256 threads on an H100; prediction for 640: 3.5 us, a launch and one trip; outcome, H200:
// 3.6 us. 2048 rows (31 MB, floor 7.3 us at 4.3 TB/s): 14.7 us.
#include "common.cuh"

/** Four elements of a row, x += add; the sum is stored where there is an add. */
__device__ __forceinline__ float4 add4(float* x, const float* add) {
    float4 v = __ldcg(reinterpret_cast<const float4*>(x));
    if (add) {
        const float4 a = __ldcg(reinterpret_cast<const float4*>(add));
        v = make_float4(v.x + a.x, v.y + a.y, v.z + a.z, v.w + a.w);
        *reinterpret_cast<float4*>(x) = v;
    }
    return v;
}

template <class T> __device__ __forceinline__ void scale4(T* y, float4 v, float norm, float4 s) {
    store4(y, v.x * norm * s.x, v.y * norm * s.y, v.z * norm * s.z, v.w * norm * s.w);
}

template <class T>
__device__ __forceinline__ void add_rms_norm(const int* count, int from, int limit, float* residual, int residualStride,
                                             const float* delta, int deltaStride, const float* scale, float eps, T* out, int outStride,
                                             int D) {
    __shared__ float sums[WARP];
    pdl_launch_dependents();
    const bool vectors = vectorizable(residual, residualStride, D) && (!delta || vectorizable(delta, deltaStride, D)) && aligned16(scale) &&
                         aligned16(out) && outStride % PER16<T> == 0;
    const bool registers = vectors && D <= 4 * int(blockDim.x);
    const int mine = 4 * threadIdx.x;
    const float4 none = make_float4(0, 0, 0, 0);
    const float4 factor = registers && mine < D ? __ldg(reinterpret_cast<const float4*>(scale + mine)) : none; // a weight
    pdl_wait();
    const int rows = live_rows(count, from, limit);
    for (int m = blockIdx.x; m < rows; m += gridDim.x) {
        float* x = residual + size_t(m) * residualStride;
        const float* add = delta ? delta + size_t(m) * deltaStride : nullptr;
        T* y = out + size_t(m) * outStride;
        float4 kept = none;
        float squares = 0;
        if (registers) {
            if (mine < D) {
                kept = add4(x + mine, add ? add + mine : nullptr);
            }
            squares = kept.x * kept.x + kept.y * kept.y + kept.z * kept.z + kept.w * kept.w;
        } else if (vectors) {
            for (int d = mine; d < D; d += blockDim.x * 4) {
                const float4 v = add4(x + d, add ? add + d : nullptr);
                squares += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
            }
        } else {
            for (int d = threadIdx.x; d < D; d += blockDim.x) {
                float v = __ldcg(x + d);
                if (add) {
                    v += __ldcg(add + d);
                    x[d] = v;
                }
                squares += v * v;
            }
        }
        const float norm = rsqrtf(block_sum(squares, sums) / float(D) + eps);
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

#define ADD_RMS_NORM(suffix, T)                                                                                                          \
    extern "C" __global__ void __launch_bounds__(1024)                                                                                   \
    add_rms_norm_##suffix(const int* count, int from, int limit, float* residual, int residualStride, const float* delta, int deltaStride, \
                          const float* scale, float eps, T* out, int outStride, int D) {                                                 \
        add_rms_norm<T>(count, from, limit, residual, residualStride, delta, deltaStride, scale, eps, out, outStride, D);                \
    }
FOR_BOTH_TYPES(ADD_RMS_NORM)
