// The product of 2 to 32 rows by tiles, bf16: y[m, o] = sum_i x[m, i] w[o, i], weights read once. Weight rows are the rows of mma
// m16n8k16, the rows of x its columns: eight rows cost what two do.
//
// A plane is a part of I, as even as can be in chunks of DEPTH inputs; each has gridDim.x / planes blocks, which share the units (a weight
// row, or for the gated product a pair of rows: gate f, up f) as evenly. A block walks over tiles of its units and for each over the
// chunks of its plane; a stage is a chunk of a tile's weight rows and of all rows of x. Where the outputs are few, more planes mean fewer
// bytes of x a block; their sums then go to the output apart, for whoever reads them to add (add_rms_norm.cu).
//
// Four warps fill the ring of stages (tile_ring.cuh), the weights of the first ones before the input is there, for they depend on nothing.
// Eight multiply: each has one of up to eight sixteen rows (or two of up to sixteen) of a tile; where a tile has four or fewer, two or four
// warps share one and take turns at the k steps of a chunk. Blocks begin with different chunks: if all read the same part of x at once,
// its few lines would be what they wait for. Sums run in an order that only the shape, the grid and the number of planes decide.
//
// Launch: grid = planes * blocks a plane, block = 384, dynamic shared memory = partBytes + stages * stageBytes, 2 <= stages <= 8, with
//   most = ceil(units / blocks a plane), tiles = ceil(most * PAIR / limit), tileRows = ceil(most / tiles) * PAIR up to a multiple of 16,
//   stageBytes = 272 (tileRows + ROWS), partBytes = 384 ROWS where tileRows <= 64, else 0; limit = 256, or 128 where that leaves no two stages.
//   The launcher aims at 136 KB, and takes as many planes (of at most 8) as cost the fewest bytes: 256 bytes a chunk for each weight row and,
//   once a tile, each row of x, and writing and reading the planes.
// x, w 16-byte aligned, I a multiple of 16, xStride of 8; else element by element, any shared memory: slow, for no released model.
//
// Bytes: weights once, and x once a block of a plane, from L2. H200, 2B, each kernel after itself with dependent launch, 110 KB a
// block and so two of them a multiprocessor, us; in brackets one row by rows, and the floor at 4.5 TB/s. What a multiprocessor gets from L2, x included, is about 29 GB/s:
//             x|y              qkv             out, 4 planes    down, 6           gate|up            head with its cap
//   8 rows    10.8 (8.9, 5.8)  7.9 (6.6, 3.5)  5.2 (6.1, 2.9)  12.9 (11.7, 8.7)  21.9 (20.4, 17.5)  328 (308, 291)
//   32 rows   13.0             10.3            7.7             15.9              25.9               367
// In a decode step two beside each other are worse, as for one row: 8 sequences 2.25 ms with 110 KB a block, 2.13 with 118 to 140 KB, 2.14
// with 170 to 200; 4 sequences 2.28 and 2.08 to 2.11. cuBLASLt: 2.21 and 2.18 ms. 32 sequences: 2.72 to 3.11, cuBLASLt 2.51.
// Tried: all warps filling the ring, with a barrier of the block at each chunk of 64 inputs: 0.35 us a chunk before a byte has moved, 47 us
// for gate|up and 32 rows. One warp filling it by bulk copies of 256 bytes: about 70 cycles each, slower. Four blocks of a cluster that
// share x, each sending a quarter of its rows to all by such copies: 51 us.
#pragma once

#include "tile_ring.cuh"

constexpr int TILE_WARPS = 8; // that multiply
constexpr int TILE_THREADS = TILE_WARPS * WARP + FILL_THREADS;
constexpr int SIXTEEN = 16;   // weight rows of one mma
constexpr int SMALL_TILE_ROWS = TILE_WARPS * SIXTEEN, LARGE_TILE_ROWS = 2 * SMALL_TILE_ROWS;

