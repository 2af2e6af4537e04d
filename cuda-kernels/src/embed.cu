// x[m] = table[token(m)] * scale.   table T [V, D], x float [M, D].
//
// Launch: grid min(M, 65535) x 1, block 256. No dynamic shared memory. The first kernel of a program: launched without PDL.
// Bytes: M D (sizeof(T) + 4). Floor at batch 1: one launch.
#include "common.cuh"

template <class T>
__device__ __forceinline__ void embed(const Step& step, const T* table, float scale, float* x, int xStride, int D) {
    pdl_launch_dependents();
    pdl_wait();
    int rows = step.rows();
    bool vectors = vectorizable(table, D, D) && vectorizable(x, xStride, PER16<float>);
    for (int m = blockIdx.x; m < rows; m += gridDim.x) {
        const T* from = table + size_t(__ldcg(step.tokens + m)) * D;
        float* to = x + size_t(m) * xStride;
        if (!vectors) {
            for (int d = threadIdx.x; d < D; d += blockDim.x) {
                to[d] = to_float(from[d]) * scale;
            }
            continue;
        }
        for (int d = threadIdx.x * PER16<T>; d < D; d += blockDim.x * PER16<T>) {
            float v[PER16<T>];
            unpack16<T>(stream16(from + d), v);
#pragma unroll
            for (int i = 0; i < PER16<T>; i += 4) {
                *reinterpret_cast<float4*>(to + d + i) = make_float4(v[i] * scale, v[i + 1] * scale, v[i + 2] * scale, v[i + 3] * scale);
            }
        }
    }
}

#define EMBED(suffix, T)                                                                                       \
    extern "C" __global__ void __launch_bounds__(256)                                                          \
    embed_##suffix(Step step, const T* table, float scale, float* x, int xStride, int D) {                     \
        embed<T>(step, table, scale, x, xStride, D);                                                           \
    }
FOR_BOTH_TYPES(EMBED)
