// RG-LRU scan of a prefill step, gates and gelu branch fused (their products: gemm_wgmma.cu, cuBLASLt or gemm.cu):
//
//   i = sigmoid(gates[0][t, e] + gateBias[e]),  r = sigmoid(gates[1][t, e] + gateBias[E + e])
//   log a = decay[e] r,  g = sqrt(-expm1(2 log a)),  h_t = a h_(t-1) + g i x[t, e];  at position 0: a = 0, g = 1
//   out[t, e] = h_t gelu(y[t, e])   (without a gelu branch: h_t)
//
// One pass over a chain of tiles. A tile is TILE_ROWS rows of one sequence (counted from the sequence's first row of the step) times as many
// channels as fill a 128-byte line, so that every access is of whole lines. All tiles, tile of channels by tile of channels and in each the
// sequences' chunks, are cut into equal ranges, one a thread block cluster of R blocks (Walk: in which order it goes over its range). Tile n of
// its walk belongs to block n % R, in there to group n / R % groups: nothing is drawn, and nothing looked for.
// A block's warps have three parts:
// - One fills (rg_lru_stage.cuh): it copies the block's tiles into a ring in shared memory, ahead of use.
// - Two groups of WARPS compute, tile by tile in turn: a thread turns WARP_ROWS rows of its channels into maps h -> a h + b in registers;
//   the warp's composed map goes to shared memory, and the stage back to the filling warp. When the carry into its rows is known, the warp
//   writes its outputs. Its threads need no others than themselves for that: no shuffles, and no barrier of the group.
// - Each group has one that carries (rg_lru_carry.cuh): it composes the tile's map, waits for the carry in, and sends the carry out to the
//   block and group of the next tile, straight into their shared memory; then it tells the group's warps theirs. Where a range ends inside a
//   tile of channels, the carry goes to the next cluster through a word of global memory a channel: the cluster that began a tile of channels
//   did so first of all, and the one that ends it does so last.
// They hand on through barriers in shared memory (barriers.cuh) alone.
//
// From tile to tile of a sequence, with the tile's map (A = prod a, B = h from zero), the carry is
//   carry_(c+1) = A_c carry_c + B_c, one fma a chunk, in the order of the chunks.
// So the bits do not depend on R, grid, stages, T or batch; a step cut at multiples of TILE_ROWS gives the bits of one shot.
//
// Waiting cannot deadlock: a cluster's blocks run together, and each works its tiles off in the order of the walk; the lowest tile of a walk
// that is not done waits for nothing but the cluster before, which was launched before. A word of another cluster that does not come within
// seconds is a mistake in the launch: the kernel traps.
//
// Below compute capability 9.0, R = 1: the chain stays in a block. At E = 2560, 40 blocks work: 25 GB/s each saturate an RTX 4090, which they
// reach (estimate: 20 to 30, one group), and 39 to 50 an A100 (35, two groups).
//
//   rg_lru_scan_T(Step, x, xStride, gates, gateStride, gatePlane, gateBias [2E], decay [E], h [slots, E], gelu|null, geluStride,
//                 out, outStride, handover, E)
//   gates: two planes [M, E], gatePlane elements apart. h: float, in and out. out may be x or gelu, not gates.
//   handover: a word of 8 bytes for each channel of a tile and cluster, zero before the first launch and after every launch
//   grid: R times the number of clusters, any; from 9.0 on launched with cluster dimension R when R > 1, at most 8. Good: no more clusters than
//     tiles of channels, ceil(E / C), nor than run at once (the driver knows: GPCs differ), and R such that the most blocks work, but not
//     more than there are tiles of rows. C = 64 in bf16, 32 in f32;
//     dynamic shared memory = 29568 + 66304 N, N = 1 to 3 stages, as many as the device has shared memory for;
//     block = 288 G + 32, G = min(N, 2) groups
//   Rows that are not whole in 16 bytes (E, strides, pointers) are copied element by element, slowly.
//
// Bytes: 10 an element in bf16 (20 in f32).
// Floor, T = 8192, E = 2560: 210 MB, 49 us at the 4.25 TB/s that a copy has on an H200; E = 4096: 79 us. H100, 2.8 TB/s: 75 and 120 us.
// Instructions: about 52 an element, fill and waits included (31 maps, 2 their composition, 13 output), 41 us at T = 8192, E = 2560 on 120
// multiprocessors of 1.75 GHz; special functions: 6 an element, 37 us. 96 registers: five warps of a scheduler, nothing spilled.
// The chain: 64 links of 0.3 to 0.4 us, 20 to 25 us; it is the limit only where tiles take less, as with one row in each.
// Prediction, H200: 56 to 64 us, and 88 to 100 us at E = 4096 (R = 2, 128 blocks): 0.77 to 0.88 of copy; about 20 us at T = 2048.
// Outcome, H200, which runs 30 clusters of four at once, 39 of three, 66 of two: 68.5 us, 0.72 of copy (30 x 4; 39 x 3: 68.7; 40 x 2: 88), and
// 93 us, 0.85, at E = 4096 (64 x 2); T = 16,384: 121 us, 0.81, and 172 us, 0.92; T = 2048: 26 and 32 us, of which about 12 are the first tile's
// way in and the last one's out.
//
// Before, on an H200 (T = 8192, E = 2560), of copy:
// - tiles drawn from a counter, carries looked for among the last four tiles through L2 (decoupled look-back), 132 blocks: 94.8 us, 0.52 (87.7
//   under the profiler); E = 4096: 138.6 us, 0.57; T = 2048: 33 us. Warps that compute waited for the carry for 31 % of their time and for data
//   for 25 %, as stages stay taken while a carry is awaited; 40 % of issue slots were used;
// - the same tiles, a block for each, no copies ahead: 116 us, 0.41: while a block looks back it loads nothing (H100: 0.51, 138 us);
// - strips of 16 channels whose carry stays in the block, copies three chunks ahead: 0.41: L2 is the limit (75 % of its throughput, a 32-byte
//   sector a request), DRAM reads 1.4 to 2 times what is asked for, 67 instructions an element.
// Slower still, H100: 16 warps of 8 rows (0.30), tiles of 64 rows in blocks that stay, the next tile by cp.async into shared memory (0.36:
// twice the links of look-back), gates scaled by log2 e (0.40).

