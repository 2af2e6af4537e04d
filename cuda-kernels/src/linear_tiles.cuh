// The mat-vec by tiles, bf16: see linear.cuh. Eight weight rows at a time are the columns of mma m16n8k16; the rows of x are its rows,
// eight of the sixteen idle. Every warp takes the same slice of I of every tile; the block adds the slices.
//
// Within 32 elements the k of both operands is permuted alike, so that a lane reads 16 contiguous bytes: lane (g, q) holds elements
// 8 q .. 8 q + 7 of weight row g and of row g of x. Pieces lie 64 bytes apart modulo 128: no bank conflicts.
#pragma once

constexpr int TILE_UNITS = 8;
/** One k step of a tile: 32 elements of a row. */
constexpr int TILE_STEP_BYTES = 64;
constexpr int TILE_CHUNK_LIMIT = 10 * TILE_STEP_BYTES;

struct TileShared {
    float part[2][MAX_WARPS][TILE_UNITS][TILE_UNITS]; // [buffer][warp][row of x][weight row]
};

__device__ __forceinline__ void mma_half(float (&c)[4], unsigned a0, unsigned a2, unsigned b0, unsigned b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a0), "r"(0u), "r"(a2), "r"(0u), "r"(b0), "r"(b1));
}

/** A warp's slice of a tile: bytes [at, at + bytes) of its rows, in parts of `chunk`. */
struct TileSlice {
    int at, bytes, chunk, parts, pitch;

    __device__ __forceinline__ TileSlice(int rowBytes, int warp, int warps) {
        int slice = (rowBytes / TILE_STEP_BYTES + warps - 1) / warps * TILE_STEP_BYTES;
        int most = (slice + TILE_CHUNK_LIMIT - 1) / TILE_CHUNK_LIMIT;
        chunk = ((slice + most - 1) / most + TILE_STEP_BYTES - 1) / TILE_STEP_BYTES * TILE_STEP_BYTES;
        pitch = chunk % 128 == 0 ? chunk + 64 : chunk;
        at = min(warp * slice, rowBytes);
        bytes = min(slice, rowBytes - at);
        parts = (bytes + chunk - 1) / chunk;
    }
};

/** c += chunk of eight weight rows times the same part of x; this lane's 16 bytes of each step. */
template <int ROWS>
__device__ __forceinline__ void multiply_tile(const unsigned char* chunk, int pitch, int bytes, const XRows<bf16>& x, int element, int live,
                                              float (&even)[4], float (&odd)[4]) {
    const int lane = threadIdx.x % WARP, g = lane / 4, q = lane % 4;
    const unsigned char* w = chunk + g * pitch + q * 16;
    element += q * 8;
    const bool mine = g < ROWS && g < live;
#pragma unroll 5
    for (int at = 0; at < bytes; at += TILE_STEP_BYTES) {
        uint4 wv = *reinterpret_cast<const uint4*>(w + at);
        uint4 xv = make_uint4(0, 0, 0, 0);
        if (mine) {
            int i = element + at / 2;
            xv = x.direct ? load_fresh16(x.direct + size_t(g) * x.stride + i)
                          : *reinterpret_cast<const uint4*>(x.staged + g * x.pitch + i);
        }
        mma_half(even, xv.x, xv.y, wv.x, wv.y);
        mma_half(odd, xv.z, xv.w, wv.z, wv.w);
    }
}

template <int ROWS, class Input, class Output>
__device__ __forceinline__ void mat_vec_tiles(const int* count, int from, int limit, const Input& input, const bf16* w,
                                              const Output& output, int units, int I, unsigned char* dynamic, LinearShared& shared) {
    constexpr int PAIR = Output::PAIR, TILE = TILE_UNITS / PAIR; // units of a tile
    __shared__ TileShared tiles;
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, warps = blockDim.x / WARP;
    const int rowBytes = I * 2;
    const TileSlice slice(rowBytes, warp, warps);
    const bool staged = stages_x<bf16, ROWS>(input, I);
    const int xBytes = staged ? ROWS * staged_pitch<bf16>(I) * 2 : 0;
    const int xRoom = (xBytes + 127) / 128 * 128;
    const int stageBytes = TILE_UNITS * slice.pitch;
    const int stages = min(MAX_STAGES, (int(dynamic_shared_bytes()) - xRoom) / (warps * stageBytes));
    const UnitRange range(units);

    WeightStream stream;
    stream.open(dynamic + xRoom + warp * stages * stageBytes, shared.full[warp], stages, stageBytes);
    const unsigned char* base = reinterpret_cast<const unsigned char*>(w) + slice.at;
    int fetchUnit = range.first, fetchPart = 0;
    auto fetch = [&](int stage) {
        if (fetchUnit < range.last && slice.parts > 0) {
            const int n = min(TILE, range.last - fetchUnit), offset = fetchPart * slice.chunk;
            const int first = fetchUnit;
            auto source = [=](int r) { // rows of the pair one after the other: gates, then ups
                int half = r >= n ? 1 : 0;
                return base + (size_t(half) * units + first + (r - half * n)) * rowBytes + offset;
            };
            stream.fetch(stage, source, n * PAIR, min(slice.chunk, slice.bytes - offset), slice.pitch);
            if (++fetchPart == slice.parts) {
                fetchPart = 0;
                fetchUnit += TILE;
            }
        } else {
            stream.skip();
        }
    };
    for (int stage = 0; stage < stages; stage++) {
        fetch(stage);
    }
    const typename Input::Ahead inputAhead = input.ahead(I);
    // After a tile, thread (j, m) finishes unit j for row m of x.
    const int j = threadIdx.x % TILE, m = threadIdx.x / TILE;
    float2 nextBias = range.first + j < range.last && m < ROWS ? output.ahead(range.first + j) : float2{0.0f, 0.0f};

    pdl_wait();
    const int live = min(live_rows(count, from, limit), ROWS);
    float nextBefore = range.first + j < range.last && m < live ? output.fresh(range.first + j, m) : 0.0f;
    const XRows<bf16> x = bring_rows<bf16, ROWS>(input, staged, reinterpret_cast<bf16*>(dynamic), live, I, inputAhead, shared.sums);

    for (int unit = range.first, buffer = 0; unit < range.last; unit += TILE, buffer ^= 1) {
        const float2 bias = nextBias;
        const float before = nextBefore;
        const int next = unit + TILE + j;
        if (next < range.last && m < live) {
            nextBias = output.ahead(next);
            nextBefore = output.fresh(next, m);
        }
        float even[4] = {}, odd[4] = {};
        for (int part = 0; part < slice.parts; part++) {
            const unsigned char* data = stream.wait();
            const int offset = part * slice.chunk;
            multiply_tile<ROWS>(data, slice.pitch, min(slice.chunk, slice.bytes - offset), x, (slice.at + offset) / 2, live, even, odd);
            fetch(stream.release());
        }
        const int g = lane / 4, q = lane % 4;
        if (g < ROWS) {
            *reinterpret_cast<float2*>(&tiles.part[buffer][warp][g][2 * q]) = make_float2(even[0] + odd[0], even[1] + odd[1]);
        }
        __syncthreads();
        if (unit + j < range.last && m < live) {
            const int n = min(TILE, range.last - unit);
            float sum[PAIR] = {};
            for (int k = 0; k < warps; k++) {
#pragma unroll
                for (int half = 0; half < PAIR; half++) {
                    sum[half] += tiles.part[buffer][k][m][half * n + j];
                }
            }
            output.finish(unit + j, m, sum, bias, before);
        }
    }
}
