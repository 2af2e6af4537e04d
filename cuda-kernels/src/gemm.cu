// Products of many rows without cuBLASLt: out[m, o] = sum_i x[m, i] w[o, i] (+ bias[o]) (+ out[m, o]), and the block-diagonal gates.
//
//   gemm_T(count, from, limit, x, xStride, w [O, I], bias|null, out, outStride, outIsFloat, addToOut, O, I)
//     grid = (ceil(limit / 128), ceil(O / 128)) for bf16, (ceil(limit / 64), ceil(O / 64)) for f32
//   gates_gemm_T(count, from, limit, x, xStride, w [2, H, G, G], gates, gatesStride, gatePlane, H, G)
//     gates[z][m, h G + o] = sum_i x[m, h G + i] w[z, h, o, i]; planes z = 0, 1 are gatePlane elements apart
//     grid = (ceil(limit / 128), ceil(G / 128), 2 H) for bf16, 64 instead of 128 for f32
//   block = 128 and dynamic shared memory 98304 for bf16; block = 256 and none for f32. Pointers are those of row `from`.
//
// bf16: mma.sync m16n8k16, tiles of 128 rows x 128 outputs x 64, three stages of cp.async, four warps of 64 x 64, float32 accumulation
// in the order of i whatever the grid. Rows whose 16-byte groups are not aligned are copied element by element. f32: 64 x 64 x 16 FMA.
//
// FLOPs: 2 M O I. Two blocks a multiprocessor. A tile of 128 x 128 asks L2 for a byte every 64 multiply-adds. Measured on an H100, 2048
// rows: 201 TFLOP/s (0.25 of 790) for 15360 x 2560, which is 3.1 TB/s out of L2; the gates 115 TFLOP/s. There, gemm_wgmma.cu is for it.

#include "product.cuh"

namespace {

constexpr int TILE = 128;    // rows, and outputs
constexpr int DEPTH = 64;    // inputs of a stage
constexpr int STAGES = 3;
constexpr int THREADS = 128;
constexpr int WARP_TILE = 64;
static_assert(STAGES * 2 * TILE * DEPTH * sizeof(bf16) == 98304, "the launch geometry above");

/** Copies [TILE, DEPTH] of a matrix from (row0, column0) into a stage; what lies outside becomes 0. */
__device__ void load_tile(const bf16* from, int stride, int rows, int columns, int row0, int column0, bool vectors, bf16* tile) {
#pragma unroll 4
    for (int c = threadIdx.x; c < TILE * (DEPTH / 8); c += THREADS) {
        int row = c / (DEPTH / 8), column = c % (DEPTH / 8) * 8;
        bool valid = row0 + row < rows && column0 + column < columns;
        const bf16* source = from + (size_t) (valid ? row0 + row : 0) * stride + (valid ? column0 + column : 0);
        bf16* target = swizzled<DEPTH>(tile, row, column);
        if (vectors) {
            copy_async(target, source, valid);
        } else {
            for (int i = 0; i < 8; i++) {
                target[i] = from_float<bf16>(valid && column0 + column + i < columns ? load_fresh(source + i) : 0);
            }
        }
    }
}

/** acc [64, 64] += x [64, DEPTH] w [64, DEPTH]^T of one stage, for the warp at (warpRow, warpOutput). */
__device__ void multiply_stage(float (&acc)[4][8][4], bf16* x, bf16* w, int warpRow, int warpOutput, int lane) {
#pragma unroll
    for (int k = 0; k < DEPTH; k += 16) {
        unsigned a[4][4], b[4][4];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            load_matrices(a[i], swizzled<DEPTH>(x, warpRow + i * 16 + lane % 16, k + lane / 16 * 8));
            load_matrices(b[i], swizzled<DEPTH>(w, warpOutput + i * 16 + lane / 16 * 8 + lane % 8, k + lane / 8 % 2 * 8));
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
#pragma unroll
            for (int j = 0; j < 4; j++) {
                mma_bf16(acc[i][2 * j], a[i], b[j][0], b[j][1]);
                mma_bf16(acc[i][2 * j + 1], a[i], b[j][2], b[j][3]);
            }
        }
    }
}

