// A block's ring of stages in shared memory: one warp fills it with pieces of rows, others read. A stage is full when its two parts, the
// weights' and the input's, have each been announced (expect), issued and have arrived; it is empty when every reading warp has released it.
// From compute capability 9.0 on, pieces arrive by bulk copies; before, by 16-byte cp.async of the filling warp's lanes.
// Rows lie PITCH bytes apart: 16 more than a chunk, so that eight rows of a 16-byte column are in different banks.
#pragma once

#include "tensor_cores.cuh"
#include "weight_stream.cuh"

constexpr int DEPTH = 128;           // inputs of a chunk
constexpr int PITCH = DEPTH * 2 + 16;
constexpr int MOST_STAGES = 8;

struct TileBarriers {
    unsigned long long full[MOST_STAGES], empty[MOST_STAGES];
};

struct TileRing {
    unsigned char* memory;
    TileBarriers* barriers;
    int stageBytes;

    /** All threads of the block call. */
    __device__ __forceinline__ void open(int stages, int readers) const {
        if (int(threadIdx.x) < stages) {
            const int announcements = GRIFFIN_BULK_COPY ? 2 : 2 * WARP;
            asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared_address(barriers->full + threadIdx.x)), "r"(announcements) : "memory");
            asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared_address(barriers->empty + threadIdx.x)), "r"(readers) : "memory");
#if GRIFFIN_BULK_COPY
            asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
            asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
        }
        __syncthreads();
    }

    /** Announces the bytes of a part; all lanes of the filling warp call, before they copy. */
    __device__ __forceinline__ void expect([[maybe_unused]] int stage, [[maybe_unused]] int bytes) const {
#if GRIFFIN_BULK_COPY
        if (threadIdx.x % WARP == 0) {
            asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barriers->full + stage)), "r"(bytes)
                         : "memory");
        }
        __syncwarp();
#endif
    }

    /** This lane copies `bytes` bytes, a multiple of 16, of a row. */
    __device__ __forceinline__ void copy(int stage, int row, const bf16* from, int bytes) const {
        const unsigned to = shared_address(memory + stage * stageBytes + row * PITCH);
#if GRIFFIN_BULK_COPY
        asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to), "l"(from), "r"(bytes),
                     "r"(shared_address(barriers->full + stage))
                     : "memory");
#else
        for (int at = 0; at < bytes; at += 16) {
            asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to + at), "l"(from + at / 2) : "memory");
        }
#endif
    }

    /** A part's copies have all been issued; all lanes call. */
    __device__ __forceinline__ void issued([[maybe_unused]] int stage) const {
#if !GRIFFIN_BULK_COPY
        asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(shared_address(barriers->full + stage)) : "memory");
#endif
    }

    __device__ __forceinline__ const unsigned char* await_full(int stage, int phase) const {
        await(barriers->full + stage, phase);
        return memory + stage * stageBytes;
    }

    /** A fresh barrier's phase before the first counts as over: begin with phase 1. */
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
#if GRIFFIN_BULK_COPY
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
