// out = gelu_tanh(gate) * up, elementwise; out may be gate or up.   gate, up, out T [M, F], each with its own row stride.
//
// Launch: grid (ceil(F / (256 * 16 / sizeof(T))), min(M, 65535)), block 256. No dynamic shared memory.
// Bytes: 3 M F sizeof(T). Floor: those bytes at copy bandwidth.
#include "common.cuh"

template <class T>
__device__ __forceinline__ void gated_gelu(const int* count, int from, int limit, const T* gate, int gateStride, const T* up, int upStride,
                                           T* out, int outStride, int F) {
    constexpr int N = PER16<T>;
    pdl_launch_dependents();
    pdl_wait();
    const int rows = live_rows(count, from, limit);
    const bool vectors = vectorizable(gate, gateStride, F) && vectorizable(up, upStride, F) && vectorizable(out, outStride, F);
    const int first = (blockIdx.x * blockDim.x + threadIdx.x) * N;
    for (int m = blockIdx.y; m < rows; m += gridDim.y) {
        const T* g = gate + size_t(m) * gateStride;
        const T* u = up + size_t(m) * upStride;
        T* y = out + size_t(m) * outStride;
        for (int f = first; f < F; f += gridDim.x * blockDim.x * N) {
            if (vectors) {
                float gv[N], uv[N];
                unpack16<T>(load_fresh16(g + f), gv);
                unpack16<T>(load_fresh16(u + f), uv);
#pragma unroll
                for (int i = 0; i < N; i++) {
                    uv[i] *= gelu_tanh(gv[i]);
                }
                *reinterpret_cast<uint4*>(y + f) = pack16<T>(uv);
            } else {
                for (int i = f; i < min(f + N, F); i++) {
                    y[i] = from_float<T>(gelu_tanh(load_fresh(g + i)) * load_fresh(u + i));
                }
            }
        }
    }
}

#define GATED_GELU(suffix, T)                                                                                                          \
    extern "C" __global__ void __launch_bounds__(256)                                                                                  \
    gated_gelu_##suffix(const int* count, int from, int limit, const T* gate, int gateStride, const T* up, int upStride, T* out,       \
                        int outStride, int F) {                                                                                        \
        gated_gelu<T>(count, from, limit, gate, gateStride, up, upStride, out, outStride, F);                                          \
    }
FOR_BOTH_TYPES(GATED_GELU)