__device__ void multiply(const Product<bf16>& p, int rows) {
    extern __shared__ __align__(128) unsigned char shared[];
    bf16* x = (bf16*) shared;               // [STAGES][TILE, DEPTH]
    bf16* w = x + STAGES * TILE * DEPTH;    // the same
    int row0 = blockIdx.x * TILE, output0 = blockIdx.y * TILE;
    if (row0 >= rows) {
        return;
    }
    bool vectorX = vectorizable(p.x, p.xStride, p.inputs), vectorW = vectorizable(p.w, p.inputs, p.inputs);
    int steps = (p.inputs + DEPTH - 1) / DEPTH;
    auto load = [&](int step) {
        if (step < steps) {
            int stage = step % STAGES * TILE * DEPTH;
            load_tile(p.x, p.xStride, rows, p.inputs, row0, step * DEPTH, vectorX, x + stage);
            load_tile(p.w, p.inputs, p.outputs, p.inputs, output0, step * DEPTH, vectorW, w + stage);
        }
        commit_copies();
    };
    for (int s = 0; s < STAGES - 1; s++) {
        load(s);
    }
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    int warpRow = warp / 2 * WARP_TILE, warpOutput = warp % 2 * WARP_TILE;
    float acc[4][8][4] = {};
    for (int s = 0; s < steps; s++) {
        await_copies<STAGES - 2>();
        __syncthreads();   // stage s is there for all, and nobody reads stage s - 1 any more
        load(s + STAGES - 1);
        int stage = s % STAGES * TILE * DEPTH;
        multiply_stage(acc, x + stage, w + stage, warpRow, warpOutput, lane);
    }
    bool pairs = in_pairs(p);
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
        for (int j = 0; j < 8; j++) {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                int row = row0 + warpRow + i * 16 + lane / 4 + 8 * half;
                int output = output0 + warpOutput + j * 8 + lane % 4 * 2;
                float v0 = acc[i][j][2 * half], v1 = acc[i][j][2 * half + 1];
                if (row >= rows || output >= p.outputs) {
                    continue;
                }
                if (pairs) {
                    emit_pair(p, row, output, v0, v1);
                } else {
                    emit(p, row, output, v0);
                    if (output + 1 < p.outputs) {
                        emit(p, row, output + 1, v1);
                    }
                }
            }
        }
    }
}

constexpr int PLAIN_TILE = 64;
constexpr int PLAIN_DEPTH = 16;
constexpr int PLAIN_THREADS = 256;   // 16 x 16, four rows by four outputs each

__device__ void load_plain(const float* from, int stride, int rows, int columns, int row0, int column0, float (*tile)[PLAIN_TILE + 4]) {
    for (int c = threadIdx.x; c < PLAIN_TILE * PLAIN_DEPTH; c += PLAIN_THREADS) {
        int row = c / PLAIN_DEPTH, column = c % PLAIN_DEPTH;
        bool valid = row0 + row < rows && column0 + column < columns;
        tile[column][row] = valid ? load_fresh(from + (size_t) (row0 + row) * stride + column0 + column) : 0;
    }
}

__device__ void multiply(const Product<float>& p, int rows) {
    __shared__ __align__(16) float x[PLAIN_DEPTH][PLAIN_TILE + 4];
    __shared__ __align__(16) float w[PLAIN_DEPTH][PLAIN_TILE + 4];
    int row0 = blockIdx.x * PLAIN_TILE, output0 = blockIdx.y * PLAIN_TILE;
    if (row0 >= rows) {
        return;
    }
    int r = threadIdx.x / 16 * 4, o = threadIdx.x % 16 * 4;
    float acc[4][4] = {};
    for (int k0 = 0; k0 < p.inputs; k0 += PLAIN_DEPTH) {
        load_plain(p.x, p.xStride, rows, p.inputs, row0, k0, x);
        load_plain(p.w, p.inputs, p.outputs, p.inputs, output0, k0, w);
        __syncthreads();
#pragma unroll
        for (int k = 0; k < PLAIN_DEPTH; k++) {
            float4 a = *(const float4*) &x[k][r], b = *(const float4*) &w[k][o];
            float as[4] = {a.x, a.y, a.z, a.w}, bs[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
            for (int i = 0; i < 4; i++) {
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    acc[i][j] = fmaf(as[i], bs[j], acc[i][j]);
                }
            }
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            if (row0 + r + i < rows && output0 + o + j < p.outputs) {
                emit(p, row0 + r + i, output0 + o + j, acc[i][j]);
            }
        }
    }
}

template <class T> constexpr int BLOCK = sizeof(T) == 2 ? THREADS : PLAIN_THREADS;

} // namespace

#define GEMM(suffix, T)                                                                                                               \
    extern "C" __global__ void __launch_bounds__(BLOCK<T>, 2)                                                                         \
    gemm_##suffix(const int* count, int from, int limit, const T* x, int xStride, const T* w, const float* bias, void* out,           \
            int outStride, int outIsFloat, int addToOut, int O, int I) {                                                              \
        pdl_launch_dependents();                                                                                                      \
        pdl_wait();                                                                                                                   \
        multiply(Product<T>{x, w, bias, out, xStride, outStride, outIsFloat, addToOut, O, I}, live_rows(count, from, limit));         \
    }                                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(BLOCK<T>, 2)                                                                         \
    gates_gemm_##suffix(const int* count, int from, int limit, const T* x, int xStride, const T* w, T* gates, int gatesStride,        \
            long long gatePlane, int H, int G) {                                                                                      \
        pdl_launch_dependents();                                                                                                      \
        pdl_wait();                                                                                                                   \
        multiply(gate(x, xStride, w, gates, gatesStride, gatePlane, H, G, (int) blockIdx.z), live_rows(count, from, limit));           \
    }
FOR_BOTH_TYPES(GEMM)
