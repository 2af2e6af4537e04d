// Products of 2 to 32 rows on Hopper, bf16, weights streamed once by copies of boxes: those of linear.cu and logits.cu. The engine and its launch
// geometry: linear_stream.cuh. On other devices all trap: launch the forms of linear.cu and logits.cu.
//
//   linear_stream         out = x w^T + bias                        w [O, I], bias float [O] or null, out bf16 or float
//   linear_planes_stream  planes[0] + planes[1] + .. = x w^T + bias  planes float [planes, M, O]; add_rms_norm adds them up
//   gated_linear_stream   out = gelu(gate) * up                     w [2F, I] (gates, then ups), bias float [2F] or null, out bf16 [M, F]
//   logits_stream         out = cap * tanh(x table^T / cap)         table [V, D], or the plain product when cap is 0; out float [M, V]
//
// Names end in the most rows of x: _r8, _r16, _r32. More live rows than that are not computed; rows that are not live are not written.
#include "linear_stream.cuh"

/** 1 where the kernels below are compiled for the architecture that has their instructions. */
#if defined(__CUDA_ARCH_FEAT_SM90_ALL) || !defined(__CUDA_ARCH__)
extern "C" __device__ const int linear_stream_compiled = 1;
#else
extern "C" __device__ const int linear_stream_compiled = 0;
#endif

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define PRODUCT_STREAM(R, output, units, I, planes) product_stream<R>(w, x, count, from, limit, output, units, I, planes, tileRows)
#else
#define PRODUCT_STREAM(R, output, units, I, planes) __trap()
#endif

#define STREAM_ARGUMENTS                                                                                                                    \
    const __grid_constant__ CUtensorMap w, const __grid_constant__ CUtensorMap x, int tileRows, const int *count, int from, int limit
#define STREAM_KERNEL extern "C" __global__ void __launch_bounds__(STREAM_THREADS, 1)

#define STREAM(R)                                                                                                                         \
    STREAM_KERNEL linear_stream_bf16_r##R(STREAM_ARGUMENTS, const float* bias, void* out, int outStride, int outIsFloat, int O, int I) {       \
        PRODUCT_STREAM(R, (StoreOutput<bf16>{bias, out, outStride, outIsFloat}), O, I, 1);                                                 \
    }                                                                                                                                     \
    STREAM_KERNEL linear_planes_stream_bf16_r##R(STREAM_ARGUMENTS, const float* bias, float* out, int outStride, long long planeElements,    \
                                                 int planes, int O, int I) {                                                              \
        PRODUCT_STREAM(R, (PlanesOutput{bias, out, planeElements, outStride}), O, I, planes);                                              \
    }                                                                                                                                     \
    STREAM_KERNEL gated_linear_stream_bf16_r##R(STREAM_ARGUMENTS, const float* bias, bf16* out, int outStride, int F, int I) {                 \
        PRODUCT_STREAM(R, (GatedOutput<bf16>{bias, out, outStride, F}), F, I, 1);                                                          \
    }                                                                                                                                     \
    STREAM_KERNEL logits_stream_bf16_r##R(STREAM_ARGUMENTS, float cap, float* out, int outStride, int V, int D) {                              \
        PRODUCT_STREAM(R, (CappedOutput{cap, out, outStride}), V, D, 1);                                                                   \
    }
STREAM(8)
STREAM(16)
STREAM(32)