/** What a block does, and how its warps share a tile. */
template <int ROWS, int PAIR> struct TileWork {
    int plane, first, last;        // units
    int chunk, chunks, start;      // of I; the first to be done
    int tileUnits, tileRows, tiles;
    int slots, turns;              // warps side by side, warps that take turns at the k steps
    int stages, stageBytes, partBytes;

    __device__ __forceinline__ TileWork(int units, int I, int planes, int dynamicBytes) {
        const int blocks = gridDim.x / planes, block = blockIdx.x % blocks, all = (I + DEPTH - 1) / DEPTH;
        plane = blockIdx.x / blocks;
        first = int((long long) units * block / blocks);
        last = int((long long) units * (block + 1) / blocks);
        chunk = int((long long) all * plane / planes);
        chunks = int((long long) all * (plane + 1) / planes) - chunk;
        start = block % chunks;
        const int most = (units + blocks - 1) / blocks;
        lay_out(most, LARGE_TILE_ROWS, dynamicBytes);
        if (stages < 2) { // a card with less shared memory
            lay_out(most, SMALL_TILE_ROWS, dynamicBytes);
        }
        tiles = (last - first + tileUnits - 1) / tileUnits;
        if (stages < 2 || chunks < 1) {
            __trap(); // launched with too little dynamic shared memory, or with more planes than chunks
        }
    }
    /** Cuts `most` units into even tiles of at most `limit` weight rows. */
    __device__ __forceinline__ void lay_out(int most, int limit, int dynamicBytes) {
        const int cuts = (most * PAIR + limit - 1) / limit;
        tileRows = ((most + cuts - 1) / cuts * PAIR + SIXTEEN - 1) / SIXTEEN * SIXTEEN;
        tileUnits = tileRows / PAIR;
        const int sixteens = tileRows / SIXTEEN;
        slots = sixteens > 4 ? 8 : sixteens > 2 ? 4 : sixteens;
        turns = slots == 8 ? 1 : slots == 4 ? 2 : 4;
        partBytes = turns > 1 ? 384 * ROWS : 0;
        stageBytes = (tileRows + ROWS) * PITCH;
        stages = min(MOST_STAGES, (dynamicBytes - partBytes) / stageBytes);
    }
    /** The i-th chunk to be done. */
    __device__ __forceinline__ int chunk_of(int i) const { return chunk + (start + i < chunks ? start + i : start + i - chunks); }
};

/** A thread of the warps that fill the ring, tile by tile, chunk by chunk: it copies one 16-byte piece of every eighth row. */
template <int ROWS, int PAIR>
__device__ __forceinline__ void fill_ring(const TileWork<ROWS, PAIR>& work, const TileRing& ring, const int* count, int from, int limit,
                                          const bf16* x, int xStride, const bf16* w, int units, int I) {
    const int thread = threadIdx.x - TILE_WARPS * WARP, piece = thread % PIECES, row = thread / PIECES;
    const int steps = work.tiles * work.chunks, passes = work.tileRows / FILL_ROWS;
    const size_t stride = size_t(FILL_ROWS) * I;
    auto weights = [&](int tile, int i, int stage) {
        const int c = work.chunk_of(i) * DEPTH + piece * 8, first = work.first + tile * work.tileUnits + row;
        if (c < I) {
            const bf16* source = w + size_t(first) * I + c;
            const unsigned to = ring.address(stage, row, piece);
#pragma unroll 4
            for (int k = 0; k < passes; k++) { // eight gates, then the ups of the same units, where they come in pairs
                const int eights = PAIR == 2 ? k / 2 : k;
                if (first + eights * FILL_ROWS < work.last) {
                    copy_of_line(to + k * FILL_ROWS * PITCH, source + eights * stride + (PAIR == 2 && k % 2 == 1 ? size_t(units) * I : 0));
                }
            }
        }
    };
    const int ahead = min(work.stages, steps);
    for (int step = 0; step < ahead; step++) {
        weights(step / work.chunks, step % work.chunks, step);
    }
    pdl_wait();
    const int live = min(live_rows(count, from, limit), ROWS);
    int stage = 0, phase = 1, tile = 0, i = 0;
    for (int step = 0; step < steps; step++) {
        if (step >= ahead) {
            ring.await_empty(stage, phase);
            weights(tile, i, stage);
        }
        const int c = work.chunk_of(i) * DEPTH + piece * 8;
        if (c < I) {
#pragma unroll
            for (int k = 0; k < ROWS / FILL_ROWS; k++) {
                if (row + k * FILL_ROWS < live) {
                    copy_of_line(ring.address(stage, work.tileRows + row + k * FILL_ROWS, piece), x + size_t(row + k * FILL_ROWS) * xStride + c);
                }
            }
        }
        ring.filled(stage);
        if (++i == work.chunks) {
            i = 0, tile++;
        }
        if (++stage == work.stages) {
            stage = 0, phase ^= 1;
        }
    }
}

