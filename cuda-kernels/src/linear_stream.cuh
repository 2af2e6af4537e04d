// The product of 2 to 32 rows as a stream, bf16: y[m, o] = sum_i x[m, i] w[o, i], weights read once, by copies of whole boxes. Hopper alone:
// wgmma with weight rows as the 64 rows of an operand and the ROWS rows of x as the few columns, both from shared memory.
//
// A tile is tileRows weight rows; a plane is a part of I, as even as can be in panels of 64 inputs (128 bytes, the swizzle's width). A block
// has one plane and every gridDim.x / planes-th tile. A stage of its ring is two panels of a tile and of x.
// - One thread asks for weights, up to a whole ring of them before the input is there, for they depend on nothing.
// - One thread of another warp asks for x.
// - A group of warps (a warpgroup) multiplies 64 rows of the tile. Where a tile has fewer, it multiplies whatever lies there and drops it.
//   Up to 128 rows there are two sets of groups, which take turns at the stages and add their sums up at the end: a product of so few columns
//   waits some 85 cycles for the one before, so that one set needs half a microsecond for a stage, whatever its rows.
// The gated product's tile is four gates, the ups of the same four units, the next four gates and so on: a box of a map of four dimensions.
// Sums run in the order of i, set by set, plane by plane, whatever the grid and the ring, as long as there are as many sets.
//
// Launch (linear_stream.cu has the kernels):
//   tileRows a multiple of 8, at most 256; tiles = ceil(units * PAIR / tileRows); 1 <= planes <= ceil(I / 64)
//   grid = planes * blocks; groups = ceil(tileRows / 64), sets = 2 for up to 2 groups, else 1; block = 128 groups * sets + 64
//   dynamic shared memory = 1024 + 128 (64 groups - tileRows) + (2 sets: 256 groups ROWS) + stages * stageBytes, stageBytes = 256 (tileRows + ROWS)
//   stages: a multiple of sets, at least two a set (it keeps a place until the products of its next stage are under way), at most 32
//   map of x: bf16, [I, rows of the buffer], row stride a multiple of 16 bytes, box [64, ROWS], 128-byte swizzle, zeros outside
//   map of w: bf16, [I, O], box [64, tileRows]; gated: [I, 4, 2, F / 4] with strides of 1, F and 4 rows, box [64, 4, 2, tileRows / 8], F a
//   multiple of 4; both with the 128-byte swizzle and zeros outside; I a multiple of 8; all bases multiples of 16 bytes
//
// Bytes: weights once, x once a block from L2, planes written. H200, 2B, floors at 4.47 TB/s, us for 32 rows: x|y 5.8, out 2.9, gate|up 17.5, down
// 8.8, head 293; with clusters of two that shared x and one set of groups, each kernel after the other with dependent launch, 11.9, 7.2, 21.7,
// 12.9, 320. In a step clusters cost 70 us more than they save, for a launch of clusters waits for whole GPCs; two sets were to save 100, and
// saved 40 with 32 rows and 90 with 8. Steps of 32, 8 and 2 sequences take 2,180, 1,820 and 1,740 us; of 32 and 8 by tiles 2,480 and 2,100.
#pragma once

#include "linear.cuh"
#include "tensor_copies.cuh"
#include "wgmma.cuh"

constexpr int STREAM_TILE_ROWS = 256; // at most
constexpr int STREAM_THREADS = 2 * STREAM_TILE_ROWS + 2 * WARP;

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

constexpr int STREAM_STAGES = 32; // at most
constexpr int STAGE_PANELS = 2;
constexpr int PANEL_ROW = PANEL * int(sizeof(bf16));
constexpr int GROUP_WARPS = WARPGROUP / WARP;
constexpr int GROUP_ROWS = 64; // of a warpgroup's product

struct StreamBarriers {
    Barrier full[STREAM_STAGES];  // weights and x have come
    Barrier empty[STREAM_STAGES]; // the set has read the place
};

