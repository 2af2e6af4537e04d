// A block's ring of stages in shared memory: FILL_THREADS threads fill it with 16-byte pieces of rows, other warps read. A stage is full when
// every filling thread's copies have arrived, and empty when every reading warp has released it; no barrier of the block stands in between.
// Rows lie PITCH bytes apart: 16 more than a chunk, so that eight rows of a 16-byte column are in different banks.
//
// In machine code for Hopper (sm_90a), the CLUSTER blocks of a cluster may share rows: each copies its part of them to all (share_row), so that L2
// gives them once. Then they go through their stages in step: a stage is empty when the reading warps of all have released it.
#pragma once

#include "tensor_cores.cuh"
#include "weight_stream.cuh"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define GRIFFIN_MULTICAST 1
#else
#define GRIFFIN_MULTICAST 0
#endif

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

__device__ __forceinline__ void copy_async(unsigned shared, const void* global) {
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;" ::"r"(shared), "l"(global) : "memory");
}

/** The cluster's barrier, in its two halves; all threads of all its blocks call. */
__device__ __forceinline__ void cluster_arrive() {
#if GRIFFIN_MULTICAST
    asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
#endif
}
__device__ __forceinline__ void cluster_wait() {
#if GRIFFIN_MULTICAST
    asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
}
__device__ __forceinline__ int cluster_rank() {
    unsigned rank = 0;
#if GRIFFIN_MULTICAST
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
#endif
    return int(rank);
}

template <int CLUSTER> struct TileRing {
    static constexpr bool SHARES = CLUSTER > 1;
    unsigned char* memory;
    TileBarriers* barriers;
    int stageBytes;

    /** All threads of the block call; where blocks share rows, cluster_arrive and cluster_wait must follow before a row is shared. */
    __device__ __forceinline__ void open(int stages, int readers) const {
        if (int(threadIdx.x) < stages) {
            asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared_address(barriers->full + threadIdx.x)),
                         "n"(FILL_THREADS + (SHARES ? 1 : 0))
                         : "memory");
            asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared_address(barriers->empty + threadIdx.x)), "r"(readers * CLUSTER)
                         : "memory");
#if GRIFFIN_MULTICAST
            asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
        }
        __syncthreads();
    }

    /** Says once a stage how many bytes all blocks' share_row will bring to this one. */
    __device__ __forceinline__ void expect([[maybe_unused]] int stage, [[maybe_unused]] int bytes) const {
#if GRIFFIN_MULTICAST
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barriers->full + stage)), "r"(bytes)
                     : "memory");
#endif
    }

    /** Copies `bytes` bytes, a multiple of 16, to row `row` of the stage in every block of the cluster. */
    __device__ __forceinline__ void share_row([[maybe_unused]] int stage, [[maybe_unused]] int row, [[maybe_unused]] const bf16* from,
                                              [[maybe_unused]] int bytes) const {
#if GRIFFIN_MULTICAST
        asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1], %2, [%3], %4;" ::"r"(
                         address(stage, row, 0)),
                     "l"(from), "r"(bytes), "r"(shared_address(barriers->full + stage)), "h"((unsigned short)((1 << CLUSTER) - 1))
                     : "memory");
#endif
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
#if GRIFFIN_MULTICAST
        if constexpr (SHARES) {
            if (threadIdx.x % WARP < CLUSTER) { // a lane for each block
                asm volatile(
                    "{\n.reg .b32 remote;\n"
                    "mapa.shared::cluster.u32 remote, %0, %1;\n"
                    "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [remote];\n}" ::"r"(shared_address(barriers->empty + stage)),
                    "r"(threadIdx.x % WARP)
                    : "memory");
            }
            return;
        }
#endif
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
#if GRIFFIN_BULK_COPY
            "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [%0], %1;\n"
#else
            "mbarrier.test_wait.parity.shared.b64 done, [%0], %1;\n"
#endif
            "@!done bra WAIT_%=;\n"
            "}\n" ::"r"(shared_address(barrier)),
            "r"(phase)
            : "memory");
    }
};