/** Sums of a warp's sixteen rows (or twice sixteen, 128 rows apart) with all rows of x. */
template <int ROWS, bool BOTH> struct TileSums {
    static constexpr int COLUMNS = ROWS / 8, SIXTEENS = BOTH ? 2 : 1;
    float c[SIXTEENS][COLUMNS][4];

    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int i = 0; i < SIXTEENS; i++) {
#pragma unroll
            for (int t = 0; t < COLUMNS; t++) {
                c[i][t][0] = c[i][t][1] = c[i][t][2] = c[i][t][3] = 0;
            }
        }
    }

    /** Adds sixteen inputs: `a` and `b` are where this lane's pieces of the weight rows and of x lie; the second sixteen rows if `second`. */
    __device__ __forceinline__ void add(const unsigned char* a, const unsigned char* b, bool second) {
        unsigned x[COLUMNS][2];
#pragma unroll
        for (int t = 0; t < COLUMNS; t += 2) {
            unsigned r[4]; // inputs 0-7 and 8-15 of eight rows of x, then of the next eight
            load_matrices(r, b + t * 8 * PITCH);
            x[t][0] = r[0], x[t][1] = r[1];
            if constexpr (COLUMNS > 1) {
                x[t + 1][0] = r[2], x[t + 1][1] = r[3];
            }
        }
#pragma unroll
        for (int i = 0; i < SIXTEENS; i++) {
            if (i == 0 || second) {
                unsigned w[4];
                load_matrices(w, a + i * TILE_WARPS * SIXTEEN * PITCH);
#pragma unroll
                for (int t = 0; t < COLUMNS; t++) {
                    mma_bf16(c[i][t], w, x[t][0], x[t][1]);
                }
            }
        }
    }

    /** Adds up the warps that took turns, in their order; the first has the result. All warps that multiply call. */
    __device__ __forceinline__ void gather(float* parts, int slot, int turn, int slots, int turns) {
        const int lane = threadIdx.x % WARP;
        sync_consumers(); // parts of the last tile have been read
        if (turn > 0 && turn < turns) {
#pragma unroll
            for (int t = 0; t < COLUMNS; t++) {
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    parts[((((turn - 1) * slots + slot) * COLUMNS + t) * 4 + e) * WARP + lane] = c[0][t][e];
                }
            }
        }
        sync_consumers();
        for (int other = 0; turn == 0 && other < turns - 1; other++) {
#pragma unroll
            for (int t = 0; t < COLUMNS; t++) {
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    c[0][t][e] += parts[(((other * slots + slot) * COLUMNS + t) * 4 + e) * WARP + lane];
                }
            }
        }
    }

    static __device__ __forceinline__ void sync_consumers() {
        asm volatile("bar.sync 1, %0;" ::"n"(TILE_WARPS * WARP) : "memory");
    }

    /** Hands the sums of sixteen weight rows, the first of which belongs to `unit`, to the output. */
    template <class Output>
    __device__ __forceinline__ void finish(int i, const Output& output, const float2 (&bias)[2], int unit, int last, int live) const {
        const int lane = threadIdx.x % WARP, mine = unit + lane / 4;
#pragma unroll
        for (int t = 0; t < COLUMNS; t++) {
#pragma unroll
            for (int e = 0; e < 2; e++) {
                const int m = t * 8 + lane % 4 * 2 + e;
                if constexpr (Output::PAIR == 2) {
                    if (m < live && mine < last) {
                        const float sum[2] = {c[i][t][e], c[i][t][2 + e]};
                        output.finish(mine, m, sum, bias[0], 0);
                    }
                } else {
#pragma unroll
                    for (int upper = 0; upper < 2; upper++) {
                        if (m < live && mine + 8 * upper < last) {
                            const float sum[1] = {c[i][t][2 * upper + e]};
                            output.finish(mine + 8 * upper, m, sum, bias[upper], 0);
                        }
                    }
                }
            }
        }
    }
};