/** What a block does. */
template <int ROWS, int PAIR> struct StreamWork {
    int plane, block, blocks, rounds; // tiles block, block + blocks, ..
    int first, panels, perRound;      // panels of the plane, stages of a tile
    int outside;                      // the panel behind the last input
    int tileRows, groups, sets, stages, stageBytes, spare;

    __device__ __forceinline__ StreamWork(int units, int I, int planes, int tileRows, int dynamicBytes) : tileRows(tileRows) {
        const int all = (I + PANEL - 1) / PANEL, tiles = (units * PAIR + tileRows - 1) / tileRows;
        outside = all;
        blocks = gridDim.x / planes;
        plane = blockIdx.x / blocks;
        block = blockIdx.x % blocks;
        first = all * plane / planes;
        panels = all * (plane + 1) / planes - first;
        perRound = (panels + STAGE_PANELS - 1) / STAGE_PANELS;
        rounds = block < tiles ? (tiles - block + blocks - 1) / blocks : 0;
        groups = (tileRows + GROUP_ROWS - 1) / GROUP_ROWS;
        sets = groups <= 2 ? 2 : 1;
        spare = (groups * GROUP_ROWS - tileRows) * PANEL_ROW;
        stageBytes = STAGE_PANELS * (tileRows + ROWS) * PANEL_ROW;
        const int sums = (sets - 1) * groups * WARPGROUP * ROWS / 2 * int(sizeof(float));
        stages = min(STREAM_STAGES, (dynamicBytes - PANEL_ALIGNMENT - spare - sums) / stageBytes);
        // A place belongs to one set. Else a set may wait there for the phase after the one that has yet to come, and a barrier takes that for the
        // phase before.
        stages -= stages % sets;
        if (stages < 2 * sets || panels < 1 || tileRows % 8 != 0 || int(blockDim.x) != groups * sets * WARPGROUP + 2 * WARP) {
            __trap(); // not launched as above
        }
    }

    /** Warps of a set. */
    __device__ __forceinline__ int multiplying() const { return groups * GROUP_WARPS; }

    /** Calls visit(tile, first inputs of both panels, place, phase to be waited for) for each stage in the order of the ring. */
    template <class Visit> __device__ __forceinline__ void walk(Visit visit) const {
        int place = 0, phase = 1;
        for (int round = 0; round < rounds; round++) {
            for (int done = 0; done < panels; done += STAGE_PANELS) {
                const int missing = outside * PANEL; // a copy from there is zeros
                const int column[STAGE_PANELS] = {(first + done) * PANEL, done + 1 < panels ? (first + done + 1) * PANEL : missing};
                visit(block + round * blocks, column, place, phase);
                if (++place == stages) {
                    place = 0, phase ^= 1;
                }
            }
        }
    }
};

/** One thread: the weights of all stages, and the count of what comes. */
template <int ROWS, int PAIR>
__device__ __forceinline__ void fetch_weights(const StreamWork<ROWS, PAIR>& work, StreamBarriers& barriers, unsigned memory, const CUtensorMap& w) {
    const unsigned long long policy = read_once();
    work.walk([&](int tile, const int (&column)[STAGE_PANELS], int place, int phase) {
        await(barriers.empty + place, phase);
        arrive_expecting(barriers.full + place, work.stageBytes);
#pragma unroll
        for (int p = 0; p < STAGE_PANELS; p++) {
            const unsigned to = memory + place * work.stageBytes + p * work.tileRows * PANEL_ROW;
            if constexpr (PAIR == 2) {
                copy_box_4d(to, w, column[p], tile * (work.tileRows / 8), barriers.full + place, policy);
            } else {
                copy_box(to, w, column[p], tile * work.tileRows, barriers.full + place, policy);
            }
        }
    });
}

/** One thread: x. */
template <int ROWS, int PAIR>
__device__ __forceinline__ void fetch_x(const StreamWork<ROWS, PAIR>& work, StreamBarriers& barriers, unsigned memory, const CUtensorMap& x) {
    work.walk([&](int, const int (&column)[STAGE_PANELS], int place, int phase) {
        await(barriers.empty + place, phase);
#pragma unroll
        for (int p = 0; p < STAGE_PANELS; p++) {
            copy_box(memory + place * work.stageBytes + (STAGE_PANELS * work.tileRows + p * ROWS) * PANEL_ROW, x, column[p], 0,
                     barriers.full + place);
        }
    });
}

/**
 * Hands a warp's sums to the output: rows row0 .. row0 + 15 of the tile, of which `rows` exist, the first units of the tile's being `unit0`; of
 * the columns, by eights, those from `from` to `to`.
 */
