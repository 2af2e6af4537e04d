// A warp's private ring of weight chunks in shared memory, filled ahead of use.
//
// Weights depend on nothing, so a kernel fills its ring before it waits for its input (common.cuh, PDL); then DRAM stays busy while one
// kernel ends and the next begins. Each warp has a ring of its own: no barrier of the block stands in the stream.
// From compute capability 9.0 on, chunks arrive by bulk copies that complete on an mbarrier; before, by 16-byte cp.async.
// A chunk is `rows` pieces of `bytes` bytes (a multiple of 16), `pitch` bytes apart in shared memory.
#pragma once

#include "barriers.cuh"

/** At most this many chunks are under way per warp. */
constexpr int MAX_STAGES = 8;

struct WeightStream {
    unsigned char* ring;       // [stages][stageBytes] of this warp
    Barrier* full;             // [stages] of this warp
    int stages, stageBytes;
    int stage;                 // the next to be consumed
    unsigned phase;

    /** Chunks of stageBytes (a multiple of 16); all lanes call. */
    __device__ __forceinline__ void open(unsigned char* memory, Barrier* barriers, int count, int bytes) {
        ring = memory, full = barriers, stages = count, stageBytes = bytes, stage = 0, phase = 0;
        if (stages < 1) {
            __trap(); // launched with too little dynamic shared memory
        }
#if GRIFFIN_BULK_COPY
        if (threadIdx.x % WARP == 0) {
            for (int i = 0; i < stages; i++) {
                open_barrier(full + i, 1);
            }
            show_barriers();
        }
        __syncwarp();
#endif
    }

    /**
     * Starts copying a chunk into stage `into`: `rows` (at most 32) pieces of `bytes` bytes; source(row) is where a piece lies. Every call
     * is followed by one more consumed chunk. All lanes call.
     */
    template <class Source> __device__ __forceinline__ void fetch(int into, Source source, int rows, int bytes, int pitch) const {
        unsigned char* target = ring + into * stageBytes;
        int lane = threadIdx.x % WARP;
#if GRIFFIN_BULK_COPY
        unsigned barrier = shared_address(full + into);
        if (lane == 0) {
            arrive_expecting(full + into, rows * bytes);
        }
        __syncwarp();
        if (lane < rows) {
            asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                             shared_address(target + lane * pitch)),
                         "l"(source(lane)), "r"(bytes), "r"(barrier)
                         : "memory");
        }
#else
        for (int row = 0; row < rows; row++) {
            const unsigned char* from = source(row);
            for (int at = lane * 16; at < bytes; at += WARP * 16) {
                asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(target + row * pitch + at)), "l"(from + at)
                             : "memory");
            }
        }
        skip();
#endif
    }

    /** In place of fetch when nothing is left: keeps the count of groups under way right. */
    __device__ __forceinline__ void skip() const {
#if !GRIFFIN_BULK_COPY
        asm volatile("cp.async.commit_group;" ::: "memory");
#endif
    }

    /** Waits for the next chunk and returns it; all lanes call. */
    __device__ __forceinline__ const unsigned char* wait() const {
#if GRIFFIN_BULK_COPY
        await(full + stage, phase);
#else
        // As many groups as stages are under way; the oldest must be complete.
        switch (stages) {
            case 1: asm volatile("cp.async.wait_group 0;" ::: "memory"); break;
            case 2: asm volatile("cp.async.wait_group 1;" ::: "memory"); break;
            case 3: asm volatile("cp.async.wait_group 2;" ::: "memory"); break;
            case 4: asm volatile("cp.async.wait_group 3;" ::: "memory"); break;
            case 5: asm volatile("cp.async.wait_group 4;" ::: "memory"); break;
            case 6: asm volatile("cp.async.wait_group 5;" ::: "memory"); break;
            case 7: asm volatile("cp.async.wait_group 6;" ::: "memory"); break;
            default: asm volatile("cp.async.wait_group 7;" ::: "memory"); break;
        }
        __syncwarp();
#endif
        return ring + stage * stageBytes;
    }

    /** The chunk has been read by all lanes: its stage, which is returned, may be fetched into. */
    __device__ __forceinline__ int release() {
        __syncwarp();
        int freed = stage;
        if (++stage == stages) {
            stage = 0;
            phase ^= 1;
        }
        return freed;
    }
};
