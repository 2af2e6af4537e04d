// Conversions on the way to and from the device. Not part of a step; launched without PDL.
//
//   convert_F_T          out[i] = in[i], i < n; F in bf16, f16, f32, T in bf16, f32 (to nearest even); not between equal types
//   transpose_gates_F_T  out[h, o, i] = in[h, i, o]      in F [H, G, G] as stored, out T [H, G, G] as the recurrence reads it; once a gate
//   transpose_taps_F     out[c, e] = in[e, c]            in F [E, C], out float [C, E]
//   norm_factor_F        out = 1 + w                     out float [n]
//   decay_F              out = -8 softplus(p)            out float [n], computed in double
//
// Launch: grid any (elements are taken in strides of the grid; 8 blocks a multiprocessor are enough), block 256.
// transpose_gates: grid (ceil(G / 32), ceil(G / 32), H), block (32, 8).
// Bytes: each element read and written once. Floor: the copy to the device, which is slower.
#include <cuda_fp16.h>

#include "common.cuh"

__device__ __forceinline__ float widen(float v) { return v; }
__device__ __forceinline__ float widen(bf16 v) { return __bfloat162float(v); }
__device__ __forceinline__ float widen(__half v) { return __half2float(v); }

__device__ __forceinline__ size_t first_element() { return size_t(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ __forceinline__ size_t grid_stride() { return size_t(gridDim.x) * blockDim.x; }

#define CONVERT(from, F, to, T)                                                                                                        \
    extern "C" __global__ void __launch_bounds__(256) convert_##from##_##to(const F* in, T* out, unsigned long long n) {               \
        for (size_t i = first_element(); i < n; i += grid_stride()) {                                                                  \
            out[i] = from_float<T>(widen(in[i]));                                                                                      \
        }                                                                                                                              \
    }
CONVERT(bf16, bf16, f32, float)
CONVERT(f16, __half, f32, float)
CONVERT(f16, __half, bf16, bf16)
CONVERT(f32, float, bf16, bf16)

template <class F, class T> __device__ __forceinline__ void transpose_gates(const F* in, T* out, int G) {
    constexpr int TILE = 32;
    __shared__ float tile[TILE][TILE + 1];
    const size_t block = size_t(blockIdx.z) * G * G;
    const int o = blockIdx.x * TILE + threadIdx.x;
    for (int row = threadIdx.y; row < TILE; row += blockDim.y) {
        const int i = blockIdx.y * TILE + row;
        if (i < G && o < G) {
            tile[row][threadIdx.x] = widen(in[block + size_t(i) * G + o]);
        }
    }
    __syncthreads();
    const int i = blockIdx.y * TILE + threadIdx.x;
    for (int row = threadIdx.y; row < TILE; row += blockDim.y) {
        const int outRow = blockIdx.x * TILE + row;
        if (i < G && outRow < G) {
            out[block + size_t(outRow) * G + i] = from_float<T>(tile[threadIdx.x][row]);
        }
    }
}

#define TRANSPOSE_GATES(from, F, to, T)                                                                                                \
    extern "C" __global__ void __launch_bounds__(256) transpose_gates_##from##_##to(const F* in, T* out, int G) {                      \
        transpose_gates(in, out, G);                                                                                                   \
    }

#define SMALL_WEIGHTS(from, F)                                                                                                         \
    TRANSPOSE_GATES(from, F, bf16, bf16)                                                                                               \
    TRANSPOSE_GATES(from, F, f32, float)                                                                                               \
    extern "C" __global__ void __launch_bounds__(256) transpose_taps_##from(const F* in, float* out, int E, int C) {                   \
        for (size_t i = first_element(); i < size_t(E) * C; i += grid_stride()) {                                                      \
            out[i] = widen(in[i % E * C + i / E]);                                                                                     \
        }                                                                                                                              \
    }                                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(256) norm_factor_##from(const F* in, float* out, unsigned long long n) {              \
        for (size_t i = first_element(); i < n; i += grid_stride()) {                                                                  \
            out[i] = 1.0f + widen(in[i]);                                                                                              \
        }                                                                                                                              \
    }                                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(256) decay_##from(const F* in, float* out, unsigned long long n) {                    \
        for (size_t i = first_element(); i < n; i += grid_stride()) {                                                                  \
            const double p = widen(in[i]);                                                                                             \
            out[i] = float(-8.0 * (fmax(p, 0.0) + log1p(exp(-fabs(p)))));                                                              \
        }                                                                                                                              \
    }
SMALL_WEIGHTS(bf16, bf16)
SMALL_WEIGHTS(f16, __half)
SMALL_WEIGHTS(f32, float)