template <int ROWS, class Output>
__device__ __forceinline__ void finish_stream(const float (&sums)[ROWS / 8][4], const Output& output, const float2 (&bias)[2], int row0, int rows,
                                              int unit0, int units, int live, int from, int to) {
    const int lane = threadIdx.x % WARP, row = row0 + lane / 4;
    if constexpr (Output::PAIR == 2) { // lanes 0-15 have gates, 16-31 the ups, of eight rows and the next eight: the halves trade one of each
        const bool gates = lane < WARP / 2;
        const int unit = unit0 + row0 / 2 + lane / 4;
        const bool mine = row0 / 2 + lane / 4 < rows / 2 && unit < units;
#pragma unroll
        for (int t = 0; t < ROWS / 8; t++) {
            if (t < from || t >= to) {
                continue;
            }
#pragma unroll
            for (int e = 0; e < 2; e++) {
                const float other = __shfl_xor_sync(ALL_LANES, gates ? sums[t][2 + e] : sums[t][e], WARP / 2);
                const float sum[2] = {gates ? sums[t][e] : other, gates ? other : sums[t][2 + e]};
                const int m = t * 8 + lane % 4 * 2 + e;
                if (mine && m < live) {
                    output.finish(unit, m, sum, bias[0], 0);
                }
            }
        }
    } else {
#pragma unroll
        for (int upper = 0; upper < 2; upper++) {
            const int unit = unit0 + row + 8 * upper;
            const bool mine = row + 8 * upper < rows && unit < units;
#pragma unroll
            for (int t = 0; t < ROWS / 8; t++) {
#pragma unroll
                for (int e = 0; e < 2 && t >= from && t < to; e++) {
                    const int m = t * 8 + lane % 4 * 2 + e;
                    if (mine && m < live) {
                        const float sum[1] = {sums[t][2 * upper + e]};
                        output.finish(unit, m, sum, bias[upper], 0);
                    }
                }
            }
        }
    }
}

/** sums = (accumulate ? sums : 0) + 64 weight rows times the rows of x, of a panel. */
template <int ROWS>
__device__ __forceinline__ void multiply_panel(float (&sums)[ROWS / 8][4], unsigned long long weights, unsigned long long x, bool accumulate) {
#pragma unroll
    for (int k = 0; k < PANEL / 16; k++) { // 32 bytes further in each row
        multiply_few(sums, weights + 2 * k, x + 2 * k, accumulate || k > 0);
    }
}

/** All warps that multiply. */
__device__ __forceinline__ void multiplying_sync(int threads) { asm volatile("bar.sync 1, %0;" ::"r"(threads) : "memory"); }

/** Of the columns, by eights, those that a set finishes where there are two. */
template <int ROWS> __device__ __forceinline__ bool finishes(int set, int t) { return ROWS == 8 ? set == 0 : t / (ROWS / 16) == set; }

/** Adds up the sums of two sets: each gives the other those that it does not finish. `memory` has a float for each of them, thread by thread. */
template <int ROWS> __device__ __forceinline__ void exchange_sums(float (&sums)[ROWS / 8][4], float* memory, int set, int threads) {
    constexpr int HALF = ROWS == 8 ? 0 : ROWS / 16;
    float* mine = memory + threadIdx.x % threads;
    auto place = [&](int t, int e) { return mine + ((ROWS == 8 ? 0 : t / HALF * HALF * 4) + (ROWS == 8 ? t : t % HALF) * 4 + e) * threads; };
#pragma unroll
    for (int t = 0; t < ROWS / 8; t++) {
#pragma unroll
        for (int e = 0; e < 4 && !finishes<ROWS>(set, t); e++) {
            *place(t, e) = sums[t][e];
        }
    }
    multiplying_sync(2 * threads);
#pragma unroll
    for (int t = 0; t < ROWS / 8; t++) {
#pragma unroll
        for (int e = 0; e < 4 && finishes<ROWS>(set, t); e++) {
            sums[t][e] += *place(t, e);
        }
    }
}

/** A set's sums over the stages of a tile that are its own; `before` stages of the ring came before the tile. */
template <int ROWS, int PAIR>
__device__ __forceinline__ void multiply_tile(float (&sums)[ROWS / 8][4], const StreamWork<ROWS, PAIR>& work, StreamBarriers& barriers,
                                              unsigned long long weights, unsigned long long xs, int set, int before) {
    auto release = [&](int place) { // what products have read needs no __syncwarp() before
        if (threadIdx.x % WARP < WARP_ARRIVALS) {
            arrive(barriers.empty + place);
        }
        __syncwarp(); // see barriers.cuh
    };
    int stage = set, place = (before + set) % work.stages, phase = (before + set) / work.stages % 2, last = -1;
    if (stage >= work.perRound) { // the other set has the only stage
#pragma unroll
        for (int t = 0; t < ROWS / 8; t++) {
#pragma unroll
            for (int e = 0; e < 4; e++) {
                sums[t][e] = 0;
            }
        }
        return;
    }
    do { // the compiler must see that there is a stage, else it lets products wait for each other
        const unsigned at = unsigned(place * work.stageBytes) / 16;
        await(barriers.full + place, phase);
        begin_products();
        multiply_panel<ROWS>(sums, weights + at, xs + at, last >= 0);
        multiply_panel<ROWS>(sums, weights + at + unsigned(work.tileRows * PANEL_ROW) / 16, xs + at + unsigned(ROWS * PANEL_ROW) / 16, true);
        commit_products();
        await_older_products<1>();
        if (last >= 0) {
            release(last);
        }
        last = place;
        place += work.sets;
        if (place >= work.stages) {
            place -= work.stages, phase ^= 1;
        }
        stage += work.sets;
    } while (stage < work.perRound);
    await_products<0>(sums);
    release(last);
}

