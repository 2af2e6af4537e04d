// The mat-vec by tiles, bf16: see linear.cuh. Sixteen weight rows are the rows of mma m16n8k16, the rows of x its columns. Every warp takes
// the same slice of I of every tile; the block adds the slices.
//
// Tiles go in groups of two. A warp walks its slice chunk by chunk and for each chunk both tiles, so that its part of x comes into
// registers once a group; the next part is under way meanwhile. Where a block has one group, x is read from L2 without a detour.
//
// Within 32 elements the k of both operands is permuted alike, so that a lane reads 16 contiguous bytes: lane (g, q) holds elements
// 8 q .. 8 q + 7 of weight rows g and g + 8 and of row g of x. Pieces lie 64 bytes apart modulo 128: no bank conflicts.
#pragma once

constexpr int TILE_ROWS = 16;
constexpr int GROUP_TILES = 2;
constexpr int GROUP_ROWS = GROUP_TILES * TILE_ROWS;
/** One k step of a tile: 32 elements of a row. */
constexpr int TILE_STEP_BYTES = 64;
constexpr int TILE_STEPS = 5; // of a chunk, at most
/** 4 apart modulo 8: the lanes of a warp store to 32 banks. */
constexpr int PART_PITCH = GROUP_ROWS + 4;

template <int ROWS> struct TileShared {
    float part[MAX_WARPS][ROWS][PART_PITCH]; // [warp][row of x][weight row]
};

/** A warp's slice of a tile: bytes [at, at + bytes) of its rows, in parts of `chunk`. */
struct TileSlice {
    int at, bytes, chunk, parts, pitch;

    __device__ __forceinline__ TileSlice(int rowBytes, int warp, int warps) {
        const int steps = (rowBytes / TILE_STEP_BYTES + warps - 1) / warps, most = (steps + TILE_STEPS - 1) / TILE_STEPS;
        const int slice = steps * TILE_STEP_BYTES;
        chunk = (steps + most - 1) / most * TILE_STEP_BYTES;
        pitch = chunk % 128 == 0 ? chunk + 64 : chunk;
        at = min(warp * slice, rowBytes);
        bytes = min(slice, rowBytes - at);
        parts = (bytes + chunk - 1) / chunk;
    }
    __device__ __forceinline__ int part_bytes(int part) const { return min(chunk, bytes - part * chunk); }
};

/** A lane's share of a chunk of x. */
struct TileInput {
    uint4 v[TILE_STEPS];

    __device__ __forceinline__ void load(const XRows<bf16>& x, const TileSlice& slice, int part, int live) {
        const int lane = threadIdx.x % WARP, g = lane / 4, q = lane % 4;
        const int steps = g < live && part < slice.parts ? slice.part_bytes(part) / TILE_STEP_BYTES : 0;
        const bf16* row = x.direct ? x.direct + size_t(g) * x.stride : x.staged + g * x.pitch;
        const bf16* from = row + (slice.at + part * slice.chunk) / 2 + q * 8;
#pragma unroll
        for (int i = 0; i < TILE_STEPS; i++) {
            const bf16* at = from + i * (TILE_STEP_BYTES / 2);
            v[i] = make_uint4(0, 0, 0, 0);
            if (i < steps) {
                v[i] = x.direct ? load_fresh16(at) : *reinterpret_cast<const uint4*>(at);
            }
        }
    }
};

/** c += chunk of sixteen weight rows times the same part of x; this lane's 16 bytes of each step. */
__device__ __forceinline__ void multiply_tile(const unsigned char* chunk, int pitch, int bytes, const TileInput& x, float (&even)[4],
                                              float (&odd)[4]) {
    const int lane = threadIdx.x % WARP, g = lane / 4, q = lane % 4;
    const unsigned char* w = chunk + g * pitch + q * 16;
#pragma unroll
    for (int i = 0; i < TILE_STEPS; i++) {
        if (i * TILE_STEP_BYTES < bytes) {
            const uint4 a = *reinterpret_cast<const uint4*>(w + i * TILE_STEP_BYTES);
            const uint4 b = *reinterpret_cast<const uint4*>(w + 8 * pitch + i * TILE_STEP_BYTES);
            mma_bf16(even, a.x, b.x, a.y, b.y, x.v[i].x, x.v[i].y);
            mma_bf16(odd, a.z, b.z, a.w, b.w, x.v[i].z, x.v[i].w);
        }
    }
}

/** A warp's sums of tile t of a group, to the block's. */
template <int ROWS>
__device__ __forceinline__ void store_part(float (&part)[ROWS][PART_PITCH], int t, const float (&even)[4], const float (&odd)[4]) {
    const int lane = threadIdx.x % WARP, g = lane / 4, q = lane % 4;
    if (2 * q < ROWS) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            part[2 * q + i % 2][t * TILE_ROWS + g + i / 2 * 8] = even[i] + odd[i];
        }
    }
}

