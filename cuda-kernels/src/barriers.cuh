// Barriers in shared memory (mbarriers), by which warps hand data on to one another, and thread block clusters.
//
// Below compute capability 9.0 threads look at a barrier instead of sleeping, there are no bulk copies, and a block is alone.
// A lane that is to arrive while its neighbours go on to wait must do so before a __syncwarp(): else they may sleep before it has arrived.
#pragma once

#include "common.cuh"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#define GRIFFIN_BULK_COPY 1
#else
#define GRIFFIN_BULK_COPY 0
#endif

using Barrier = unsigned long long;

__device__ __forceinline__ unsigned shared_address(const void* p) { return unsigned(__cvta_generic_to_shared(p)); }

__device__ __forceinline__ unsigned dynamic_shared_bytes() {
    unsigned bytes;
    asm("mov.u32 %0, %%dynamic_smem_size;" : "=r"(bytes));
    return bytes;
}

/** A phase ends after `arrivals` arrivals, and after the bytes that they expect. */
__device__ __forceinline__ void open_barrier(Barrier* barrier, int arrivals) {
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}

/** Shows new barriers to bulk copies and to the cluster; a barrier of whoever uses them must follow. */
__device__ __forceinline__ void show_barriers() {
#if GRIFFIN_BULK_COPY
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

__device__ __forceinline__ void arrive(Barrier* barrier) {
    asm volatile("{\n.reg .b64 state;\nmbarrier.arrive.shared.b64 state, [%0];\n}" ::"r"(shared_address(barrier)) : "memory");
}

/**
 * As what a warp counts at a barrier: one arrival. compute-sanitizer's racecheck does not see that a lane arrives for the others, so the
 * kernels it looks at are built with GRIFFIN_RACECHECK, and each lane arrives.
 */
#ifdef GRIFFIN_RACECHECK
constexpr int WARP_ARRIVALS = WARP;
#else
constexpr int WARP_ARRIVALS = 1;
#endif

/** The warp arrives at each of the barriers, behind all its accesses so far. */
template <class... Barriers> __device__ __forceinline__ void arrive_warp(Barriers*... barriers) {
    __syncwarp();
    if (threadIdx.x % WARP < WARP_ARRIVALS) {
        (arrive(barriers), ...);
    }
    __syncwarp();
}

/** An arrival once all copies (cp.async) that this thread has begun are there. */
__device__ __forceinline__ void arrive_with_copies(Barrier* barrier) {
    asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(shared_address(barrier)) : "memory");
}

/**
 * Waits for the end of the phase of this parity; that before a fresh barrier's first, of parity 1, is over. The scope is the block's even for
 * what other blocks of a cluster write: it lies in shared memory, too, and to acquire at the cluster's would empty L1 at every look.
 */
__device__ __forceinline__ void await(const Barrier* barrier, int parity) {
    asm volatile(
        "{\n"
        ".reg .pred over;\n"
        "WAIT_%=:\n"
#if GRIFFIN_BULK_COPY
        "mbarrier.try_wait.parity.shared::cta.b64 over, [%0], %1;\n"
#else
        "mbarrier.test_wait.parity.shared.b64 over, [%0], %1;\n"
#endif
        "@!over bra WAIT_%=;\n"
        "}\n" ::"r"(shared_address(barrier)),
        "r"(parity)
        : "memory");
}

#if GRIFFIN_BULK_COPY
/** Arrives, and makes the phase wait for `bytes` of bulk copies, of which some may have come before. */
__device__ __forceinline__ void arrive_expecting(Barrier* barrier, int bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes) : "memory");
}
#endif

// ---- clusters: of one block where the launch does not say otherwise

__device__ __forceinline__ int cluster_blocks() {
    int blocks = 1;
#if GRIFFIN_BULK_COPY
    asm("mov.u32 %0, %%cluster_nctarank;" : "=r"(blocks));
#endif
    return blocks;
}

__device__ __forceinline__ int cluster_rank() {
    int rank = 0;
#if GRIFFIN_BULK_COPY
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
#endif
    return rank;
}

/** All threads of all blocks arrive and wait in turn, whole warps at once. Below 9.0 the arrival does nothing and the wait is the block's. */
__device__ __forceinline__ void arrive_cluster() {
#if GRIFFIN_BULK_COPY
    asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
#endif
}

__device__ __forceinline__ void await_cluster() {
#if GRIFFIN_BULK_COPY
    asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#else
    __syncthreads();
#endif
}

/** Where a variable in shared memory lies in the block of this rank. A block alone has no such addresses, not even its own: it gets the plain one. */
__device__ __forceinline__ unsigned address_in(const void* variable, int rank) {
    unsigned address = shared_address(variable);
#if GRIFFIN_BULK_COPY
    if (cluster_blocks() > 1) {
        asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(address) : "r"(address), "r"(rank));
    }
#endif
    return address;
}

/** Arrives at the same barrier of block `rank` of the cluster, which may be this one. */
__device__ __forceinline__ void arrive_at(Barrier* barrier, int rank) {
#if GRIFFIN_BULK_COPY
    if (cluster_blocks() > 1) {
        asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(address_in(barrier, rank)) : "memory");
        return;
    }
#endif
    arrive(barrier);
}
