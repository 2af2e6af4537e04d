// out = x w^T + bias and its fusions for 1 to 8 rows of x: weights are streamed once, at memory speed. The mat-vec is in linear.cuh.
//
//   linear_decode             out = x w^T + bias                          x T [M, I], w T [O, I], bias float [O] or null, out T or float
//   norm_linear_decode        out = norm(residual) w^T + bias             residual float [M, I], scale float [I] (1 + w)
//   linear_add_decode         residual += x w^T + bias                    residual float [M, O]
//   norm_gated_linear_decode  out = gelu(gate) * up                       w T [2F, D] (gates, then ups), bias float [2F], out T [M,F]
//
// Names end in _r1, _r2, _r4, _r8: the most rows of x the kernel takes; the launcher picks by the batch bucket. More live rows than that
// are not computed. The norms exist for one row alone: of eight, each block would normalise all (a step of 8 sequences of 2B on an H200:
// 2.99 ms with them, 2.40 without, 2.25 with cuBLASLt for all but linear_add).
// Launch: see linear.cuh.
// Bytes: O I sizeof(T) + small. H100, 2B bf16, one row, after one another with dependent launch, a ring of a little more than half:
//   floor at 3.09 TB/s   x|y 8.5 us   qkv 5.1   out 4.2   gate|up 25.4   down 12.7
//   prediction           0.85 of it
//   outcome              9.6 (0.88)   7.1 (0.72)  6.8 (0.62)  27.8 (0.91)  14.8 (0.86);  9B: 0.90, 0.90, 0.77, 0.95, 0.87
// Eight rows, before x stayed in registers: 14.3, 10.9, 10.3, 33.5, 33.9. Predicted since: at most 1.3 times one row; outcome 16.2,
// 12.2, 7.7, 34.7, 15.9.
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
#define LINEAR_ROWS(suffix, T) LINEAR(suffix, T, 1) LINEAR(suffix, T, 2) LINEAR(suffix, T, 4) LINEAR(suffix, T, 8) NORM_LINEAR(suffix, T)
FOR_BOTH_TYPES(LINEAR_ROWS)
