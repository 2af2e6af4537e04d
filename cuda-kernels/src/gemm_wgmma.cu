// Products of many rows on Hopper's asynchronous tensor cores (machine code for sm_90a): those of gemm.cu, in bf16.
//
//   gemm_wgmma_bf16(count, from, limit, x, xStride, w [O, I], bias|null, out, outStride, outIsFloat, addToOut, O, I)
//     grid = (ceil(limit / 128), ceil(O / 256)), block = 256, dynamic shared memory 197632
//     only when x and w are multiples of 16 bytes, xStride and I of 8 elements
//   gates_gemm_wgmma_bf16(count, from, limit, x, xStride, w [2, H, G, G], gates, gatesStride, gatePlane, H, G)
//     grid = (2 H, max(1, min(multiprocessors / (2 H), ceil(limit / 128)))) (any second number is right), block = 256, dynamic shared
//     memory 197632; only when G = 256, x, w and gates are multiples of 16 bytes, xStride, gatesStride and gatePlane of 8 elements
//   On other devices both trap: launch the forms of gemm.cu.
//
// gemm: tiles of 128 rows x 256 outputs x 64 inputs in four stages of cp.async; each of two warpgroups has 64 rows, wgmma m64n256k16, both
// operands in shared memory, float32 accumulation in the order of i whatever the grid. A tile of 128 x 128 (gemm.cu) asks L2 for 4/3 as
// many bytes, and L2 is what bounds it.
// gates: a block keeps the 128 KB of one gate of one head, fetched before the wait of dependent launch, and walks over tiles of 64 rows;
// its two warpgroups take turns, one multiplies while the other writes and fetches. x is read twice, gates are written once.
//
// FLOPs 2 M O I and 4 M E G. Floors, H100: gates of 2048 rows, E = 2560: 5.4 GFLOP, 7 us; 42 MB, mostly L2, 14 us if all of it went to
// memory. Predictions: gates 15 us; gemm 0.45 of 790 TFLOP/s for 2048 x 15360 x 2560. Outcomes: 25 us; 0.49.

#include "product.cuh"
#include "wgmma.cuh"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

namespace wgmma {
namespace {

constexpr int THREADS = 2 * WARPGROUP;
constexpr int GROUP_ROWS = 64;    // of a warpgroup's product
constexpr int OUTPUTS = 256;
constexpr int DEPTH = PANEL;      // inputs of a stage
constexpr int STAGES = 4;
constexpr int AHEAD = 2;          // stages asked for before they are needed; the others may still be read
constexpr int X_STAGE = 2 * GROUP_ROWS * DEPTH, W_STAGE = OUTPUTS * DEPTH;
constexpr int G = 256;            // of a gate block
static_assert(STAGES * (X_STAGE + W_STAGE) * sizeof(bf16) + PANEL_ALIGNMENT == 197632, "the launch geometry above");
static_assert((G * G + 2 * GROUP_ROWS * G) * sizeof(bf16) + PANEL_ALIGNMENT == 197632, "the launch geometry above");

/** Copies ROWS rows of COLUMNS columns from (row0, column0) of a matrix by `threads` threads; what lies outside becomes 0. */
template <int ROWS, int COLUMNS>
__device__ void load_panels(const bf16* from, int stride, int rows, int columns, int row0, int column0, bf16* tile, int thread,
        int threads) {
#pragma unroll 8
    for (int c = thread; c < ROWS * (COLUMNS / 8); c += threads) {
        int row = c / (COLUMNS / 8), column = c % (COLUMNS / 8) * 8;
        bool valid = row0 + row < rows && column0 + column < columns;
        const bf16* source = from + (size_t) (valid ? row0 + row : 0) * stride + (valid ? column0 + column : 0);
        copy_async(panel<ROWS>(tile, row, column), source, valid);
    }
}

/** v[j] of lane i of four neighbours becomes v[i] of lane j. */
__device__ void transpose_quad(unsigned (&v)[4], int lane) {
#pragma unroll
    for (int distance = 2; distance > 0; distance /= 2) {
        bool upper = lane & distance;
#pragma unroll
        for (int j = 0; j < 4; j++) {
            if (!(j & distance)) {
                unsigned other = __shfl_xor_sync(ALL_LANES, upper ? v[j] : v[j + distance], distance);
                (upper ? v[j] : v[j + distance]) = other;
            }
        }
    }
}

/** Writes a warp's [16, 256] sums, bf16, 16 bytes a lane: row0 and output0 are those of the warp. */
__device__ void store_rows(const Product<bf16>& p, const float (&sum)[OUTPUTS / 8][4], int row0, int output0, int rows, int lane) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int row = row0 + lane / 4 + 8 * half;
        bf16* out = (bf16*) p.out + (size_t) row * p.outStride;
#pragma unroll
        for (int n = 0; n < OUTPUTS / 8; n += 4) {
            unsigned v[4];
#pragma unroll
            for (int j = 0; j < 4; j++) {
                int output = output0 + (n + j) * 8 + lane % 4 * 2;
                bool biased = p.bias != nullptr && output < p.outputs;
                float b0 = biased ? __ldg(p.bias + output) : 0, b1 = biased ? __ldg(p.bias + output + 1) : 0;
                v[j] = pack_pair(sum[n + j][2 * half] + b0, sum[n + j][2 * half + 1] + b1);
            }
            transpose_quad(v, lane);
            int output = output0 + (n + lane % 4) * 8;
            if (row < rows && output < p.outputs) {
                *(uint4*) (out + output) = {v[0], v[1], v[2], v[3]};
            }
        }
    }
}

