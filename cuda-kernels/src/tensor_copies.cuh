// Copies by tensor map, mbarriers, and what blocks of a cluster say to each other. Compute capability 9.0.
//
// A copy by tensor map brings a box of a matrix in global memory, zeros where the box leaves it, and tells an mbarrier how many bytes have
// come. Any number may come before the barrier was told how many to expect, as long as somebody has yet to arrive in that phase.
#pragma once

#include <cuda.h> // CUtensorMap

#include "weight_stream.cuh"

// ---- mbarriers; the phase before a fresh barrier's first counts as over

__device__ __forceinline__ void make_barrier(unsigned long long* barrier, int arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}

/** Shows new barriers to the copies and to the cluster; a barrier of whoever uses them must follow. */
__device__ __forceinline__ void show_barriers() {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

__device__ __forceinline__ void arrive(unsigned long long* barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}

/** Arrives, and makes the phase wait for `bytes` of copies. */
__device__ __forceinline__ void arrive_expecting(unsigned long long* barrier, int bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes) : "memory");
}

/** Arrives at the same barrier of block `rank` of the cluster, which may be this one. */
__device__ __forceinline__ void arrive_at(unsigned long long* barrier, int rank) {
    asm volatile(
        "{\n"
        ".reg .b32 there;\n"
        "mapa.shared::cluster.u32 there, %0, %1;\n"
        "mbarrier.arrive.shared::cluster.b64 _, [there];\n"
        "}\n" ::"r"(shared_address(barrier)),
        "r"(rank)
        : "memory");
}

/**
 * Waits for the end of a phase. What it orders is copies and tensor-core products, which are over when somebody arrives for them: no wider scope,
 * which would make threads wait for their other memory accesses, too.
 */
__device__ __forceinline__ void await_barrier(const unsigned long long* barrier, int phase) {
    asm volatile(
        "{\n"
        ".reg .pred done;\n"
        "WAIT_%=:\n"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
        "@!done bra WAIT_%=;\n"
        "}\n" ::"r"(shared_address(barrier)),
        "r"(phase)
        : "memory");
}

// ---- the cluster: of one block where the launch does not say otherwise

__device__ __forceinline__ int cluster_blocks() {
    int blocks;
    asm("mov.u32 %0, %%cluster_nctarank;" : "=r"(blocks));
    return blocks;
}

__device__ __forceinline__ int cluster_rank() {
    int rank;
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}

/** All threads of all blocks arrive and wait, whole warps at once; each wait belongs to the arrival before it. */
__device__ __forceinline__ void arrive_cluster() { asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory"); }
__device__ __forceinline__ void await_cluster() { asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory"); }

// ---- copies; one thread asks for a box, of which it gives the first column, then row (then what lies further out)

__device__ __forceinline__ void prefetch_map(const CUtensorMap& map) {
    asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}

/** Lets copies read what other kernels wrote and pdl_wait() has shown to this thread. */
__device__ __forceinline__ void show_written() { asm volatile("fence.proxy.async.global;" ::: "memory"); }

/** For what is read once: the first to leave L2. */
__device__ __forceinline__ unsigned long long read_once() {
    unsigned long long policy;
    asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
    return policy;
}

#define TENSOR_COPY(dimensions, what) "cp.async.bulk.tensor." #dimensions "d.shared::cluster.global.tile.mbarrier::complete_tx::bytes" what

__device__ __forceinline__ void copy_box(unsigned to, const CUtensorMap& map, int column, int row, unsigned long long* barrier) {
    asm volatile(TENSOR_COPY(2, " [%0], [%1, {%2, %3}], [%4];") ::"r"(to), "l"(&map), "r"(column), "r"(row), "r"(shared_address(barrier))
                 : "memory");
}

__device__ __forceinline__ void copy_box(unsigned to, const CUtensorMap& map, int column, int row, unsigned long long* barrier,
                                         unsigned long long policy) {
    asm volatile(TENSOR_COPY(2, ".L2::cache_hint [%0], [%1, {%2, %3}], [%4], %5;") ::"r"(to), "l"(&map), "r"(column), "r"(row),
                 "r"(shared_address(barrier)), "l"(policy)
                 : "memory");
}

/** A box of all of the second and third dimensions. */
__device__ __forceinline__ void copy_box_4d(unsigned to, const CUtensorMap& map, int column, int outermost, unsigned long long* barrier,
                                            unsigned long long policy) {
    asm volatile(TENSOR_COPY(4, ".L2::cache_hint [%0], [%1, {%2, %3, %3, %4}], [%5], %6;") ::"r"(to), "l"(&map), "r"(column), "r"(0),
                 "r"(outermost), "r"(shared_address(barrier)), "l"(policy)
                 : "memory");
}

/** The same box to the same place in the first `blocks` blocks of the cluster; each one's own barrier hears of it. */
__device__ __forceinline__ void copy_box_to_all(unsigned to, const CUtensorMap& map, int column, int row, unsigned long long* barrier, int blocks) {
    asm volatile(TENSOR_COPY(2, ".multicast::cluster [%0], [%1, {%2, %3}], [%4], %5;") ::"r"(to), "l"(&map), "r"(column), "r"(row),
                 "r"(shared_address(barrier)), "h"((unsigned short) ((1 << blocks) - 1))
                 : "memory");
}

#undef TENSOR_COPY
