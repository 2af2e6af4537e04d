// out = cap * tanh(x table^T / cap), or the plain product when cap is 0.   x T [rows, D], table T [V, D], out float [rows, V].
//
//   logits_decode_T_rN   up to N rows, the table streamed once: bf16 1, 8, 16, 32, f32 1, 2, 4, 8; launch as in linear.cu
//   soft_cap                    z = cap * tanh(z / cap) in place, after a large product; grid (ceil(V / 1024), rows), block 256
//
// Bytes: V D sizeof(T). H100, 2B bf16: floor at 3.09 TB/s 424 us, a fifth of the step; prediction 0.95 of it; outcome 432 us (0.98); 9B 686 us
// (0.99). H200, 2B: floor 291 us; 308 us, eight rows 328 us.
#include "linear.cuh"

#define LOGITS(suffix, T, R)                                                                                                            \
    extern "C" __global__ void __launch_bounds__(LINEAR_THREADS, R > 1 ? 1 : 2)                                                            \
    logits_decode_##suffix##_r##R(const int* count, int from, int limit, const T* x, int xStride, const T* table, float cap, float* out, \
                                  int outStride, int V, int D) {                                                                        \
        mat_vec<T, R>(count, from, limit, PlainInput<T>{x, xStride}, table, CappedOutput{cap, out, outStride}, V, D);                   \
    }
#define LOGITS_TILES(R)                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(TILE_THREADS, 2)                                                                          \
    logits_decode_bf16_r##R(const int* count, int from, int limit, const bf16* x, int xStride, const bf16* table, float cap, float* out, \
                            int outStride, int V, int D) {                                                                              \
        product_tiles<R>(count, from, limit, x, xStride, table, CappedOutput{cap, out, outStride}, V, D, 1);                            \
    }
LOGITS(bf16, bf16, 1)
LOGITS_TILES(8)
LOGITS_TILES(16)
LOGITS_TILES(32)
LOGITS(f32, float, 1)
LOGITS(f32, float, 2)
LOGITS(f32, float, 4)
LOGITS(f32, float, 8)

extern "C" __global__ void __launch_bounds__(256) soft_cap(const int* count, int from, int limit, float* z, int stride, float cap, int V) {
    constexpr int PER_THREAD = 4;
    pdl_launch_dependents();
    pdl_wait();
    int rows = cap > 0.0f ? live_rows(count, from, limit) : 0;
    for (int m = blockIdx.y; m < rows; m += gridDim.y) {
        float* row = z + size_t(m) * stride;
        const int first = (int(blockIdx.x) * int(blockDim.x) + int(threadIdx.x)) * PER_THREAD;
        if (aligned16(row) && first + PER_THREAD <= V) {
            float v[PER_THREAD];
            unpack16<float>(load_fresh16(row + first), v);
#pragma unroll
            for (int i = 0; i < PER_THREAD; i++) {
                v[i] = cap * tanhf(v[i] / cap);
            }
            *reinterpret_cast<uint4*>(row + first) = pack16<float>(v);
        } else {
            for (int i = first; i < min(V, first + PER_THREAD); i++) {
                row[i] = cap * tanhf(__ldcg(row + i) / cap);
            }
        }
    }
}
