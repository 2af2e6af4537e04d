// A block's ring of stages in shared memory: FILL_THREADS threads fill it with 16-byte pieces of rows, other warps read. A stage is full when
// every filling thread's copies have arrived, and empty when every reading warp has released it; no barrier of the block stands in between.
// Rows lie PITCH bytes apart: 16 more than a chunk, so that eight rows of a 16-byte column are in different banks.
#pragma once

#include "tensor_cores.cuh"
#include "weight_stream.cuh"

constexpr int DEPTH = 128;                        // inputs of a chunk
constexpr int PIECES = DEPTH / 8;                 // of 16 bytes
constexpr int PITCH = DEPTH * 2 + 16;
constexpr int FILL_THREADS = 4 * WARP;
constexpr int FILL_ROWS = FILL_THREADS / PIECES;  // filled at once
constexpr int MOST_STAGES = 8;
static_assert(FILL_ROWS == 8, "rows of gates and ups take turns");

struct TileBarriers {
    unsigned long long full[MOST_STAGES], empty[MOST_STAGES];
};

/** Copies 16 bytes of a line of which others copy the rest. */
__device__ __forceinline__ void copy_of_line(unsigned shared, const void* global) {
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;" ::"r"(shared), "l"(global) : "memory");
}

struct TileRing {
    unsigned char* memory;
    TileBarriers* barriers;
    int stageBytes;

    /** All threads of the block call. */
    __device__ __forceinline__ void open(int stages, int readers) const {
        if (int(threadIdx.x) < stages) {
            asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared_address(barriers->full + threadIdx.x)), "n"(FILL_THREADS) : "memory");
            asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared_address(barriers->empty + threadIdx.x)), "r"(readers) : "memory");
        }
        __syncthreads();
    }

    __device__ __forceinline__ unsigned address(int stage, int row, int piece) const {
        return shared_address(memory) + stage * stageBytes + row * PITCH + piece * 16;
    }

    /** What this thread has copied so far belongs to this stage and those before; every filling thread says so once a stage. */
    __device__ __forceinline__ void filled(int stage) const {
        asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(shared_address(barriers->full + stage)) : "memory");
    }

    __device__ __forceinline__ const unsigned char* await_full(int stage, int phase) const {
        await(barriers->full + stage, phase);
        return memory + stage * stageBytes;
    }

    /** The phase before a fresh barrier's first counts as over: begin with phase 1. */
    __device__ __forceinline__ void await_empty(int stage, int phase) const { await(barriers->empty + stage, phase); }

    /** This warp has read the stage; all lanes call. */
    __device__ __forceinline__ void release(int stage) const {
        __syncwarp();
        if (threadIdx.x % WARP == 0) {
            asm volatile("{\n.reg .b64 state;\nmbarrier.arrive.shared.b64 state, [%0];\n}" ::"r"(shared_address(barriers->empty + stage)) : "memory");
        }
    }

private:
    static __device__ __forceinline__ void await(const unsigned long long* barrier, int phase) {
        asm volatile(
            "{\n"
            ".reg .pred done;\n"
            "WAIT_%=:\n"
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900 // where a thread may sleep meanwhile
            "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
#else
            "mbarrier.test_wait.parity.shared.b64 done, [%0], %1;\n"
#endif
            "@!done bra WAIT_%=;\n"
            "}\n" ::"r"(shared_address(barrier)),
            "r"(phase)
            : "memory");
    }
};
