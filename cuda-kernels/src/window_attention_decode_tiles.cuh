// The engine of window_attention_decode.cu for bf16, K = 256, at most 16 heads: all heads at once on tensor cores.
//
// The heads are the rows of mma m16n8k16. A team of warps takes sixteen ring rows at a time, each warp COLUMNS of their values:
// - one warp: the keys go from global memory into registers as the columns of the scores' product (k permuted alike within 32 elements,
//   16 bytes a lane). The other columns are other blocks'.
// - two warps: both halves of the values, so that a block reads everything once. Each warp copies half of the keys to shared memory; both
//   compute all scores, which is cheaper than exchanging them. While a team adds up values, the keys of its next tile are under way.
// The first tiles are under way before the input is there. Weights of the values are split in two bf16, so that no more is rounded than in
// the product by FMA.
#pragma once

#include "window_attention_decode_keys.cuh"

/** Queries and key that a warp rotates: a lane has 16 bytes of each. */
constexpr int WARP_HEADS = (FAST_HEADS + ATTENTION_WARPS) / ATTENTION_WARPS;
constexpr int MERGE_SPLITS = 16;

/** COLUMNS of the values for each of the TEAM (1 or 2) warps that share sixteen keys. */
template <int COLUMNS, int TEAM> struct TileShared {
    static constexpr int VALUE_PITCH = COLUMNS + 8, OUT_PITCH = COLUMNS + 4;
    static constexpr int TEAMS = ATTENTION_WARPS / TEAM, KEY_TILES = TEAM > 1 ? TEAMS : 0;
    static constexpr int BLOCK_COLUMNS = COLUMNS * TEAM, ROUND_KEYS = TILE_KEYS * TEAMS;
    struct Ring {
        bf16 value[ATTENTION_WARPS][TILE_KEYS][VALUE_PITCH];
        uint4 key[KEY_TILES > 0 ? KEY_TILES : 1][TILE_KEYS][KEY_TILES > 0 ? KEY_PIECES : 1];
    };
    Heads heads;
    float2 table[FAST_HEAD / 2];
    float2 softmax[ATTENTION_WARPS][FAST_HEADS]; // maximum, sum
    union {
        Ring ring;
        float out[ATTENTION_WARPS][FAST_HEADS][OUT_PITCH];
    };
};

/** Starts copying sixteen rows of values, zeros where the ring holds none. */
template <int COLUMNS>
__device__ __forceinline__ void fetch_values(bf16 (&to)[TILE_KEYS][COLUMNS + 8], const bf16* values, size_t slotRow, const RingPart& part,
                                             int row) {
    constexpr int PIECES = COLUMNS / 8, AT_ONCE = WARP / PIECES; // keys
    static_assert(TILE_KEYS % AT_ONCE == 0, "whole passes");
    const int first = threadIdx.x % WARP / PIECES, piece = threadIdx.x % PIECES;
    if (part.holds_all(row, TILE_KEYS)) {
        const bf16* from = values + (slotRow + row + first) * FAST_HEAD + piece * 8;
#pragma unroll
        for (int key = 0; key < TILE_KEYS; key += AT_ONCE) {
            copy_async(&to[key + first][piece * 8], from + key * FAST_HEAD);
        }
    } else {
#pragma unroll 1
        for (int key = first; key < TILE_KEYS; key += AT_ONCE) {
            const bool holds = part.holds(row + key);
            copy_async(&to[key][piece * 8], values + (holds ? (slotRow + row + key) * FAST_HEAD + piece * 8 : 0), holds);
        }
    }
    commit_copies();
}

