// Keys as the tile engine of window_attention_decode.cu multiplies them: sixteen of a warp in registers, or of a team in shared memory.
#pragma once

#include "window_attention_decode.cuh"

constexpr int FAST_HEAD = 256;
constexpr int FAST_HEADS = 16;
constexpr int TILE_KEYS = 16;
constexpr int KEY_STEPS = FAST_HEAD / 32;
/** 16-byte pieces of a key. */
constexpr int KEY_PIECES = FAST_HEAD / 8;
/** Elements between rows of queries: 64 bytes apart modulo 128. */
constexpr int QUERY_PITCH = FAST_HEAD + 32;

__device__ __forceinline__ void mma_bf16(float (&c)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0, unsigned b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

__device__ __forceinline__ unsigned shared_pointer(const void* p) { return unsigned(__cvta_generic_to_shared(p)); }

/** Sixteen keys of a warp: lane (g, q) holds elements 8 q .. of every 32 of keys g and g + 8. */
struct KeyTile {
    uint4 v[2][KEY_STEPS];

    __device__ __forceinline__ void load(const bf16* keys, size_t slotRow, const RingPart& part, int row) {
        const int lane = threadIdx.x % WARP, g = lane / 4, q = lane % 4;
#pragma unroll
        for (int j = 0; j < 2; j++) {
            const bool holds = part.holds(row + j * 8 + g);
            const bf16* from = keys + (slotRow + row + j * 8 + g) * FAST_HEAD + q * 8;
#pragma unroll
            for (int i = 0; i < KEY_STEPS; i++) {
                v[j][i] = holds ? load_fresh16(from + i * 32) : make_uint4(0, 0, 0, 0);
            }
        }
    }

    /** One key, and zeros. */
    __device__ __forceinline__ void set_first(const bf16* key) {
        const int lane = threadIdx.x % WARP;
#pragma unroll
        for (int i = 0; i < KEY_STEPS; i++) {
            v[0][i] = lane / 4 == 0 ? *reinterpret_cast<const uint4*>(key + i * 32 + lane % 4 * 8) : make_uint4(0, 0, 0, 0);
            v[1][i] = make_uint4(0, 0, 0, 0);
        }
    }

    /** c[j] = queries times keys j * 8 .. j * 8 + 7. */
    __device__ __forceinline__ void scores(const bf16 (&query)[FAST_HEADS + 1][QUERY_PITCH], float (&c)[2][4]) const {
        const int lane = threadIdx.x % WARP, g = lane / 4, q = lane % 4;
#pragma unroll
        for (int i = 0; i < KEY_STEPS; i++) {
            const uint4 a = *reinterpret_cast<const uint4*>(&query[g][i * 32 + q * 8]);
            const uint4 b = *reinterpret_cast<const uint4*>(&query[g + 8][i * 32 + q * 8]);
#pragma unroll
            for (int j = 0; j < 2; j++) {
                mma_bf16(c[j], a.x, b.x, a.y, b.y, v[j][i].x, v[j][i].y);
                mma_bf16(c[j], a.z, b.z, a.w, b.w, v[j][i].z, v[j][i].w);
            }
        }
    }
};

/** Starts copying 16 bytes to shared memory, or writing zeros there. */
__device__ __forceinline__ void copy16(void* to, const void* from, bool there) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_pointer(to)), "l"(from), "r"(there ? 16 : 0) : "memory");
}
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/** Waits for all groups of this thread's copies but the youngest PENDING. */
template <int PENDING> __device__ __forceinline__ void wait_copies() { asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory"); }
/** A barrier of the two warps of a team; number 0 is the block's. */
__device__ __forceinline__ void team_sync(int team) { asm volatile("bar.sync %0, %1;" ::"r"(team + 1), "n"(2 * WARP) : "memory"); }

/** Sixteen keys of a team in shared memory. Odd keys have their 64-byte halves exchanged: lanes of two keys read different banks. */
struct SharedKeyTile {
    uint4 (&piece)[TILE_KEYS][KEY_PIECES];

    static __device__ __forceinline__ int at(int key, int i) { return i ^ (key & 1) << 2; }

    /** Starts copying half of the keys: those of this warp's number in the team. */
    __device__ __forceinline__ void fetch(const bf16* keys, size_t slotRow, const RingPart& part, int row, int member) const {
        const int lane = threadIdx.x % WARP;
#pragma unroll
        for (int i = 0; i < TILE_KEYS / 2; i++) {
            const int key = member * (TILE_KEYS / 2) + i;
            const bool holds = part.holds(row + key);
            copy16(&piece[key][at(key, lane)], keys + (holds ? (slotRow + row + key) * FAST_HEAD + lane * 8 : 0), holds);
        }
        commit_copies();
    }

    /** c[j] = queries times keys j * 8 .. j * 8 + 7. */
    __device__ __forceinline__ void scores(const bf16 (&query)[FAST_HEADS + 1][QUERY_PITCH], float (&c)[2][4]) const {
        const int lane = threadIdx.x % WARP, g = lane / 4, q = lane % 4;
        float odd[2][4] = {}; // two shorter chains of products
#pragma unroll
        for (int i = 0; i < KEY_STEPS; i++) {
            const uint4 a = *reinterpret_cast<const uint4*>(&query[g][i * 32 + q * 8]);
            const uint4 b = *reinterpret_cast<const uint4*>(&query[g + 8][i * 32 + q * 8]);
#pragma unroll
            for (int j = 0; j < 2; j++) {
                const uint4 v = piece[j * 8 + g][at(g, i * 4 + q)];
                mma_bf16(c[j], a.x, b.x, a.y, b.y, v.x, v.y);
                mma_bf16(odd[j], a.z, b.z, a.w, b.w, v.z, v.w);
            }
        }
#pragma unroll
        for (int i = 0; i < 8; i++) {
            c[i / 4][i % 4] += odd[i / 4][i % 4];
        }
    }
};
