// The carrying warps of rg_lru.cu: they find the carry into a tile by looking back, and publish what the tile makes of it.
// Included by rg_lru.cu only.
#pragma once

#include "rg_lru_stage.cuh"

namespace {

constexpr int LOOK_BACK = 4;          // tiles
constexpr int PATIENCE = 1 << 24;     // looks at L2, each some hundred nanoseconds

/** What a tile tells the tiles behind it of a channel: its map, and once it is known its carry out, which takes the place of b. */
struct alignas(16) Record {
    unsigned long long a, b;
};

constexpr unsigned MAP = 0, CARRY = 1;

/** {value, launch and kind}, read and written whole. */
__device__ __forceinline__ unsigned long long word(float value, unsigned tag, unsigned kind) {
    return (unsigned long long) (2 * tag + kind) << 32 | __float_as_uint(value);
}

__device__ __forceinline__ bool is_of(unsigned long long word, unsigned tag, unsigned kind) {
    return (unsigned) (word >> 32) == 2 * tag + kind;
}

__device__ __forceinline__ float value(unsigned long long word) {
    return __uint_as_float((unsigned) word);
}

/** Both words, each whole, past L1. */
__device__ __forceinline__ Record peek(const Record* from) {
    Record r;
    asm volatile("ld.volatile.global.v2.u64 {%0, %1}, [%2];" : "=l"(r.a), "=l"(r.b) : "l"(from) : "memory");
    return r;
}

__device__ __forceinline__ void publish(unsigned long long* to, unsigned long long word) {
    *(volatile unsigned long long*) to = word;
}

/** A lane's channels of a tile, of which `live` exist. */
template <typename T> struct Carrier {
    Record* records;   // [tiles][E] from the tile and the lane's first channel on
    int width, live, chunk;
    unsigned tag;

    /** Looks for the carry into the tile in the last LOOK_BACK tiles: from the nearest that is known, chunk by chunk. */
    __device__ __forceinline__ bool look_back(float (&carry)[LANE_CHANNELS<T>]) const {
        Record found[LOOK_BACK][LANE_CHANNELS<T>];
        bool there = true, known = true;
#pragma unroll
        for (int c = 0; c < LANE_CHANNELS<T>; c++) {
            if (c < live) {
                found[0][c] = peek(records - width + c);
                carry[c] = value(found[0][c].b);
                known = known && is_of(found[0][c].b, tag, CARRY);
                there = there && (is_of(found[0][c].b, tag, CARRY)
                        || (is_of(found[0][c].a, tag, MAP) && is_of(found[0][c].b, tag, MAP)));
            }
        }
        if (__all_sync(ALL_LANES, known)) {
            return true;
        }
        if (!__all_sync(ALL_LANES, there)) {
            return false;
        }
#pragma unroll
        for (int i = 1; i < LOOK_BACK; i++) {
#pragma unroll
            for (int c = 0; c < LANE_CHANNELS<T>; c++) {
                if (c < live) {
                    found[i][c] = peek(records - (size_t) min(i + 1, chunk) * width + c);
                }
            }
        }
        known = true;
#pragma unroll
        for (int c = 0; c < LANE_CHANNELS<T>; c++) {
            if (c < live) {
                known = fold(found, c, carry[c]) && known;
            }
        }
        return __all_sync(ALL_LANES, known);
    }

    /** The carry behind the nearest tile, if one of those looked at has a carry and those behind it have maps. */
    __device__ __forceinline__ bool fold(const Record (&found)[LOOK_BACK][LANE_CHANNELS<T>], int c, float& carry) const {
        int hit = LOOK_BACK;
        bool maps = true;
#pragma unroll
        for (int i = 0; i < LOOK_BACK; i++) {
            hit = hit == LOOK_BACK && maps && is_of(found[i][c].b, tag, CARRY) ? i : hit;
            maps = maps && is_of(found[i][c].a, tag, MAP) && is_of(found[i][c].b, tag, MAP);
        }
#pragma unroll
        for (int i = LOOK_BACK - 1; i >= 0; i--) {
            if (i == hit) {
                carry = value(found[i][c].b);
            } else if (i < hit) {
                carry = fmaf(value(found[i][c].a), carry, value(found[i][c].b));
            }
        }
        return hit < LOOK_BACK;
    }
};

/** A group's carrying warp. It looks back while the group computes the tile's maps. */
template <typename T> __device__ __forceinline__ void carry(const Scan<T>& s, const Room<T>& room, Record* records, int group) {
    constexpr int EACH = LANE_CHANNELS<T>;
    using Values = typename Gate<T>::Values;
    int lane = threadIdx.x % WARP, round = 0;
    Control<T>& control = *room.control;
    Turn turn = {group, 0};
    for (;; turn.advance(room.groups, room.stageCount + 1), round ^= 1) {
        await(&control.full[turn.at], turn.parity);
        Tile tile = control.tiles[turn.at];
        if (tile.rows == 0) {
            return;
        }
        int channel = tile.channel + lane * EACH;
        Carrier<T> carrier = {records + (size_t) tile.index * s.width + channel, s.width, min(s.width - channel, EACH), tile.chunk, tile.tag};
        float* state = s.h + (size_t) tile.slot * s.width + channel;
        float carry[EACH] = {}, product[EACH], local[EACH];
        bool known = tile.chunk == 0;
        if (known) {
#pragma unroll
            for (int c = 0; c < EACH; c++) {
                carry[c] = c < carrier.live ? load_fresh(state + c) : 0;
            }
        }
        int looks = 0;
        while (!known && !__all_sync(ALL_LANES, is_over(&control.totalled[group], round)) && ++looks < PATIENCE) {
            known = carrier.look_back(carry);
        }
        await(&control.totalled[group], round);
        float a[WARPS][EACH], b[WARPS][EACH];
#pragma unroll
        for (int w = 0; w < WARPS; w++) {
            *(Values*) a[w] = *(const Values*) &control.a[group][w][lane * EACH];
            *(Values*) b[w] = *(const Values*) &control.b[group][w][lane * EACH];
        }
#pragma unroll
        for (int c = 0; c < EACH; c++) {
            product[c] = 1, local[c] = 0;
#pragma unroll
            for (int w = 0; w < WARPS; w++) {
                product[c] *= a[w][c];
                local[c] = fmaf(a[w][c], local[c], b[w][c]);
            }
            if (!known && !tile.last && c < carrier.live) {
                publish(&carrier.records[c].a, word(product[c], tile.tag, MAP));
                publish(&carrier.records[c].b, word(local[c], tile.tag, MAP));
            }
        }
        while (!known) {
            if (++looks > PATIENCE) {
                __trap();
            }
            known = carrier.look_back(carry);
        }
#pragma unroll
        for (int c = 0; c < EACH; c++) {
            float after = fmaf(product[c], carry[c], local[c]);
            if (c < carrier.live && tile.last) {
                state[c] = after;
            } else if (c < carrier.live) {
                publish(&carrier.records[c].b, word(after, tile.tag, CARRY));
            }
        }
#pragma unroll
        for (int w = 0; w < WARPS; w++) {
            *(Values*) &control.carries[group][w][lane * EACH] = *(const Values*) carry;
#pragma unroll
            for (int c = 0; c < EACH; c++) {
                carry[c] = fmaf(a[w][c], carry[c], b[w][c]);
            }
        }
        arrive_warp(&control.carried[group]);
    }
}

} // namespace
