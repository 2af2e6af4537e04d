// Copies by tensor map. Compute capability 9.0.
//
// A copy by tensor map brings a box of a matrix in global memory, zeros where the box leaves it, and tells an mbarrier how many bytes have
// come. Any number may come before the barrier was told how many to expect, as long as somebody has yet to arrive in that phase.
#pragma once

#include <cuda.h> // CUtensorMap

#include "barriers.cuh"

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

__device__ __forceinline__ void copy_box(unsigned to, const CUtensorMap& map, int column, int row, Barrier* barrier) {
    asm volatile(TENSOR_COPY(2, " [%0], [%1, {%2, %3}], [%4];") ::"r"(to), "l"(&map), "r"(column), "r"(row), "r"(shared_address(barrier))
                 : "memory");
}

__device__ __forceinline__ void copy_box(unsigned to, const CUtensorMap& map, int column, int row, Barrier* barrier,
                                         unsigned long long policy) {
    asm volatile(TENSOR_COPY(2, ".L2::cache_hint [%0], [%1, {%2, %3}], [%4], %5;") ::"r"(to), "l"(&map), "r"(column), "r"(row),
                 "r"(shared_address(barrier)), "l"(policy)
                 : "memory");
}

/** A box of all of the second and third dimensions. */
__device__ __forceinline__ void copy_box_4d(unsigned to, const CUtensorMap& map, int column, int outermost, Barrier* barrier,
                                            unsigned long long policy) {
    asm volatile(TENSOR_COPY(4, ".L2::cache_hint [%0], [%1, {%2, %3, %3, %4}], [%5], %6;") ::"r"(to), "l"(&map), "r"(column), "r"(0),
                 "r"(outermost), "r"(shared_address(barrier)), "l"(policy)
                 : "memory");
}

#undef TENSOR_COPY
