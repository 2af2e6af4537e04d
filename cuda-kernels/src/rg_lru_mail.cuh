// How carries go from tile to tile of rg_lru.cu: as mail inside a cluster, by words of global memory from one cluster to the next.
// Included by rg_lru.cu only.
#pragma once

#include "barriers.cuh"

namespace {

// Mail: a few floats of each lane of a warp, written into a block of the cluster and counted there by a barrier that was opened for
// mail_arrivals. Between blocks the arrival is the receiver's, who says how many bytes will come: it may do so before or after they come, for
// without it the phase cannot end. Where a block is alone, it is the sender's: a launch without clusters has no such stores.

/** What such a barrier is opened for. */
__device__ __forceinline__ int mail_arrivals(bool alone) { return alone ? WARP_ARRIVALS : 1; }

/** The receiver's part, of one thread. No bytes: no mail, the phase ends at once. */
__device__ __forceinline__ void expect_mail(Barrier* b, int bytes, bool alone) {
    if (bytes == 0) {
        for (int i = 0; i < mail_arrivals(alone); i++) {
            arrive(b);
        }
    } else if (!alone) {
#if GRIFFIN_BULK_COPY
        arrive_expecting(b, bytes);
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

/** The sender's part, of all lanes, to addresses of another block (address_in), or to its own barrier `mine` if it is alone. */
template <typename V> __device__ __forceinline__ void send_mail(unsigned to, unsigned barrier, Barrier* mine, V v, bool alone) {
    if (alone) {
        keep_mail(to, v);
        arrive_warp(mine);
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
