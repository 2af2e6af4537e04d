// out = x w^T + bias and its fusions for 1 to 32 rows of x: weights are streamed once, at memory speed. The engines: linear.cuh.
//
//   linear_decode             out = x w^T + bias                          x T [M, I], w T [O, I], bias float [O] or null, out T or float
//   linear_planes_decode      planes[0] + planes[1] + .. = x w^T + bias   planes float [planes, M, O]; add_rms_norm adds them up
//   gated_linear_decode       out = gelu(gate) * up                       w T [2F, I] (gates, then ups), bias float [2F], out T [M, F]
//   linear_add_decode         residual += x w^T + bias                    residual float [M, O]
//   norm_linear_decode        out = norm(residual) w^T + bias             residual float [M, I], scale float [I] (1 + w)
//   norm_gated_linear_decode  out = gelu(gate) * up of norm(residual)
//
// Names end in the most rows of x the kernel takes; the launcher picks by the batch bucket. More live rows than that are not computed.
//   bf16: linear _r1, _r8, _r16, _r32; planes and gated _r8, _r16, _r32; linear_add and the norms _r1
//   f32:  linear, linear_add _r1, _r2, _r4, _r8; the norms _r1
// The norms exist for one row alone: of eight, each block would normalise all (a step of 8 sequences of 2B on an H200: 2.99 ms with them,
// 2.40 without).
// Launch: linear.cuh for _r1 and f32, linear_tiles.cuh for the others.
// Bytes: O I sizeof(T) + small. H100, 2B bf16, one row, after one another with dependent launch, a ring of a little more than half:
//   floor at 3.09 TB/s   x|y 8.5 us   qkv 5.1   out 4.2   gate|up 25.4   down 12.7
//   prediction           0.85 of it
//   outcome              9.6 (0.88)   7.1 (0.72)  6.8 (0.62)  27.8 (0.91)  14.8 (0.86);  9B: 0.90, 0.90, 0.77, 0.95, 0.87
#include "linear.cuh"

#define ROWS_ARGUMENTS const int *count, int from, int limit

#define LINEAR(suffix, T, R)                                                                                                             \
    extern "C" __global__ void __launch_bounds__(LINEAR_THREADS, R > 1 ? 1 : 2)                                                            \
    linear_decode_##suffix##_r##R(ROWS_ARGUMENTS, const T* x, int xStride, const T* w, const float* bias, void* out, int outStride,      \
                                  int outIsFloat, int O, int I) {                                                                        \
        mat_vec<T, R>(count, from, limit, PlainInput<T>{x, xStride}, w, StoreOutput<T>{bias, out, outStride, outIsFloat}, O, I);         \
    }                                                                                                                                    \
    extern "C" __global__ void __launch_bounds__(LINEAR_THREADS, R > 1 ? 1 : 2)                                                            \
    linear_add_decode_##suffix##_r##R(ROWS_ARGUMENTS, const T* x, int xStride, const T* w, const float* bias, float* residual,           \
                                      int residualStride, int O, int I) {                                                                \
        mat_vec<T, R>(count, from, limit, PlainInput<T>{x, xStride}, w, AddOutput{bias, residual, residualStride}, O, I);                \
    }
#define NORM_LINEAR(suffix, T)                                                                                                           \
    extern "C" __global__ void __launch_bounds__(LINEAR_THREADS, 2)                                                                        \
    norm_linear_decode_##suffix##_r1(ROWS_ARGUMENTS, const float* residual, int residualStride, const float* scale, float eps,           \
                                     const T* w, const float* bias, void* out, int outStride, int outIsFloat, int O, int I) {            \
        mat_vec<T, 1>(count, from, limit, NormInput<T>{residual, residualStride, scale, eps}, w,                                         \
                      StoreOutput<T>{bias, out, outStride, outIsFloat}, O, I);                                                           \
    }                                                                                                                                    \
    extern "C" __global__ void __launch_bounds__(LINEAR_THREADS, 2)                                                                        \
    norm_gated_linear_decode_##suffix##_r1(ROWS_ARGUMENTS, const float* residual, int residualStride, const float* scale, float eps,     \
                                           const T* w, const float* bias, T* out, int outStride, int F, int D) {                         \
        mat_vec<T, 1>(count, from, limit, NormInput<T>{residual, residualStride, scale, eps}, w, GatedOutput<T>{bias, out, outStride, F}, \
                      F, D);                                                                                                             \
    }
#define TILES(R)                                                                                                                         \
    extern "C" __global__ void __launch_bounds__(TILE_THREADS, 2)                                                                          \
    linear_decode_bf16_r##R(ROWS_ARGUMENTS, const bf16* x, int xStride, const bf16* w, const float* bias, void* out, int outStride,      \
                            int outIsFloat, int O, int I) {                                                                              \
        product_tiles<R>(count, from, limit, x, xStride, w, StoreOutput<bf16>{bias, out, outStride, outIsFloat}, O, I, 1);               \
    }                                                                                                                                    \
    extern "C" __global__ void __launch_bounds__(TILE_THREADS, 2)                                                                          \
    linear_planes_decode_bf16_r##R(ROWS_ARGUMENTS, const bf16* x, int xStride, const bf16* w, const float* bias, float* out,             \
                                   int outStride, long long planeElements, int planes, int O, int I) {                                   \
        product_tiles<R>(count, from, limit, x, xStride, w, PlanesOutput{bias, out, planeElements, outStride}, O, I, planes);            \
    }                                                                                                                                    \
    extern "C" __global__ void __launch_bounds__(TILE_THREADS, 2)                                                                          \
    gated_linear_decode_bf16_r##R(ROWS_ARGUMENTS, const bf16* x, int xStride, const bf16* w, const float* bias, bf16* out,               \
                                  int outStride, int F, int I) {                                                                         \
        product_tiles<R>(count, from, limit, x, xStride, w, GatedOutput<bf16>{bias, out, outStride, F}, F, I, 1);                        \
    }
LINEAR(bf16, bf16, 1)
NORM_LINEAR(bf16, bf16)
TILES(8)
TILES(16)
TILES(32)
LINEAR(f32, float, 1)
LINEAR(f32, float, 2)
LINEAR(f32, float, 4)
LINEAR(f32, float, 8)
NORM_LINEAR(f32, float)
