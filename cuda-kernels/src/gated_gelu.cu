// out = gelu_tanh(gate) * up, elementwise; out may be gate or up.   gate, up, out T [M, F], each with its own row stride.
//
// Launch: grid (any, min(M, 65535)), block 256. No dynamic shared memory. A block's thread takes vectors of 16 bytes, gridDim.x * 256 apart,
// four at a time: with few rows grid.x = ceil(F / (256 * 16 / sizeof(T))), a vector each; with many a quarter of that.
// Bytes: 3 M F sizeof(T). Floor: those bytes at copy bandwidth.
//
// Rows go from the last to the first: the product that wrote gate and up went upwards, so its last rows still lie in L2, and what this
// writes last is what the next product reads first.
// 2048 x 7680 bf16 (94 MB, floor 22 us at 4.2 TB/s), H200: 30.4 us with one vector each of gate and up in flight a thread, and a tanh of
// two branches, by estimate 35 instructions an element: 18 us of issue alone. Now about 11 an element (6 us of issue), two of them of the
// special function unit (8.5 us at 16 a clock), and 128 bytes in flight a thread, 96 KB a multiprocessor. Prediction: 23 us, less by what
// L2 still holds.
// Outcome, H200: 21.9 us in a prompt's step, 30 us when nothing of it lies in L2.
#include "prefill.cuh"

namespace {

constexpr int VECTORS_AT_ONCE = 4;

/** gelu_tanh as v / (1 + exp(-2 sqrt(2/pi) (v + 0.044715 v^3))): a few units in the last place, also where 1 + tanh would cancel. */
__device__ __forceinline__ float gelu_sigmoid(float v) {
    constexpr float LINEAR = -2 * 0.7978845608028654f * LOG2_E, CUBIC = LINEAR * 0.044715f;
    return v * reciprocal_fast(1.0f + exp2_fast(v * fmaf(v * v, CUBIC, LINEAR)));
}

template <class T> __device__ __forceinline__ uint4 gate16(uint4 gate, uint4 up) {
    float g[PER16<T>], u[PER16<T>];
    unpack16<T>(gate, g);
    unpack16<T>(up, u);
#pragma unroll
    for (int i = 0; i < PER16<T>; i++) {
        u[i] *= gelu_sigmoid(g[i]);
    }
    return pack16<T>(u);
}

/** The thread's elements of a row: from `first` on, PER16 every `stride`. All loads of a batch are issued before the first is used. */
template <class T> __device__ __forceinline__ void gate_row(const T* g, const T* u, T* y, int first, int stride, int F) {
    for (int from = first; from < F; from += VECTORS_AT_ONCE * stride) {
        uint4 gate[VECTORS_AT_ONCE], up[VECTORS_AT_ONCE];
#pragma unroll
        for (int i = 0; i < VECTORS_AT_ONCE; i++) {
            const int f = from + i * stride;
            if (f < F) {
                gate[i] = load_fresh16(g + f);
                up[i] = load_fresh16(u + f);
            }
        }
#pragma unroll
        for (int i = 0; i < VECTORS_AT_ONCE; i++) {
            const int f = from + i * stride;
            if (f < F) {
                *reinterpret_cast<uint4*>(y + f) = gate16<T>(gate[i], up[i]);
            }
        }
    }
}

template <class T>
__device__ __forceinline__ void gated_gelu(const int* count, int from, int limit, const T* gate, int gateStride, const T* up, int upStride,
                                           T* out, int outStride, int F) {
    constexpr int N = PER16<T>;
    pdl_launch_dependents();
    const int rows = live_rows(count, from, limit);
    pdl_wait();
    const bool vectors = vectorizable(gate, gateStride, F) && vectorizable(up, upStride, F) && vectorizable(out, outStride, F);
    const int first = (blockIdx.x * blockDim.x + threadIdx.x) * N, stride = gridDim.x * blockDim.x * N;
    for (int m = rows - 1 - int(blockIdx.y); m >= 0; m -= gridDim.y) {
        const T* g = gate + size_t(m) * gateStride;
        const T* u = up + size_t(m) * upStride;
        T* y = out + size_t(m) * outStride;
        if (vectors) {
            gate_row(g, u, y, first, stride, F);
            continue;
        }
        for (int f = first; f < F; f += stride) {
            for (int i = f; i < min(f + N, F); i++) {
                y[i] = from_float<T>(gelu_sigmoid(load_fresh(g + i)) * load_fresh(u + i));
            }
        }
    }
}

} // namespace

#define GATED_GELU(suffix, T)                                                                                                          \
    extern "C" __global__ void __launch_bounds__(256, 3)                                                                               \
    gated_gelu_##suffix(const int* count, int from, int limit, const T* gate, int gateStride, const T* up, int upStride, T* out,       \
                        int outStride, int F) {                                                                                        \
        gated_gelu<T>(count, from, limit, gate, gateStride, up, upStride, out, outStride, F);                                          \
    }
FOR_BOTH_TYPES(GATED_GELU)