/** The same for every type, sum and alignment. */
__device__ void store_any(const Product<bf16>& p, const float (&sum)[OUTPUTS / 8][4], int row0, int output0, int rows, int lane) {
    bool pairs = in_pairs(p);
#pragma unroll
    for (int n = 0; n < OUTPUTS / 8; n++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            int row = row0 + lane / 4 + 8 * half, output = output0 + n * 8 + lane % 4 * 2;
            float v0 = sum[n][2 * half], v1 = sum[n][2 * half + 1];
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

__device__ void multiply(const Product<bf16>& p, int rows, unsigned char* shared) {
    bf16* x = aligned_panels(shared);      // [STAGES][2][GROUP_ROWS, DEPTH]
    bf16* w = x + STAGES * X_STAGE;        // [STAGES][OUTPUTS, DEPTH]
    int row0 = blockIdx.x * 2 * GROUP_ROWS, output0 = blockIdx.y * OUTPUTS;
    if (row0 >= rows) {
        return;
    }
    int group = threadIdx.x / WARPGROUP, warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    int steps = (p.inputs + DEPTH - 1) / DEPTH;
    auto load = [&](int step) {
        if (step < steps) {
            bf16 *xStage = x + step % STAGES * X_STAGE, *wStage = w + step % STAGES * W_STAGE;
            load_panels<2 * GROUP_ROWS, DEPTH>(p.x, p.xStride, rows, p.inputs, row0, step * DEPTH, xStage, threadIdx.x, THREADS);
            load_panels<OUTPUTS, DEPTH>(p.w, p.inputs, p.outputs, p.inputs, output0, step * DEPTH, wStage, threadIdx.x, THREADS);
        }
        commit_copies();
    };
    for (int s = 0; s < AHEAD; s++) {
        load(s);
    }
    float sum[OUTPUTS / 8][4];
    for (int s = 0; s < steps; s++) {
        await_copies<AHEAD - 1>();
        show_copies();
        __syncthreads();   // stage s is there for all, and everybody's products of stage s - 2 are done
        begin_products();
#pragma unroll
        for (int k = 0; k < DEPTH; k += 16) {
            multiply_256(sum, descriptor(x + s % STAGES * X_STAGE + group * GROUP_ROWS * DEPTH + k, 16),
                    descriptor(w + s % STAGES * W_STAGE + k, 16), s + k > 0);
        }
        commit_products();
        load(s + AHEAD);   // over stage s - 2
        await_older_products<1>();
    }
    await_products<0>(sum);
    int warpRow = row0 + warp * 16;
    if (!p.outIsFloat && !p.add && is_vector((const bf16*) p.out, p.outStride, 8) && p.outputs % 8 == 0) {
        store_rows(p, sum, warpRow, output0, rows, lane);
    } else {
        store_any(p, sum, warpRow, output0, rows, lane);
    }
}

/** A barrier of one warpgroup; 0 is that of the block. */
__device__ void synchronize_group(int group) {
    asm volatile("bar.sync %0, %1;" ::"r"(1 + group), "n"(WARPGROUP) : "memory");
}

/** All tiles of this block. `rows` is read after the weights are on their way. */
template <class Rows> __device__ void multiply_gates(const Product<bf16>& p, Rows live, unsigned char* shared) {
    bf16* w = aligned_panels(shared);                      // [G, G]
    int group = threadIdx.x / WARPGROUP, thread = threadIdx.x % WARPGROUP, lane = threadIdx.x % WARP;
    bf16* x = w + G * G + group * GROUP_ROWS * G;          // [GROUP_ROWS, G] of this warpgroup
    load_panels<G, G>(p.w, G, G, G, 0, 0, w, threadIdx.x, THREADS);
    pdl_wait();
    int rows = live();
    int stride = 2 * GROUP_ROWS * gridDim.y, row0 = (2 * blockIdx.y + group) * GROUP_ROWS;
    auto load = [&](int row) {
        if (row < rows) {
            load_panels<GROUP_ROWS, G>(p.x, p.xStride, rows, G, row, 0, x, thread, WARPGROUP);
        }
        commit_copies();
    };
    load(row0);
    await_copies<0>();
    show_copies();
    __syncthreads();
    for (; row0 < rows; row0 += stride) {
        float sum[G / 8][4];
        begin_products();
#pragma unroll
        for (int k = 0; k < G; k += 16) {
            multiply_256(sum, descriptor(x + k / PANEL * GROUP_ROWS * PANEL + k % PANEL, 16),
                    descriptor(w + k / PANEL * G * PANEL + k % PANEL, 16), k > 0);
        }
        commit_products();
        await_products<0>(sum);
        synchronize_group(group);   // nobody reads these rows any more
        load(row0 + stride);
        store_rows(p, sum, row0 + thread / WARP * 16, 0, rows, lane);
        await_copies<0>();
        show_copies();
        synchronize_group(group);
    }
}

} // namespace
} // namespace wgmma

