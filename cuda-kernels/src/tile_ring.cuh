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
    Barrier full[MOST_STAGES], empty[MOST_STAGES];
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
            open_barrier(barriers->full + threadIdx.x, FILL_THREADS);
            open_barrier(barriers->empty + threadIdx.x, readers * WARP_ARRIVALS);
        }
        __syncthreads();
    }

    __device__ __forceinline__ unsigned address(int stage, int row, int piece) const {
        return shared_address(memory) + stage * stageBytes + row * PITCH + piece * 16;
    }

    /** What this thread has copied so far belongs to this stage and those before; every filling thread says so once a stage. */
    __device__ __forceinline__ void filled(int stage) const { arrive_with_copies(barriers->full + stage); }

    __device__ __forceinline__ const unsigned char* await_full(int stage, int phase) const {
        await(barriers->full + stage, phase);
        return memory + stage * stageBytes;
    }

    /** The phase before a fresh barrier's first counts as over: begin with phase 1. */
    __device__ __forceinline__ void await_empty(int stage, int phase) const { await(barriers->empty + stage, phase); }

    /** This warp has read the stage; all lanes call. */
    __device__ __forceinline__ void release(int stage) const { arrive_warp(barriers->empty + stage); }
};