/** A warp that multiplies. */
template <int ROWS, int TURNS, bool BOTH, class Output>
__device__ __forceinline__ void multiply_tiles(const TileWork<ROWS, Output::PAIR>& work, const TileRing& ring, const int* count, int from, int limit,
                                               const Output& output, int I, float* parts) {
    constexpr int PAIR = Output::PAIR, SIXTEENS = BOTH ? 2 : 1, STEPS = DEPTH / SIXTEEN / TURNS;
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, slot = warp % work.slots, turn = warp / work.slots;
    const bool works = slot * SIXTEEN < work.tileRows && turn < TURNS;
    bool both[SIXTEENS] = {works};
    if constexpr (BOTH) {
        both[1] = works && (slot + TILE_WARPS) * SIXTEEN < work.tileRows;
    }
    const int a = (slot * SIXTEEN + lane % 16) * PITCH + lane / 16 * 16 + turn * 32;
    const int b = (work.tileRows + (ROWS > 8 ? lane / 16 * 8 : 0) + lane % 8) * PITCH + lane / 8 % 2 * 16 + turn * 32;
    TileSums<ROWS, BOTH> sums;
    int stage = 0, phase = 0, live = 0;
    for (int tile = 0, first = work.first; tile < work.tiles; tile++, first += work.tileUnits) {
        float2 bias[SIXTEENS][2];
#pragma unroll
        for (int i = 0; i < SIXTEENS; i++) {
            const int unit = first + (slot + i * TILE_WARPS) * (SIXTEEN / PAIR) + lane / 4;
            bias[i][0] = both[i] && unit < work.last ? output.ahead(unit) : float2{0, 0};
            bias[i][1] = both[i] && PAIR == 1 && unit + 8 < work.last ? output.ahead(unit + 8) : float2{0, 0};
        }
        sums.clear();
        for (int i = 0; i < work.chunks; i++) {
            const int steps = min(DEPTH, I - work.chunk_of(i) * DEPTH) / SIXTEEN;
            const unsigned char* data = ring.await_full(stage, phase);
            if (works) {
#pragma unroll
                for (int k = 0; k < STEPS; k++) {
                    if (k * TURNS + turn < steps) {
                        sums.add(data + a + k * TURNS * 32, data + b + k * TURNS * 32, both[SIXTEENS - 1]);
                    }
                }
            }
            ring.release(stage);
            if (++stage == work.stages) {
                stage = 0, phase ^= 1;
            }
        }
        if constexpr (TURNS > 1) {
            sums.gather(parts, slot, turn, work.slots, TURNS);
        }
        if (tile == 0) {
            pdl_wait(); // long over: the rows of x have come
            live = min(live_rows(count, from, limit), ROWS);
        }
#pragma unroll
        for (int i = 0; i < SIXTEENS; i++) {
            if (both[i] && turn == 0) {
                sums.finish(i, output, bias[i], first + (slot + i * TILE_WARPS) * (SIXTEEN / PAIR), work.last, live);
            }
        }
    }
    if (work.tiles == 0) {
        pdl_wait();
    }
}

/** Element by element: any shape and alignment. */
template <int ROWS, class Output>
__device__ __noinline__ void product_scalar(const int* count, int from, int limit, const bf16* x, int xStride, const bf16* w,
                                            const Output& output, int units, int I, int planes) {
    constexpr int PAIR = Output::PAIR;
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, blocks = gridDim.x / planes, block = blockIdx.x % blocks;
    const int plane = blockIdx.x / blocks, begin = int((long long) I * plane / planes), end = int((long long) I * (plane + 1) / planes);
    const int last = int((long long) units * (block + 1) / blocks);
    pdl_wait();
    const int live = min(live_rows(count, from, limit), ROWS);
    for (int unit = int((long long) units * block / blocks) + warp; unit < last; unit += blockDim.x / WARP) {
        for (int m = 0; m < live; m++) {
            float sum[PAIR];
#pragma unroll
            for (int half = 0; half < PAIR; half++) {
                const bf16* row = w + (size_t(half) * units + unit) * I;
                float part = 0;
                for (int i = begin + lane; i < end; i += WARP) {
                    part = fmaf(to_float(row[i]), load_fresh(x + size_t(m) * xStride + i), part);
                }
                sum[half] = warp_sum(part);
            }
            if (lane == 0) {
                output.at(plane).finish(unit, m, sum, output.at(plane).ahead(unit), 0);
            }
        }
    }
}

/** out of x w^T for up to ROWS rows. `units` outputs a row of x; w has units * PAIR rows of I. */
template <int ROWS, class Output>
__device__ __forceinline__ void product_tiles(const int* count, int from, int limit, const bf16* x, int xStride, const bf16* w,
                                              const Output& all, int units, int I, int planes) {
    extern __shared__ __align__(128) unsigned char dynamic[];
    __shared__ TileBarriers barriers;
    pdl_launch_dependents();
    if (!vectorizable(x, xStride, I) || I % SIXTEEN != 0 || !aligned16(w)) {
        product_scalar<ROWS>(count, from, limit, x, xStride, w, all, units, I, planes);
        return;
    }
    const TileWork<ROWS, Output::PAIR> work(units, I, planes, int(dynamic_shared_bytes()));
    const Output output = all.at(work.plane);
    const TileRing ring = {dynamic + work.partBytes, &barriers, work.stageBytes};
    ring.open(work.stages, TILE_WARPS);
    if (threadIdx.x >= TILE_WARPS * WARP) {
        fill_ring(work, ring, count, from, limit, x, xStride, w, units, I);
        return;
    }
    float* parts = reinterpret_cast<float*>(dynamic);
    if (work.tileRows > TILE_WARPS * SIXTEEN) {
        multiply_tiles<ROWS, 1, true>(work, ring, count, from, limit, output, I, parts);
    } else if (work.turns == 1) {
        multiply_tiles<ROWS, 1, false>(work, ring, count, from, limit, output, I, parts);
    } else if (work.turns == 2) {
        multiply_tiles<ROWS, 2, false>(work, ring, count, from, limit, output, I, parts);
    } else {
        multiply_tiles<ROWS, 4, false>(work, ring, count, from, limit, output, I, parts);
    }
}