/** A warp's softmax so far: lane (g, q) holds heads g and g + 8, columns 2 q and 2 q + 1 of every eight. */
template <int COLUMNS> struct HeadSums {
    float max[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};
    float out[COLUMNS / 8][4] = {};

    /** Takes in scores of sixteen keys, minus infinity where there is none, and their values. */
    __device__ __forceinline__ void absorb(float (&c)[2][4], const bf16 (&value)[TILE_KEYS][COLUMNS + 8]) {
        const int lane = threadIdx.x % WARP;
        float keep[2];
#pragma unroll
        for (int r = 0; r < 2; r++) {
            float most = fmaxf(fmaxf(c[0][2 * r], c[0][2 * r + 1]), fmaxf(c[1][2 * r], c[1][2 * r + 1]));
            most = fmaxf(most, __shfl_xor_sync(ALL_LANES, most, 1));
            most = fmaxf(max[r], fmaxf(most, __shfl_xor_sync(ALL_LANES, most, 2)));
            keep[r] = decay_to(max[r], most);
            max[r] = most;
            float p = 0;
#pragma unroll
            for (int i = 0; i < 4; i++) {
                float& score = c[i / 2][2 * r + i % 2];
                score = decay_to(score, most);
                p += score;
            }
            sum[r] = sum[r] * keep[r] + p; // this lane's keys; added up at the end
        }
        unsigned high[4], low[4]; // rows g, g + 8 of keys 0 to 7, then of keys 8 to 15
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const float x = c[i / 2][i % 2 * 2], y = c[i / 2][i % 2 * 2 + 1];
            high[i] = pack_pair(x, y);
            low[i] = pack_pair(x - low_half(high[i]), y - high_half(high[i]));
        }
        const bf16* from = &value[lane % 16][lane / 16 * 8];
        if (__any_sync(ALL_LANES, keep[0] != 1.0f || keep[1] != 1.0f)) { // rare once the largest score has been seen
#pragma unroll
            for (int n = 0; n < COLUMNS / 8; n++) {
                out[n][0] *= keep[0], out[n][1] *= keep[0], out[n][2] *= keep[1], out[n][3] *= keep[1];
            }
        }
#pragma unroll
        for (int n = 0; n < COLUMNS / 8; n += 2) {
            unsigned b[4];
            load_matrices_transposed(b, from + n * 8);
#pragma unroll
            for (int j = 0; j < 2; j++) {
                mma_bf16(out[n + j], high, b[2 * j], b[2 * j + 1]);
                mma_bf16(out[n + j], low, b[2 * j], b[2 * j + 1]);
            }
        }
    }
};

/**
 * Queries and key, rotated and rounded, to shared memory; heads that are not there become zeros. A warp takes every eighth, the key
 * behind the last head, so that none has more of them than it must.
 */
__device__ __forceinline__ void stage_heads(const Attention<bf16>& a, const bf16* row, const float2* table, Heads& to) {
    const int half = a.rotaryDims / 2, lane = threadIdx.x % WARP, d = lane * 8, warp = threadIdx.x / WARP;
    uint4 own[WARP_HEADS], other[WARP_HEADS];
#pragma unroll
    for (int i = 0; i < WARP_HEADS; i++) {
        const int head = i * ATTENTION_WARPS + warp;
        const bool there = head <= a.heads;
        const bf16* from = row + head * FAST_HEAD;
        own[i] = there ? load_fresh16(from + d) : make_uint4(0, 0, 0, 0);
        other[i] = there && d < 2 * half ? load_fresh16(from + (d < half ? d + half : d - half)) : make_uint4(0, 0, 0, 0);
    }
    float2 turn[8];
#pragma unroll
    for (int j = 0; j < 8; j += 2) {
        const float4 two = d < 2 * half ? *reinterpret_cast<const float4*>(table + (d < half ? d : d - half) + j) : float4{1, 0, 1, 0};
        turn[j] = {two.x, d < half ? -two.y : two.y};
        turn[j + 1] = {two.z, d < half ? -two.w : two.w};
    }
#pragma unroll
    for (int i = 0; i < WARP_HEADS; i++) {
        const int head = i * ATTENTION_WARPS + warp;
        if (head > FAST_HEADS) {
            break;
        }
        float v[8], w[8];
        unpack16<bf16>(own[i], v);
        unpack16<bf16>(other[i], w);
#pragma unroll
        for (int j = 0; j < 8; j++) {
            v[j] = v[j] * turn[j].x + w[j] * turn[j].y;
        }
        const uint4 packed = pack16<bf16>(v);
        if (head == a.heads) {
            *reinterpret_cast<uint4*>(&to.key[d]) = packed;
        } else {
            to.set(head < a.heads ? head : head - 1, lane, packed);
        }
    }
}

