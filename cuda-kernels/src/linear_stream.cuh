// The product of 2 to 32 rows as a stream, bf16: y[m, o] = sum_i x[m, i] w[o, i], weights read once, by copies of whole boxes. Hopper alone:
// wgmma with weight rows as the 64 rows of an operand and the ROWS rows of x as the few columns, both from shared memory.
//
// A tile is tileRows weight rows; a plane is a part of I, as even as can be in panels of 64 inputs (128 bytes, the swizzle's width). A block
// has one plane and every gridDim.x / planes-th tile. A stage of its ring is `depth` panels of a tile and of x. Blocks of a cluster have
// the same plane and neighbouring tiles, so they need the same x: for each place in the ring one of them copies it to all.
// - One thread asks for weights, up to a whole ring of them before the input is there, for they depend on nothing.
// - One thread of another warp asks for x, in the places of the ring that are its block's: when all blocks of the cluster have read
//   what was there. Weights do not wait for other blocks.
// - A warpgroup multiplies 64 rows of the tile. Where a tile has fewer, it multiplies whatever lies there and drops it.
// The gated product's tile is four gates, the ups of the same four units, the next four gates and so on: a box of a map of four dimensions.
// Sums run in the order of i, plane by plane, whatever the grid, the cluster and the ring.
//
// Launch (linear_stream.cu has the kernels):
//   tileRows a multiple of 8, at most 256; tiles = ceil(units * PAIR / tileRows); 1 <= planes <= ceil(I / 64); depth 1 or 2
//   cluster = 1, 2, 4 or 8 blocks along x; grid = planes * blocks, blocks a multiple of the cluster; block = 128 ceil(tileRows / 64) + 64
//   dynamic shared memory = 1024 + 128 (tileRows up to a multiple of 64 - tileRows) + stages * stageBytes, 2 <= stages <= 32,
//   with stageBytes = 128 depth (tileRows + ROWS)
//   map of x: bf16, [I, rows of the buffer], row stride a multiple of 16 bytes, box [64, ROWS], 128-byte swizzle, zeros outside
//   map of w: bf16, [I, O], box [64, tileRows]; gated: [I, 4, 2, F / 4] with strides of 1, F and 4 rows, box [64, 4, 2, tileRows / 8], F a
//   multiple of 4; both with the 128-byte swizzle and zeros outside; I a multiple of 8; all bases multiples of 16 bytes
//
// Bytes: weights once, x once a cluster from L2, planes written. H200, 2B, floors at 4.47 TB/s, prediction for 32 rows, each kernel after the
// other without dependent launch, us (by tiles; cuBLASLt with the kernel that finishes): x|y 5.8, 9 (18; 11.3)  qkv 3.5, 6.5 (13; 8.6)  out 2.9, 6.5
// (12; 8.8)  gate|up 17.5, 21 (30.5; 26.9)  down 8.8, 12 (19; 17.3)  head 293, 305 (370; 337). Outcome: not yet measured.
#pragma once

#include "linear.cuh"
#include "tensor_copies.cuh"
#include "wgmma.cuh"

constexpr int STREAM_TILE_ROWS = 256; // at most
constexpr int STREAM_THREADS = 2 * STREAM_TILE_ROWS + 2 * WARP;

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

constexpr int STREAM_STAGES = 32; // at most
constexpr int PANEL_ROW = PANEL * int(sizeof(bf16));
constexpr int GROUP_WARPS = WARPGROUP / WARP;
constexpr int GROUP_ROWS = 64; // of a warpgroup's product

struct StreamBarriers {
    Barrier full[STREAM_STAGES];   // weights and x have come
    Barrier empty[STREAM_STAGES];  // this block has read the place
    Barrier everywhere[STREAM_STAGES]; // all blocks of the cluster have; of the places for which this block copies x
};