/** A warp that multiplies. */
template <int ROWS, class Output>
__device__ __forceinline__ void multiply_stream(const StreamWork<ROWS, Output::PAIR>& work, StreamBarriers& barriers, unsigned char* memory,
                                                const int* count, int from, int limit, const Output& output, int units) {
    constexpr int PAIR = Output::PAIR, COLUMNS = ROWS / 8;
    const int warp = __shfl_sync(ALL_LANES, threadIdx.x / WARP, 0), lane = threadIdx.x % WARP; // the compiler must see that a warp is of one mind
    const int set = warp / work.multiplying(), inSet = warp % work.multiplying();
    const int row0 = inSet * 16;
    const unsigned long long weights = descriptor(reinterpret_cast<const bf16*>(memory + inSet / GROUP_WARPS * GROUP_ROWS * PANEL_ROW), 16);
    const unsigned long long xs = descriptor(reinterpret_cast<const bf16*>(memory + STAGE_PANELS * work.tileRows * PANEL_ROW), 16);
    float* exchange = reinterpret_cast<float*>(memory + work.stages * work.stageBytes + work.spare);
    int first = 0, last = COLUMNS; // what this set finishes
    if (work.sets == 2) {
        first = set == 0 ? 0 : ROWS == 8 ? COLUMNS : COLUMNS / 2, last = set == 1 || ROWS == 8 ? COLUMNS : COLUMNS / 2;
    }
    int live = 0;
    for (int round = 0; round < work.rounds; round++) {
        const int unit0 = (work.block + round * work.blocks) * (work.tileRows / PAIR), unit = unit0 + row0 / PAIR + lane / 4;
        const float2 bias[2] = {unit < units ? output.ahead(unit) : float2{0, 0},
                                PAIR == 1 && unit + 8 < units ? output.ahead(unit + 8) : float2{0, 0}};
        float sums[COLUMNS][4];
        multiply_tile<ROWS, PAIR>(sums, work, barriers, weights, xs, set, round * work.perRound);
        if (work.sets == 2) {
            if (round > 0) {
                multiplying_sync(2 * work.multiplying() * WARP); // what was exchanged before has been read
            }
            exchange_sums<ROWS>(sums, exchange, set, work.multiplying() * WARP);
        }
        if (round == 0) {
            pdl_wait(); // long over: x has come
            live = min(live_rows(count, from, limit), ROWS);
        }
        finish_stream<ROWS>(sums, output, bias, row0, work.tileRows, unit0, units, live, first, last);
    }
}

/** out of x w^T for up to ROWS rows. `units` outputs a row of x; w has units * PAIR rows of I. */
template <int ROWS, class Output>
__device__ __forceinline__ void product_stream(const CUtensorMap& w, const CUtensorMap& x, const int* count, int from, int limit, const Output& all,
                                               int units, int I, int planes, int tileRows) {
    extern __shared__ __align__(128) unsigned char dynamic[];
    __shared__ StreamBarriers barriers;
    pdl_launch_dependents();
    const StreamWork<ROWS, Output::PAIR> work(units, I, planes, tileRows, int(dynamic_shared_bytes()));
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, fetching = work.sets * work.multiplying();
    unsigned char* memory = reinterpret_cast<unsigned char*>(aligned_panels(dynamic));
    if (warp == fetching) {
        static_assert(STREAM_STAGES == WARP, "a lane a place of the ring");
        if (lane < work.stages) {
            open_barrier(barriers.full + lane, 1);
            open_barrier(barriers.empty + lane, work.multiplying() * WARP_ARRIVALS);
        }
        show_barriers();
        if (lane == 0) {
            prefetch_map(w);
        }
    } else if (warp > fetching && lane == 0) {
        prefetch_map(x);
    }
    __syncthreads();
    if (warp < fetching) {
        multiply_stream<ROWS>(work, barriers, memory, count, from, limit, all.at(work.plane), units);
    } else if (lane == 0 && warp == fetching) {
        fetch_weights(work, barriers, shared_address(memory), w);
    } else if (lane == 0) {
        pdl_wait();
        show_written();
        fetch_x(work, barriers, shared_address(memory), x);
    }
}

#endif