template <int ROWS, class Input, class Output>
__device__ __forceinline__ void mat_vec_tiles(const int* count, int from, int limit, const Input& input, const bf16* w,
                                              const Output& output, int units, int I, unsigned char* dynamic, LinearShared& shared) {
    constexpr int PAIR = Output::PAIR, TILE = TILE_ROWS / PAIR, GROUP = GROUP_TILES * TILE; // units of a tile, of a group
    __shared__ TileShared<ROWS> tiles;
    const int warp = threadIdx.x / WARP, warps = blockDim.x / WARP;
    const int rowBytes = I * 2;
    const TileSlice slice(rowBytes, warp, warps);
    const UnitRange range(units);
    bool staged = stages_x<bf16, ROWS>(input, I);
    if constexpr (!Input::NORM) {
        staged = staged && !(range.last - range.first <= GROUP && vectorizable(input.x, input.stride, I));
    }
    const int xBytes = staged ? ROWS * staged_pitch<bf16>(I) * 2 : 0;
    const int xRoom = (xBytes + 127) / 128 * 128;
    const int stageBytes = TILE_ROWS * slice.pitch;
    const int stages = min(MAX_STAGES, (int(dynamic_shared_bytes()) - xRoom) / (warps * stageBytes));

    WeightStream stream;
    stream.open(dynamic + xRoom + warp * stages * stageBytes, shared.full[warp], stages, stageBytes);
    const unsigned char* base = reinterpret_cast<const unsigned char*>(w) + slice.at;
    int fetchUnit = range.first, fetchPart = 0, fetchTile = 0;
    auto fetch = [&](int stage) {
        if (fetchUnit < range.last && slice.parts > 0) {
            const int first = fetchUnit + fetchTile * TILE, n = min(TILE, range.last - first), offset = fetchPart * slice.chunk;
            auto source = [=](int r) { // rows of the pair one after the other: gates, then ups
                int half = r >= n ? 1 : 0;
                return base + (size_t(half) * units + first + (r - half * n)) * rowBytes + offset;
            };
            stream.fetch(stage, source, n * PAIR, slice.part_bytes(fetchPart), slice.pitch);
            if (++fetchTile == GROUP_TILES || fetchUnit + fetchTile * TILE >= range.last) {
                fetchTile = 0;
                if (++fetchPart == slice.parts) {
                    fetchPart = 0;
                    fetchUnit += GROUP;
                }
            }
        } else {
            stream.skip();
        }
    };
    for (int stage = 0; stage < stages; stage++) {
        fetch(stage);
    }
    const typename Input::Ahead inputAhead = input.ahead(I);
    // After a group, thread (j, m) finishes unit j for row m of x.
    const int mine = range.first + int(threadIdx.x) % GROUP, row = threadIdx.x / GROUP;
    float2 nextBias = mine < range.last && row < ROWS ? output.ahead(mine) : float2{0.0f, 0.0f};

    pdl_wait();
    const int live = min(live_rows(count, from, limit), ROWS);
    float nextBefore = mine < range.last && row < live ? output.fresh(mine, row) : 0.0f;
    const XRows<bf16> x = bring_rows<bf16, ROWS>(input, staged, reinterpret_cast<bf16*>(dynamic), live, I, inputAhead, shared.sums);

    TileInput now;
    now.load(x, slice, 0, live);
    for (int unit = range.first; unit < range.last; unit += GROUP) {
        const float2 bias = nextBias;
        const float before = nextBefore;
        const int next = mine + (unit - range.first) + GROUP;
        if (next < range.last && row < live) {
            nextBias = output.ahead(next);
            nextBefore = output.fresh(next, row);
        }
        float even[GROUP_TILES][4] = {}, odd[GROUP_TILES][4] = {};
        for (int part = 0; part < slice.parts; part++) {
            TileInput soon = now;
            if (slice.parts > 1) {
                soon.load(x, slice, part + 1 == slice.parts ? 0 : part + 1, live);
            }
#pragma unroll
            for (int t = 0; t < GROUP_TILES; t++) {
                if (unit + t * TILE < range.last) {
                    const unsigned char* data = stream.wait();
                    multiply_tile(data, slice.pitch, slice.part_bytes(part), now, even[t], odd[t]);
                    fetch(stream.release());
                }
            }
            now = soon;
        }
#pragma unroll
        for (int t = 0; t < GROUP_TILES; t++) {
            store_part<ROWS>(tiles.part[warp], t, even[t], odd[t]);
        }
        __syncthreads();
        for (int e = threadIdx.x; e < GROUP * ROWS; e += blockDim.x) {
            const int j = e % GROUP, m = e / GROUP;
            if (unit + j < range.last && m < live) {
                const int n = min(TILE, range.last - unit - j / TILE * TILE);
                float sum[PAIR] = {};
                for (int k = 0; k < warps; k++) {
#pragma unroll
                    for (int half = 0; half < PAIR; half++) {
                        sum[half] += tiles.part[k][m][j / TILE * TILE_ROWS + half * n + j % TILE];
                    }
                }
                const bool first = e == int(threadIdx.x); // with few warps a thread finishes more than it has prefetched for
                output.finish(unit + j, m, sum, first ? bias : output.ahead(unit + j), first ? before : output.fresh(unit + j, m));
            }
        }
        __syncthreads();
    }
}