/** What a block does. */
template <int ROWS, int PAIR> struct StreamWork {
    int cluster, rank;
    int plane, block, blocks, rounds; // tiles block, block + blocks, ..
    int first, panels;                // panels of the plane
    int tileRows, groups, depth, stages, stageBytes;

    __device__ __forceinline__ StreamWork(int units, int I, int planes, int tileRows, int depth, int dynamicBytes)
        : cluster(cluster_blocks()), rank(cluster_rank()), tileRows(tileRows), depth(depth) {
        const int all = (I + PANEL - 1) / PANEL, tiles = (units * PAIR + tileRows - 1) / tileRows;
        blocks = gridDim.x / planes;
        plane = blockIdx.x / blocks;
        block = blockIdx.x % blocks;
        first = all * plane / planes;
        panels = all * (plane + 1) / planes - first;
        // As many as the first block of the cluster has, for they go along the ring together; what lies beyond the last row is zeros.
        rounds = max(1, (tiles - (block - rank) + blocks - 1) / blocks);
        groups = (tileRows + GROUP_ROWS - 1) / GROUP_ROWS;
        stageBytes = depth * (tileRows + ROWS) * PANEL_ROW;
        stages = min(STREAM_STAGES, (dynamicBytes - PANEL_ALIGNMENT - (groups * GROUP_ROWS - tileRows) * PANEL_ROW) / stageBytes);
        if (stages < 2 || panels < 1 || tileRows % 8 != 0 || blocks % cluster != 0 || int(blockDim.x) != groups * WARPGROUP + 2 * WARP) {
            __trap(); // not launched as above
        }
    }

    /** Calls visit(tile, panel, how many, place, phase to be waited for) for each stage in the order of the ring. */
    template <class Visit> __device__ __forceinline__ void walk(Visit visit) const {
        int place = 0, phase = 1;
        for (int round = 0; round < rounds; round++) {
            for (int done = 0; done < panels; done += depth) {
                visit(block + round * blocks, first + done, min(depth, panels - done), place, phase);
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
    work.walk([&](int tile, int panel, int count, int place, int phase) {
        await(barriers.empty + place, phase);
        arrive_expecting(barriers.full + place, count * (work.tileRows + ROWS) * PANEL_ROW);
        for (int p = 0; p < count; p++) {
            const unsigned to = memory + place * work.stageBytes + p * work.tileRows * PANEL_ROW;
            if constexpr (PAIR == 2) {
                copy_box_4d(to, w, (panel + p) * PANEL, tile * (work.tileRows / 8), barriers.full + place, policy);
            } else {
                copy_box(to, w, (panel + p) * PANEL, tile * work.tileRows, barriers.full + place, policy);
            }
        }
    });
}

/** One thread: x for all blocks of the cluster, in this block's places. */
template <int ROWS, int PAIR>
__device__ __forceinline__ void fetch_x(const StreamWork<ROWS, PAIR>& work, StreamBarriers& barriers, unsigned memory, const CUtensorMap& x) {
    work.walk([&](int, int panel, int count, int place, int phase) {
        if (place % work.cluster != work.rank) {
            return;
        }
        await(barriers.everywhere + place, phase);
        for (int p = 0; p < count; p++) {
            const unsigned to = memory + place * work.stageBytes + (work.depth * work.tileRows + p * ROWS) * PANEL_ROW;
            if (work.cluster == 1) {
                copy_box(to, x, (panel + p) * PANEL, 0, barriers.full + place);
            } else {
                copy_box_to_all(to, x, (panel + p) * PANEL, 0, barriers.full + place, work.cluster);
            }
        }
    });
}

/** Hands a warp's sums to the output: rows row0 .. row0 + 15 of the tile, of which `rows` exist, the first units of the tile's being `unit0`. */
template <int ROWS, class Output>
__device__ __forceinline__ void finish_stream(const float (&sums)[ROWS / 8][4], const Output& output, const float2 (&bias)[2], int row0, int rows,
                                              int unit0, int units, int live) {
    const int lane = threadIdx.x % WARP, row = row0 + lane / 4;
    if constexpr (Output::PAIR == 2) { // lanes 0-15 have gates, 16-31 the ups, of eight rows and the next eight: the halves trade one of each
        const bool gates = lane < WARP / 2;
        const int unit = unit0 + row0 / 2 + lane / 4;
        const bool mine = row0 / 2 + lane / 4 < rows / 2 && unit < units;
#pragma unroll
        for (int t = 0; t < ROWS / 8; t++) {
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
                for (int e = 0; e < 2; e++) {
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

/** A warp that multiplies; it has arrived at the cluster's last barrier when it returns. */
template <int ROWS, class Output>
__device__ __forceinline__ void multiply_stream(const StreamWork<ROWS, Output::PAIR>& work, StreamBarriers& barriers, const unsigned char* memory,
                                                const int* count, int from, int limit, const Output& output, int units) {
    constexpr int PAIR = Output::PAIR;
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, row0 = warp * 16;
    const unsigned long long weights = descriptor(reinterpret_cast<const bf16*>(memory + warp / GROUP_WARPS * GROUP_ROWS * PANEL_ROW), 16);
    const unsigned long long xs = descriptor(reinterpret_cast<const bf16*>(memory + work.depth * work.tileRows * PANEL_ROW), 16);
    auto release = [&](int place) {
        if (lane == 0) {
            arrive(barriers.empty + place);
            arrive_at(barriers.everywhere + place, place % work.cluster);
        }
        __syncwarp(); // see barriers.cuh
    };
    float sums[ROWS / 8][4];
    int place = 0, phase = 0, live = 0;
    for (int round = 0; round < work.rounds; round++) {
        const int unit0 = (work.block + round * work.blocks) * (work.tileRows / PAIR), unit = unit0 + row0 / PAIR + lane / 4;
        const float2 bias[2] = {unit < units ? output.ahead(unit) : float2{0, 0},
                                PAIR == 1 && unit + 8 < units ? output.ahead(unit + 8) : float2{0, 0}};
        int before = -1; // the place whose products may still be under way
        for (int done = 0; done < work.panels; done += work.depth) {
            await(barriers.full + place, phase);
            begin_products();
            multiply_panel<ROWS>(sums, weights + unsigned(place * work.stageBytes) / 16, xs + unsigned(place * work.stageBytes) / 16, done > 0);
            if (done + 1 < work.panels && work.depth == 2) {
                multiply_panel<ROWS>(sums, weights + unsigned(place * work.stageBytes + work.tileRows * PANEL_ROW) / 16,
                                     xs + unsigned(place * work.stageBytes + ROWS * PANEL_ROW) / 16, true);
            }
            commit_products();
            await_older_products<1>();
            if (before >= 0) {
                release(before);
            }
            before = place;
            if (++place == work.stages) {
                place = 0, phase ^= 1;
            }
        }
        await_products<0>(sums);
        release(before);
        if (round == 0) {
            pdl_wait(); // long over: x has come
            live = min(live_rows(count, from, limit), ROWS);
        }
        if (round + 1 == work.rounds) {
            __syncwarp();
            arrive_cluster(); // nothing more comes from here to other blocks, nor to here
        }
        finish_stream<ROWS>(sums, output, bias, row0, work.tileRows, unit0, units, live);
    }
}

/** out of x w^T for up to ROWS rows. `units` outputs a row of x; w has units * PAIR rows of I. */
template <int ROWS, class Output>
__device__ __forceinline__ void product_stream(const CUtensorMap& w, const CUtensorMap& x, const int* count, int from, int limit, const Output& all,
                                               int units, int I, int planes, int tileRows, int depth) {
    extern __shared__ __align__(128) unsigned char dynamic[];
    __shared__ StreamBarriers barriers;
    pdl_launch_dependents();
    const StreamWork<ROWS, Output::PAIR> work(units, I, planes, tileRows, depth, int(dynamic_shared_bytes()));
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, multiplying = work.groups * GROUP_WARPS;
    const unsigned char* memory = reinterpret_cast<const unsigned char*>(aligned_panels(dynamic)); // at the same address in all blocks
    if (warp == multiplying) {
        static_assert(STREAM_STAGES == WARP, "a lane a place of the ring");
        if (lane < work.stages) {
            open_barrier(barriers.full + lane, 1);
            open_barrier(barriers.empty + lane, multiplying);
            open_barrier(barriers.everywhere + lane, multiplying * work.cluster);
        }
        show_barriers();
        if (lane == 0) {
            prefetch_map(w);
        }
    } else if (warp > multiplying && lane == 0) {
        prefetch_map(x);
    }
    __syncwarp();
    arrive_cluster();
    if (warp < multiplying) {
        await_cluster();
        multiply_stream<ROWS>(work, barriers, memory, count, from, limit, all.at(work.plane), units);
    } else if (warp == multiplying) {
        if (work.cluster == 1) { // the barrier of a block alone lets nobody through before all wait
            await_cluster();
        }
        if (lane == 0) { // its own barriers are there, and nobody else's concern it
            fetch_weights(work, barriers, shared_address(memory), w);
        }
        __syncwarp();
        if (work.cluster > 1) {
            await_cluster();
        }
        arrive_cluster();
    } else {
        await_cluster();
        if (lane == 0) {
            pdl_wait();
            show_written();
            fetch_x(work, barriers, shared_address(memory), x);
        }
        __syncwarp();
        arrive_cluster();
    }
    await_cluster(); // no block goes while another may still write or arrive here
}

#endif