#include "rg_lru_carry.cuh"

namespace {

/** The channels of a lane, of which `live` exist; WHOLE: all, aligned for one access. */
template <bool WHOLE> __device__ __forceinline__ void write(float* to, float v, int live) {
    if (WHOLE || live > 0) {
        *to = v;
    }
}

template <bool WHOLE> __device__ __forceinline__ void write(bf16* to, float2 v, int live) {
    if constexpr (WHOLE) {
        *(unsigned*) to = pack_pair(v.x, v.y);
    } else {
        if (live > 0) to[0] = from_float<bf16>(v.x);
        if (live > 1) to[1] = from_float<bf16>(v.y);
    }
}

/** What a computing warp works on: WARP_ROWS rows of a tile. */
template <typename T> struct Work {
    const unsigned char* rows;     // of gate i in the stage, at the lane's channels
    const unsigned char* branch;
    const float* weights;
    Control<T>* control;
    Barrier *stageFree, *branchFree;
    T* out;
    int outStride;
    bool gelu;
    int group, warp, round;
    unsigned resets;               // a bit a row
    int left, live;                // rows from the first on, channels from the lane's first on
};

/** PLAIN: all rows and channels are there, none is a reset, rows are aligned, and there is a gelu branch. */
template <typename T, bool PLAIN> __device__ __forceinline__ void work_on(const Work<T>& w) {
    using Raw = typename Gate<T>::Raw;
    using Values = typename Gate<T>::Values;
    constexpr int ARRAY = sizeof(Branch<T>), ROW = ARRAY / TILE_ROWS;
    constexpr int CHANNELS = TILE_CHANNELS<T>;
    int at = threadIdx.x % WARP * LANE_CHANNELS<T>;
    Map<Values> maps[WARP_ROWS], total = {Gate<T>::nothing(1), Gate<T>::nothing(0)};
    auto weights = Gate<T>::weights(*(const Values*) w.weights, *(const Values*) (w.weights + CHANNELS), *(const Values*) (w.weights + 2 * CHANNELS));
#pragma unroll
    for (int t = 0; t < WARP_ROWS; t++) {
        Raw i = *(const Raw*) (w.rows + t * ROW), r = *(const Raw*) (w.rows + ARRAY + t * ROW), x = *(const Raw*) (w.rows + 2 * ARRAY + t * ROW);
        bool there = PLAIN || t < w.left;
        maps[t] = Gate<T>::map(i, r, x, weights, !there || (!PLAIN && (w.resets >> t & 1)), there ? __int_as_float(0xff800000) : 0.0f);
        total = t == 0 ? maps[0] : then(total, maps[t]);
    }
    *(Values*) &w.control->a[w.group][w.warp][at] = total.a;
    *(Values*) &w.control->b[w.group][w.warp][at] = total.b;
    arrive_warp(&w.control->totalled[w.group], w.stageFree);
    await(&w.control->carried[w.group], w.round);
    Values v = *(const Values*) &w.control->carries[w.group][w.warp][at];
    T* out = w.out;
#pragma unroll
    for (int t = 0; t < WARP_ROWS; t++, out += w.outStride) {
        v = apply(maps[t], v);
        Values result = v;
        if (PLAIN || w.gelu) {
            result = multiply(v, Gate<T>::gelu(*(const Raw*) (w.branch + t * ROW)));
        }
        if (PLAIN || t < w.left) {
            write<PLAIN>(out, result, w.live);
        }
    }
    arrive_warp(w.branchFree);
}

/** A computing warp: the same rows of every tile of its group. */
template <typename T> __device__ __forceinline__ void compute(const Scan<T>& s, const Room<T>& room, int group, int warp) {
    Turn stageTurn = {group, 0}, branchTurn = {group, 0};
    for (int round = 0;; round ^= 1) {
        int lane = threadIdx.x % WARP, offset = (warp * WARP_ROWS * WARP + lane) * 4;   // in here, or they take registers from the maps
        await(&room.control->full[branchTurn.at], branchTurn.parity);
        const Tile& tile = room.control->tiles[branchTurn.at];
        int rows = tile.rows, channel = tile.channel, from = tile.from + warp * WARP_ROWS;
        if (rows == 0) {
            return;
        }
        const Stage<T>& stage = room.stages[stageTurn.at];
        unsigned resets = tile.resets[warp * WARP_ROWS / WARP] >> warp * WARP_ROWS % WARP & (1u << WARP_ROWS) - 1;
        Work<T> work = {(const unsigned char*) stage.rows + offset, (const unsigned char*) room.branches[branchTurn.at].rows + offset,
                stage.weights[0] + lane * LANE_CHANNELS<T>, room.control, &room.control->stageFree[stageTurn.at],
                &room.control->branchFree[branchTurn.at], s.out + (size_t) from * s.outStride + channel + lane * LANE_CHANNELS<T>, s.outStride,
                s.gelu != nullptr, group, warp, round, resets, rows - warp * WARP_ROWS, s.width - channel - lane * LANE_CHANNELS<T>};
        if (s.whole && s.gelu != nullptr && resets == 0 && work.left >= WARP_ROWS && channel + TILE_CHANNELS<T> <= s.width) {
            work_on<T, true>(work);
        } else {
            work_on<T, false>(work);
        }
        stageTurn.advance(room.groups, room.stageCount);
        branchTurn.advance(room.groups, room.stageCount + 1);
    }
}

/** Whether rows of an operand can be copied 16 bytes at a time. */
template <typename T> __device__ __forceinline__ bool is_whole(const T* base, long long stride) {
    return is_vector(base, stride, PER16<T>);
}

template <typename T> __device__ __forceinline__ void scan(const Step& step, Scan<T> s) {
    extern __shared__ __align__(128) unsigned char dynamic[];
    pdl_launch_dependents();
    Room<T> room;
    room.open(dynamic, s.handover);
    pdl_wait();
    s.whole = s.width % PER16<T> == 0 && is_whole(s.x, s.xStride) && is_whole(s.gates, s.gateStride) && s.gatePlane % PER16<T> == 0
            && (s.gelu == nullptr || is_whole(s.gelu, s.geluStride)) && is_whole(s.out, s.outStride);
    int warp = threadIdx.x / WARP;
    if (warp < room.groups * WARPS) {
        compute(s, room, warp / WARPS, warp % WARPS);
    } else if (warp < room.groups * (WARPS + 1)) {
        carry(s, room, warp - room.groups * WARPS);
    } else {
        fill(step, s, room);
    }
    __syncwarp();
    arrive_cluster();
    await_cluster();   // no block's shared memory goes while another may write into it
}

} // namespace

// 640 threads to the compiler, so that five warps of a scheduler have the registers that they are given
#define SCAN(suffix, T)                                                                                                             \
    extern "C" __global__ void __launch_bounds__(640, 1)                                                                            \
    rg_lru_scan_##suffix(Step step, const T* x, int xStride, const T* gates, int gateStride, long long gatePlane,                   \
            const float* gateBias, const float* decay, float* h, const T* gelu, int geluStride, T* out, int outStride,              \
            unsigned long long* handover, int E) {                                                                                  \
        scan<T>(step, {x, gates, gateBias, decay, h, gelu, out, handover, gatePlane, xStride, gateStride, geluStride, outStride, E, \
                false});                                                                                                            \
    }
FOR_BOTH_TYPES(SCAN)