/** The sums of a block's teams, as one partial result. */
template <int COLUMNS, int TEAM>
__device__ __forceinline__ void store_partial(const Attention<bf16>& a, int q, HeadSums<COLUMNS>& mine, TileShared<COLUMNS, TEAM>& s) {
    using Shared = TileShared<COLUMNS, TEAM>;
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, g = lane / 4, quad = lane % 4;
    __syncthreads(); // keys and values have been read
#pragma unroll
    for (int r = 0; r < 2; r++) {
        mine.sum[r] += __shfl_xor_sync(ALL_LANES, mine.sum[r], 1);
        mine.sum[r] += __shfl_xor_sync(ALL_LANES, mine.sum[r], 2);
        if (quad == 0) {
            s.softmax[warp][g + 8 * r] = {mine.max[r], mine.sum[r]};
        }
#pragma unroll
        for (int n = 0; n < COLUMNS / 8; n++) {
            *reinterpret_cast<float2*>(&s.out[warp][g + 8 * r][n * 8 + quad * 2]) = {mine.out[n][2 * r], mine.out[n][2 * r + 1]};
        }
    }
    __syncthreads();
    constexpr int VECTORS = Shared::BLOCK_COLUMNS / 4;
    for (int item = threadIdx.x; item < a.heads * VECTORS; item += ATTENTION_THREADS) {
        const int head = item / VECTORS, column = item % VECTORS * 4, member = column / COLUMNS;
        float max = -INFINITY, sum = 0;
#pragma unroll
        for (int k = 0; k < Shared::TEAMS; k++) {
            max = fmaxf(max, s.softmax[k * TEAM + member][head].x);
        }
        float4 v = {};
#pragma unroll
        for (int k = 0; k < Shared::TEAMS; k++) {
            const float2 softmax = s.softmax[k * TEAM + member][head];
            const float weight = decay_to(softmax.x, max);
            const float4 part = *reinterpret_cast<const float4*>(&s.out[k * TEAM + member][head][column % COLUMNS]);
            sum = fmaf(weight, softmax.y, sum);
            v.x = fmaf(weight, part.x, v.x), v.y = fmaf(weight, part.y, v.y);
            v.z = fmaf(weight, part.z, v.z), v.w = fmaf(weight, part.w, v.w);
        }
        float* to = a.vectors(q, head) + size_t(blockIdx.x) * FAST_HEAD + blockIdx.y * Shared::BLOCK_COLUMNS + column;
        *reinterpret_cast<float4*>(to) = v;
        if (column == 0) {
            a.stats(q, blockIdx.y, head)[blockIdx.x] = {max, sum};
        }
    }
}