#endif

/** 1 where the kernels below are compiled for the architecture that has their instructions. */
#if defined(__CUDA_ARCH_FEAT_SM90_ALL) || !defined(__CUDA_ARCH__)
extern "C" __device__ const int gemm_wgmma_compiled = 1;
#else
extern "C" __device__ const int gemm_wgmma_compiled = 0;
#endif

extern "C" __global__ void __launch_bounds__(256, 1) gemm_wgmma_bf16(const int* count, int from, int limit, const bf16* x, int xStride,
        const bf16* w, const float* bias, void* out, int outStride, int outIsFloat, int addToOut, int O, int I) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ __align__(128) unsigned char shared[];
    pdl_launch_dependents();
    pdl_wait();
    wgmma::multiply({x, w, bias, out, xStride, outStride, outIsFloat, addToOut, O, I}, live_rows(count, from, limit), shared);
#else
    __trap();
#endif
}

extern "C" __global__ void __launch_bounds__(256, 1) gates_gemm_wgmma_bf16(const int* count, int from, int limit, const bf16* x,
        int xStride, const bf16* w, bf16* gates, int gatesStride, long long gatePlane, int H, int) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ __align__(128) unsigned char shared[];
    pdl_launch_dependents();
    Product<bf16> p = gate(x, xStride, w, gates, gatesStride, gatePlane, H, wgmma::G, (int) blockIdx.x);
    wgmma::multiply_gates(p, [&] { return live_rows(count, from, limit); }, shared);
#else
    __trap();
#endif
}
