// Barriers in shared memory by which the warps of rg_lru.cu hand data on, and the way from block to block of a cluster.
// Included by rg_lru.cu only.
//
// Below compute capability 9.0 there are no clusters: a block is one by itself.
#pragma once

#include "weight_stream.cuh"

namespace {

using Barrier = unsigned long long;

/** A phase ends after `count` arrivals. */
__device__ __forceinline__ void open_barrier(Barrier* b, int count) {
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared_address(b)), "r"(count) : "memory");
}

__device__ __forceinline__ void arrive_at(unsigned barrier) {
    asm volatile("{\n.reg .b64 state;\nmbarrier.arrive.shared.b64 state, [%0];\n}" ::"r"(barrier) : "memory");
}

__device__ __forceinline__ void arrive(Barrier* b) {
    arrive_at(shared_address(b));
}

/** An arrival once all copies that this thread has begun are there. */
__device__ __forceinline__ void arrive_with_copies(Barrier* b) {
    asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(shared_address(b)) : "memory");
}

/**
 * Until the phase of this parity is over; the one before a fresh barrier's first, of parity 1, is. What other blocks send lies in shared
 * memory, too, so that the block's scope will do; to acquire at the cluster's would empty L1 at every look.
 */
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

// ---- clusters

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

/** A barrier of all threads of the cluster. */
__device__ __forceinline__ void meet_cluster() {
#if GRIFFIN_BULK_COPY
    asm volatile("barrier.cluster.arrive.release;\nbarrier.cluster.wait.acquire;" ::: "memory");
#else
    __syncthreads();
#endif
}

/** Behind opening barriers, by the thread that did and before a barrier of the cluster: the other blocks may use them. */
__device__ __forceinline__ void show_barriers() {
#if GRIFFIN_BULK_COPY
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
}

/** The address of a variable in shared memory, in the block of this rank. */
__device__ __forceinline__ unsigned address_in(const void* variable, int rank) {
    unsigned address = shared_address(variable);
#if GRIFFIN_BULK_COPY
    if (cluster_blocks() > 1) {
        asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(address) : "r"(address), "r"(rank));
    }
#endif
    return address;
}

// Mail: a few floats of each lane of a warp, written into a block of the cluster and counted there by a barrier that was opened for one
// arrival. Between blocks that arrival is the receiver's, who says how many bytes will come: it may do so before or after they come, for
// without it the phase cannot end. Where a block is alone, it is the sender's: a launch without clusters has no such stores.

/** The receiver's part, of one thread. No bytes: no mail, the phase ends at once. */
__device__ __forceinline__ void expect_mail(Barrier* b, int bytes, bool alone) {
    if (bytes == 0) {
        arrive(b);
    } else if (!alone) {
#if GRIFFIN_BULK_COPY
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(b)), "r"(bytes) : "memory");
#endif
    }
}

__device__ __forceinline__ void keep_mail(unsigned to, float v) { asm volatile("st.shared.f32 [%0], %1;" ::"r"(to), "f"(v) : "memory"); }

__device__ __forceinline__ void keep_mail(unsigned to, float2 v) {
    asm volatile("st.shared.v2.f32 [%0], {%1, %2};" ::"r"(to), "f"(v.x), "f"(v.y) : "memory");
}

#if GRIFFIN_BULK_COPY
__device__ __forceinline__ void post_mail(unsigned to, unsigned barrier, float v) {
    asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.f32 [%0], %1, [%2];" ::"r"(to), "f"(v), "r"(barrier) : "memory");
}

__device__ __forceinline__ void post_mail(unsigned to, unsigned barrier, float2 v) {
    asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.v2.f32 [%0], {%1, %2}, [%3];" ::"r"(to), "f"(v.x), "f"(v.y),
                 "r"(barrier)
                 : "memory");
}
#endif

/** The sender's part, of all lanes, to addresses of another block (address_in), or of this one if it is alone. */
template <typename V> __device__ __forceinline__ void send_mail(unsigned to, unsigned barrier, V v, bool alone) {
    if (alone) {
        keep_mail(to, v);
        __syncwarp();
        if (threadIdx.x % WARP == 0) {
            arrive_at(barrier);
        }
        __syncwarp();
        return;
    }
#if GRIFFIN_BULK_COPY
    post_mail(to, barrier, v);   // data and their arrival go together
#endif
}

// ---- from cluster to cluster: a float and a mark in one word, so that they arrive together, without fences

/** Writes a word of global memory that was empty. */
__device__ __forceinline__ void hand_over(unsigned long long* to, float v) {
    *(volatile unsigned long long*) to = 1ull << 32 | __float_as_uint(v);
}

/** Waits for a word and leaves it empty for the next launch. */
__device__ __forceinline__ float take_over(unsigned long long* from) {
    constexpr int PATIENCE = 1 << 24;   // looks at L2, each some hundred nanoseconds: an error instead of a hang
    unsigned long long word = 0;
    for (int looks = 0; word == 0; looks++) {
        if (looks == PATIENCE) {
            __trap();
        }
        word = *(volatile unsigned long long*) from;
    }
    *(volatile unsigned long long*) from = 0;
    return __uint_as_float((unsigned) word);
}

} // namespace
