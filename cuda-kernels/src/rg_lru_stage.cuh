// What a block of rg_lru.cu has in shared memory, its tiles, and the warp that fills the memory with them. Included by rg_lru.cu only.
#pragma once

#include "rg_lru_gates.cuh"
#include "rg_lru_mail.cuh"

namespace {

constexpr int TILE_ROWS = 128;
template <typename T> constexpr int TILE_CHANNELS = 128 / int(sizeof(T));   // a line of memory
template <typename T> constexpr int LANE_CHANNELS = 4 / int(sizeof(T));
constexpr int WARP_ROWS = 16;
constexpr int WARPS = TILE_ROWS / WARP_ROWS;   // of a group
constexpr int MOST_GROUPS = 2;
constexpr int MOST_STAGES = 3;

template <typename T> struct Scan {
    const T* x;
    const T* gates;
    const float* gateBias;
    const float* decay;
    float* h;
    const T* gelu;
    T* out;
    unsigned long long* handover;
    long long gatePlane;
    int xStride, gateStride, geluStride, outStride, width;
    bool whole;   // rows can be copied 16 bytes at a time
};

/** A tile: `rows` rows from `from` on, channels from `channel` on. No rows: no more tiles for the group. */
struct alignas(16) Tile {
    int from, rows, channel, slot;
    bool first, last;                        // of its sequence
    bool end;                                // of the cluster's walk
    bool taken, handed;                      // the carry in comes from the cluster before, the carry out goes to the next
    unsigned resets[TILE_ROWS / WARP];       // a bit a row
};

/** A tile's gates and x, until they are maps. */
template <typename T> struct alignas(128) Stage {
    T rows[3][TILE_ROWS][TILE_CHANNELS<T>];
    float weights[3][TILE_CHANNELS<T>];      // both gates' biases, decay
};

/** A tile's gelu branch, until the output is written. */
template <typename T> struct alignas(128) Branch {
    T rows[TILE_ROWS][TILE_CHANNELS<T>];
};

/** What the warps tell one another. */
template <typename T> struct alignas(128) Control {
    Tile tiles[MOST_STAGES + 1];
    Barrier full[MOST_STAGES + 1], branchFree[MOST_STAGES + 1], stageFree[MOST_STAGES];
    Barrier totalled[MOST_GROUPS], carried[MOST_GROUPS], mailed[MOST_GROUPS];
    float a[MOST_GROUPS][WARPS][TILE_CHANNELS<T>], b[MOST_GROUPS][WARPS][TILE_CHANNELS<T>];   // maps of the warps' rows
    float carries[MOST_GROUPS][WARPS][TILE_CHANNELS<T>];                                      // into the warps' rows
    float mail[MOST_GROUPS][TILE_CHANNELS<T>];                                                // the carry from the tile before
};
constexpr int SHARED_EACH = sizeof(Stage<bf16>) + sizeof(Branch<bf16>);   // a stage more, in either type
constexpr int SHARED_BASE = sizeof(Control<bf16>) + sizeof(Branch<bf16>);
static_assert(SHARED_EACH == 66304 && SHARED_BASE == 29568, "the launch geometry of rg_lru.cu");

/** A place in a ring, and the parity of its phase. */
struct Turn {
    int at, parity;