/** This block's share: all heads, the ring rows of its split, its columns. */
template <int COLUMNS, int TEAM>
__device__ __forceinline__ void attend_tiles(const Attention<bf16>& a, int q, int slot, int position, TileShared<COLUMNS, TEAM>& s) {
    using Shared = TileShared<COLUMNS, TEAM>;
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, quad = lane % 4, team = warp / TEAM, member = warp % TEAM;
    const RingPart part(blockIdx.x, a.splits, position, a.W);
    const size_t slotRow = size_t(slot) * a.W;
    const int firstColumn = blockIdx.y * Shared::BLOCK_COLUMNS + member * COLUMNS;
    const bf16* values = a.values + firstColumn;
    bf16(&value)[TILE_KEYS][Shared::VALUE_PITCH] = s.ring.value[warp];
    KeyTile keys;
    auto fetch_keys = [&](int row) {
        if constexpr (TEAM == 1) {
            keys.load(a.keys, slotRow, part, row);
        } else {
            SharedKeyTile{s.ring.key[team]}.fetch(a.keys, slotRow, part, row, member);
        }
    };
    int row = part.first + team * TILE_KEYS;
    fetch_keys(row);
    fetch_values<COLUMNS>(value, values, slotRow, part, row);
    rotary_table(a, position, s.table);
    __syncthreads();
    pdl_wait();
    const bf16* input = a.qkv + size_t(q) * a.qkvStride;
    stage_heads(a, input, s.table, s.heads);
    __syncthreads();

    const float scale = LOG2_E / sqrtf(float(FAST_HEAD));
    HeadSums<COLUMNS> sums;
    auto weigh = [&](float(&c)[2][4], auto there) {
#pragma unroll
        for (int i = 0; i < 8; i++) {
            c[i / 4][i % 4] = there(i / 4 * 8 + quad * 2 + i % 2) ? c[i / 4][i % 4] * scale : -INFINITY;
        }
    };
    for (; row < part.last; row += Shared::ROUND_KEYS) { // the same for all warps of a team
        float c[2][4] = {};
        if constexpr (TEAM == 1) {
            keys.scores(s.heads, c);
            await_copies<0>();
        } else {
            await_copies<1>();
            team_sync(team); // the other warp's keys, too
            SharedKeyTile{s.ring.key[team]}.scores(s.heads, c);
            team_sync(team); // the other warp has read the keys
            fetch_keys(row + Shared::ROUND_KEYS);
            await_copies<1>();
        }
        __syncwarp();
        weigh(c, [&](int key) { return part.holds(row + key); });
        sums.absorb(c, value);
        __syncwarp();
        if constexpr (TEAM == 1) {
            fetch_keys(row + Shared::ROUND_KEYS);
        }
        fetch_values<COLUMNS>(value, values, slotRow, part, row + Shared::ROUND_KEYS);
    }
    await_copies<0>(); // zeros
    if (part.owns_new_row() && team == Shared::TEAMS - 1) { // the new key, alone in a tile
        if constexpr (TEAM == 1) {
            keys.set_first(s.heads.key);
            __syncwarp();
        } else {
            team_sync(team); // all zeros are there
            if (member == 0) {
                s.ring.key[team][0][SharedKeyTile::at(0, lane)] = *reinterpret_cast<const uint4*>(&s.heads.key[lane * 8]);
            }
        }
        for (int i = lane; i < COLUMNS / 8; i += WARP) {
            *reinterpret_cast<uint4*>(&value[0][i * 8]) = load_fresh16(input + (a.heads + 1) * FAST_HEAD + firstColumn + i * 8);
        }
        float c[2][4] = {};
        if constexpr (TEAM == 1) {
            __syncwarp();
            keys.scores(s.heads, c);
        } else {
            team_sync(team);
            SharedKeyTile{s.ring.key[team]}.scores(s.heads, c);
        }
        weigh(c, [](int key) { return key == 0; });
        sums.absorb(c, value);
    }
    store_partial<COLUMNS, TEAM>(a, q, sums, s);
}

/** The last block of a column group merges it, in order of the splits. The first vectors are under way while the weights are made. */
template <int COLUMNS> __device__ __forceinline__ void merge_tiles(const Attention<bf16>& a, int q, float2* stats, float* scale) {
    constexpr int VECTORS = COLUMNS / 4;
    const int items = a.heads * VECTORS;
    float4 v[MERGE_SPLITS];
    auto load = [&](int item, int first) {
        const float* from = a.vectors(q, item / VECTORS) + size_t(first) * FAST_HEAD + blockIdx.y * COLUMNS + item % VECTORS * 4;
#pragma unroll
        for (int i = 0; i < MERGE_SPLITS; i++) {
            v[i] = first + i < a.splits ? __ldcg(reinterpret_cast<const float4*>(from + size_t(i) * FAST_HEAD)) : float4{};
        }
    };
    int item = threadIdx.x;
    if (item < items) {
        load(item, 0);
    }
    merge_weights(a, q, blockIdx.y, 0, a.heads, stats, scale);
    for (bool loaded = true; item < items; item += ATTENTION_THREADS, loaded = false) {
        const int head = item / VECTORS;
        float sum[4] = {};
        for (int first = 0; first < a.splits; first += MERGE_SPLITS) {
            if (first > 0 || !loaded) {
                load(item, first);
            }
#pragma unroll
            for (int i = 0; i < MERGE_SPLITS; i++) {
                const float weight = first + i < a.splits ? stats[head * a.splits + first + i].x : 0.0f;
                sum[0] = fmaf(weight, v[i].x, sum[0]), sum[1] = fmaf(weight, v[i].y, sum[1]);
                sum[2] = fmaf(weight, v[i].z, sum[2]), sum[3] = fmaf(weight, v[i].w, sum[3]);
            }
        }
        const float by = scale[head];
        bf16* to = a.out + size_t(q) * a.outStride + head * FAST_HEAD + blockIdx.y * COLUMNS + item % VECTORS * 4;
        *reinterpret_cast<uint2*>(to) = make_uint2(pack_pair(sum[0] * by, sum[1] * by), pack_pair(sum[2] * by, sum[3] * by));
    }
}
