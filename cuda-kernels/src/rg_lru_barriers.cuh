// Barriers in shared memory by which the warps of rg_lru.cu hand data on. Included by rg_lru.cu only.
#pragma once

#include "weight_stream.cuh"

namespace {

using Barrier = unsigned long long;

/** A phase ends after `count` arrivals. */
__device__ __forceinline__ void open_barrier(Barrier* b, int count) {
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared_address(b)), "r"(count) : "memory");
}

__device__ __forceinline__ void arrive(Barrier* b) {
    asm volatile("{\n.reg .b64 state;\nmbarrier.arrive.shared.b64 state, [%0];\n}" ::"r"(shared_address(b)) : "memory");
}

/** An arrival once all copies that this thread has begun are there. */
__device__ __forceinline__ void arrive_with_copies(Barrier* b) {
    asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(shared_address(b)) : "memory");
}

/** Whether the phase of this parity is over; the one before a fresh barrier's first, of parity 1, is. */
__device__ __forceinline__ bool is_over(const Barrier* b, int parity) {
    unsigned over;
    asm volatile("{\n.reg .pred over;\nmbarrier.test_wait.parity.shared.b64 over, [%1], %2;\nselp.u32 %0, 1, 0, over;\n}"
                 : "=r"(over)
                 : "r"(shared_address(b)), "r"(parity)
                 : "memory");
    return over;
}

__device__ __forceinline__ void await(const Barrier* b, int parity) {
    asm volatile(
        "{\n"
        ".reg .pred over;\n"
        "WAIT_%=:\n"
#if GRIFFIN_BULK_COPY // from compute capability 9.0 on the thread may sleep meanwhile
        "mbarrier.try_wait.parity.shared::cta.b64 over, [%0], %1;\n"
#else
        "mbarrier.test_wait.parity.shared.b64 over, [%0], %1;\n"
#endif
        "@!over bra WAIT_%=;\n"
        "}\n" ::"r"(shared_address(b)),
        "r"(parity)
        : "memory");
}

/** An arrival for the warp, behind all its accesses so far. */
__device__ __forceinline__ void arrive_warp(Barrier* b) {
    __syncwarp();
    if (threadIdx.x % WARP == 0) {
        arrive(b);
    }
}

} // namespace
