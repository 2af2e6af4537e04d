// residual += delta (if there is one); out = residual * rsqrt(mean(residual^2) + eps) * scale, rounded to T.
//   residual float [M, D], delta float [M, D] or null, scale float [D] (1 + w), out T [M, D].
//
// Launch: grid min(M, 65535), block 256 (any multiple of 32 up to 1024). No dynamic shared memory.
// Bytes: M D (4 read + 4 delta + 4 written with delta + sizeof(T)). A row passes through L2 twice; the second read hits.
#include "common.cuh"

template <class T>
__device__ __forceinline__ void add_rms_norm(const int* count, int from, int limit, float* residual, int residualStride,
                                             const float* delta, int deltaStride, const float* scale, float eps, T* out, int outStride,
                                             int D) {
    __shared__ float sums[WARP];
    pdl_launch_dependents();
    pdl_wait();
    const int rows = live_rows(count, from, limit);
    const bool vectors = vectorizable(residual, residualStride, D) && (!delta || vectorizable(delta, deltaStride, D)) && aligned16(scale) &&
                         aligned16(out) && outStride % PER16<T> == 0;
    for (int m = blockIdx.x; m < rows; m += gridDim.x) {
        float* x = residual + size_t(m) * residualStride;
        const float* add = delta ? delta + size_t(m) * deltaStride : nullptr;
        T* y = out + size_t(m) * outStride;
        float squares = 0;
        if (vectors) {
            for (int d = threadIdx.x * 4; d < D; d += blockDim.x * 4) {
                float4 v = __ldcg(reinterpret_cast<const float4*>(x + d));
                if (add) {
                    float4 a = __ldcg(reinterpret_cast<const float4*>(add + d));
                    v = make_float4(v.x + a.x, v.y + a.y, v.z + a.z, v.w + a.w);
                    *reinterpret_cast<float4*>(x + d) = v;
                }
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
        if (vectors) { // each thread reads back what it wrote itself
            for (int d = threadIdx.x * 4; d < D; d += blockDim.x * 4) {
                float4 v = __ldcg(reinterpret_cast<const float4*>(x + d));
                float4 s = __ldg(reinterpret_cast<const float4*>(scale + d));
                y[d] = from_float<T>(v.x * norm * s.x);
                y[d + 1] = from_float<T>(v.y * norm * s.y);
                y[d + 2] = from_float<T>(v.z * norm * s.z);
                y[d + 3] = from_float<T>(v.w * norm * s.w);
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