    __device__ __forceinline__ void advance(int by, int length) {
        at += by;
        if (at >= length) {
            at -= length;
            parity ^= 1;
        }
    }
};

/** The shared memory of a block: its tile k has stage k % stages and branch k % (stages + 1), and group k % groups works on it. */
template <typename T> struct Room {
    Control<T>* control;
    Branch<T>* branches;
    Stage<T>* stages;
    int stageCount, groups;
    int blocks, rank;   // of the cluster, in it
    unsigned long long* handover;

    /** What this cluster leaves for the next, and what the one before leaves for it: a carry for each channel of a tile. */
    __device__ __forceinline__ unsigned long long* after() const { return handover + blockIdx.x / blocks * TILE_CHANNELS<T>; }
    __device__ __forceinline__ unsigned long long* before() const { return after() - TILE_CHANNELS<T>; }

    /** All threads of the cluster call. */
    __device__ __forceinline__ void open(unsigned char* memory, unsigned long long* words) {
        handover = words;
        groups = blockDim.x / WARP / (WARPS + 1);
        blocks = cluster_blocks();
        rank = cluster_rank();
        stageCount = min(MOST_STAGES, ((int) dynamic_shared_bytes() - SHARED_BASE) / SHARED_EACH);
        if (groups < 1 || groups > MOST_GROUPS || stageCount < groups) {
            __trap();   // launched with another geometry
        }
        control = (Control<T>*) memory;
        branches = (Branch<T>*) (control + 1);
        stages = (Stage<T>*) (branches + stageCount + 1);
        if (threadIdx.x == 0) {
            for (int i = 0; i <= MOST_STAGES; i++) {
                open_barrier(&control->full[i], 2 * WARP);
                open_barrier(&control->branchFree[i], WARPS * WARP_ARRIVALS);
            }
            for (int i = 0; i < MOST_STAGES; i++) {
                open_barrier(&control->stageFree[i], WARPS * WARP_ARRIVALS);
            }
            for (int i = 0; i < MOST_GROUPS; i++) {
                open_barrier(&control->totalled[i], WARPS * WARP_ARRIVALS);
                open_barrier(&control->carried[i], WARP_ARRIVALS);
                open_barrier(&control->mailed[i], mail_arrivals(blocks == 1));
            }
            show_barriers();
        }
        arrive_cluster();
        await_cluster();
    }
};

/**
 * A block's way over the tiles of its cluster. All tiles, channel tile after channel tile and in each the sequences' chunks, are cut into equal
 * ranges, one a cluster. Where a range begins inside a channel tile, the cluster needs the carry of the one before: so each goes first over
 * the channel tile that its range begins but does not end, then over those that it has whole, and last over the one whose end it has. If there
 * are no more clusters than channel tiles, the carry has then long been handed over.
 */
struct Walk {
    int begin, end;              // the cluster's range
    int headFrom, head, whole;   // where the channel tile begins that others end, tiles of it in the range, tiles of whole channel tiles
    int count;                   // tiles of a channel tile
    int index, blocks;           // the block's next tile in the cluster's walk; from one to the next
    int across, sequence, before;   // channel tile of the last one, its sequence, and the tiles of the sequences before that

    __device__ __forceinline__ Walk(const Step& step, int channelTiles, int cluster, int clusters, int rank, int blocks)
        : count(0), index(rank), blocks(blocks), across(-1), sequence(0), before(0) {
        for (int q = threadIdx.x % WARP; q < step.counts[1]; q += WARP) {
            count += chunks(step, q);
        }
        count = __reduce_add_sync(ALL_LANES, count);
        long long all = (long long) channelTiles * count, share = (all + clusters - 1) / clusters;
        begin = (int) min(all, cluster * share), end = (int) min(all, (cluster + 1) * share);
        head = whole = 0, headFrom = end;
        if (begin < end && begin / count != (end - 1) / count) {
            headFrom = end / count * count;
            head = end - headFrom;
            whole = headFrom - (begin + count - 1) / count * count;
        }
    }

    static __device__ __forceinline__ int chunks(const Step& step, int q) {
        return (step.rowStarts[q + 1] - step.rowStarts[q] + TILE_ROWS - 1) / TILE_ROWS;
    }

    /** The n-th tile of the cluster's walk, in the order of all. */
    __device__ __forceinline__ int place(int n) const {
        return n < head ? headFrom + n : n < head + whole ? headFrom - whole + (n - head) : begin + (n - head - whole);
    }

