// Keys as the tile engine of window_attention_decode.cu multiplies them: sixteen of a warp in registers, or of a team in shared memory.
#pragma once

#include "tensor_cores.cuh"
#include "window_attention_decode.cuh"

constexpr int FAST_HEAD = 256;
constexpr int FAST_HEADS = 16;
constexpr int TILE_KEYS = 16;
constexpr int KEY_STEPS = FAST_HEAD / 32;
/** 16-byte pieces of a key. */
constexpr int KEY_PIECES = FAST_HEAD / 8;

/**
 * The step's queries and its key, rotated. Queries lie as the products' operands: a lane's 16 bytes are those of heads g and g + 8, in the
 * order of the registers, so that they come by one load and no register moves. Steps are 64 bytes apart modulo 128: staging meets no worse
 * banks than it must.
 */
struct Heads {
    static constexpr int STEP_PIECES = 2 * WARP + 4;
    uint4 query[KEY_STEPS][STEP_PIECES]; // two products of 32 elements, 32 lanes each
    bf16 key[FAST_HEAD];

    /** 16 bytes of head `head`, those of lane `lane` of a warp that has the whole head. */
    __device__ __forceinline__ void set(int head, int lane, uint4 v) {
        unsigned* to = reinterpret_cast<unsigned*>(&query[lane / 4][head % 8 * 4 + lane % 4]) + head / 8;
        to[0] = v.x, to[2] = v.y;
        to[4 * WARP] = v.z, to[4 * WARP + 2] = v.w;
    }
};

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
    __device__ __forceinline__ void scores(const Heads& heads, float (&c)[2][4]) const {
        const int lane = threadIdx.x % WARP;
#pragma unroll
        for (int i = 0; i < KEY_STEPS; i++) {
            const uint4 a = heads.query[i][lane], b = heads.query[i][WARP + lane];
#pragma unroll
            for (int j = 0; j < 2; j++) {
                mma_bf16(c[j], a.x, a.y, a.z, a.w, v[j][i].x, v[j][i].y);
                mma_bf16(c[j], b.x, b.y, b.z, b.w, v[j][i].z, v[j][i].w);
            }
        }
    }
};

/** A barrier of the two warps of a team; number 0 is the block's. */
__device__ __forceinline__ void team_sync(int team) { asm volatile("bar.sync %0, %1;" ::"r"(team + 1), "n"(2 * WARP) : "memory"); }

/** Sixteen keys of a team in shared memory. Odd keys have their 64-byte halves exchanged: lanes of two keys read different banks. */
struct SharedKeyTile {
    uint4 (&piece)[TILE_KEYS][KEY_PIECES];

    static __device__ __forceinline__ int at(int key, int i) { return i ^ (key & 1) << 2; }

    /** Starts copying half of the keys: those of this warp's number in the team. */
    __device__ __forceinline__ void fetch(const bf16* keys, size_t slotRow, const RingPart& part, int row, int member) const {
        const int lane = threadIdx.x % WARP, first = member * (TILE_KEYS / 2);
        if (part.holds_all(row, TILE_KEYS)) { // one address, and distances that the compiler knows
            const bf16* from = keys + (slotRow + row + first) * FAST_HEAD + lane * 8;
#pragma unroll
            for (int i = 0; i < TILE_KEYS / 2; i++) {
                copy_async(&piece[first + i][at(i, lane)], from + i * FAST_HEAD);
            }
        } else {
#pragma unroll 1
            for (int key = first; key < first + TILE_KEYS / 2; key++) {
                const bool holds = part.holds(row + key);
                copy_async(&piece[key][at(key, lane)], keys + (holds ? (slotRow + row + key) * FAST_HEAD + lane * 8 : 0), holds);
            }
        }
        commit_copies();
    }

    /** c[j] = queries times keys j * 8 .. j * 8 + 7. */
    __device__ __forceinline__ void scores(const Heads& heads, float (&c)[2][4]) const {
        const int lane = threadIdx.x % WARP, g = lane / 4, q = lane % 4;
        float odd[2][4] = {}; // two shorter chains of products
#pragma unroll
        for (int i = 0; i < KEY_STEPS; i++) {
            const uint4 a = heads.query[i][lane], b = heads.query[i][WARP + lane];
#pragma unroll
            for (int j = 0; j < 2; j++) {
                const uint4 v = piece[j * 8 + g][at(g, i * 4 + q)];
                mma_bf16(c[j], a.x, a.y, a.z, a.w, v.x, v.y);
                mma_bf16(odd[j], b.x, b.y, b.z, b.w, v.z, v.w);
            }
        }
#pragma unroll
        for (int i = 0; i < 8; i++) {
            c[i / 4][i % 4] += odd[i / 4][i % 4];
        }
    }
};