    /** The block's next tile, without resets; one without rows when there are no more. */
    template <typename T> __device__ __forceinline__ Tile next(const Step& step) {
        int n = index, tiles = end - begin;
        if (n >= tiles) {
            return {};
        }
        index += blocks;
        int at = place(n), chunk = at % count;
        if (at / count != across) {
            across = at / count, sequence = 0, before = 0;
        }
        while (chunk >= before + chunks(step, sequence)) {
            before += chunks(step, sequence++);
        }
        int start = step.rowStarts[sequence], stop = step.rowStarts[sequence + 1];
        Tile tile;
        tile.from = start + (chunk - before) * TILE_ROWS;
        tile.rows = min(stop - tile.from, TILE_ROWS);
        tile.channel = across * TILE_CHANNELS<T>;
        tile.slot = step.slots[sequence];
        tile.first = chunk == before;
        tile.last = tile.from + tile.rows == stop;
        tile.end = n == tiles - 1;
        tile.taken = at == begin && !tile.first;
        tile.handed = at == end - 1 && !tile.last;
        return tile;
    }
};

/** Copies a tile of one operand; zeros where there is no row or channel. */
template <typename T>
__device__ __forceinline__ void fill_rows(T (*to)[TILE_CHANNELS<T>], const T* base, int stride, const Tile& tile, const Scan<T>& s) {
    int lane = threadIdx.x % WARP;
    if (!s.whole) {
        for (int at = lane; at < TILE_ROWS * TILE_CHANNELS<T>; at += WARP) {
            int row = at / TILE_CHANNELS<T>, column = at % TILE_CHANNELS<T>;
            bool valid = row < tile.rows && tile.channel + column < s.width;
            to[row][column] = from_float<T>(valid ? load_fresh(base + (size_t) (tile.from + row) * stride + tile.channel + column) : 0.0f);
        }
        return;
    }
    constexpr int ACROSS = TILE_CHANNELS<T> / PER16<T>, PASS_ROWS = WARP / ACROSS;
    int row = lane / ACROSS, column = lane % ACROSS * PER16<T>;
    const T* source = base + (size_t) (tile.from + row) * stride + tile.channel + column;
    bool live = tile.channel + column < s.width;
    if (tile.rows == TILE_ROWS && tile.channel + TILE_CHANNELS<T> <= s.width) {
#pragma unroll
        for (int pass = 0; pass < TILE_ROWS / PASS_ROWS; pass++, source += PASS_ROWS * stride) {
            copy_async(&to[row + pass * PASS_ROWS][column], source);
        }
    } else {
#pragma unroll 2
        for (int pass = 0; pass < TILE_ROWS / PASS_ROWS; pass++) {
            bool valid = live && row + pass * PASS_ROWS < tile.rows;   // where not, nothing is read, but the address is a good one
            copy_async(&to[row + pass * PASS_ROWS][column], valid ? source + (size_t) (pass * PASS_ROWS) * stride : base, valid);
        }
    }
}

/** Copies a weight, or zero where there is no channel: what is not there shares a reciprocal with its neighbour. */
__device__ __forceinline__ void copy_weight(float* shared, const float* global, bool valid) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(shared)), "l"(global), "r"(valid ? 4 : 0) : "memory");
}

template <typename T> __device__ __forceinline__ void fill_weights(Stage<T>& stage, const Scan<T>& s, int channel) {
#pragma unroll
    for (int column = threadIdx.x % WARP; column < TILE_CHANNELS<T>; column += WARP) {
        bool valid = channel + column < s.width;
        int at = valid ? channel + column : 0;
        copy_weight(&stage.weights[0][column], s.gateBias + at, valid);
        copy_weight(&stage.weights[1][column], s.gateBias + s.width + at, valid);
        copy_weight(&stage.weights[2][column], s.decay + at, valid);
    }
}

/** The filling warp: fills what is free with the block's tiles. */
template <typename T> __device__ __forceinline__ void fill(const Step& step, const Scan<T>& s, const Room<T>& room) {
    int lane = threadIdx.x % WARP;
    int channelTiles = (s.width + TILE_CHANNELS<T> - 1) / TILE_CHANNELS<T>;
    Walk walk(step, channelTiles, blockIdx.x / room.blocks, gridDim.x / room.blocks, room.rank, room.blocks);
    Turn stageTurn = {0, 1}, branchTurn = {0, 1};   // what is fresh is free
    for (int ends = 0; ends < room.groups;) {
        Tile tile = walk.next<T>(step);
        int positions[TILE_ROWS / WARP];
#pragma unroll
        for (int i = 0; i < TILE_ROWS / WARP; i++) {   // they come while the warp waits and copies
            int row = i * WARP + lane;
            positions[i] = row < tile.rows ? step.positions[tile.from + row] : 1;
        }
        await(&room.control->stageFree[stageTurn.at], stageTurn.parity);
        if (tile.rows > 0) {
            Stage<T>& stage = room.stages[stageTurn.at];
            fill_weights(stage, s, tile.channel);
            fill_rows(stage.rows[0], s.gates, s.gateStride, tile, s);
            fill_rows(stage.rows[1], s.gates + s.gatePlane, s.gateStride, tile, s);
            fill_rows(stage.rows[2], s.x, s.xStride, tile, s);
        } else {
            ends++;   // each group gets one
        }
        await(&room.control->branchFree[branchTurn.at], branchTurn.parity);   // later than the stage, for it waits for a carry
        if (tile.rows > 0 && s.gelu != nullptr) {
            fill_rows(room.branches[branchTurn.at].rows, s.gelu, s.geluStride, tile, s);
        }
#pragma unroll
        for (int i = 0; i < TILE_ROWS / WARP; i++) {
            tile.resets[i] = __ballot_sync(ALL_LANES, positions[i] == 0);
        }
        if (lane == 0) {
            room.control->tiles[branchTurn.at] = tile;
        }
        arrive_with_copies(&room.control->full[branchTurn.at]);
        arrive(&room.control->full[branchTurn.at]);
        stageTurn.advance(1, room.stageCount);
        branchTurn.advance(1, room.stageCount + 1);
    }
}

} // namespace
