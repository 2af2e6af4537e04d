// RG-LRU scan

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
    __syncwarp();
    if (threadIdx.x % WARP == 0) {
        arrive(&w.control->totalled[w.group]);
        arrive(w.stageFree);
    }
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
    int lane = threadIdx.x % WARP, offset = (warp * WARP_ROWS * WARP + lane) * 4;
    Turn stageTurn = {group, 0}, branchTurn = {group, 0};
    for (int round = 0;; round ^= 1) {
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

template <typename T> __device__ __forceinline__ void scan(const Step& step, Scan<T> s, float* scratch) {
    extern __shared__ __align__(128) unsigned char dynamic[];
    pdl_launch_dependents();
    Room<T> room;
    room.open(dynamic);
    pdl_wait();
    s.whole = s.width % PER16<T> == 0 && is_whole(s.x, s.xStride) && is_whole(s.gates, s.gateStride) && s.gatePlane % PER16<T> == 0
            && (s.gelu == nullptr || is_whole(s.gelu, s.geluStride)) && is_whole(s.out, s.outStride);
    int warp = threadIdx.x / WARP;
    if (warp < room.groups * WARPS) {
        compute(s, room, warp / WARPS, warp % WARPS);
    } else if (warp < room.groups * (WARPS + 1)) {
        carry(s, room, (Record*) ((char*) scratch + HEADER_BYTES), warp - room.groups * WARPS);
    } else {
        fill(step, s, room, (Counters*) scratch);
    }
}

} // namespace

// 640 threads to the compiler, so that five warps of a scheduler have the registers that they are given
#define SCAN(suffix, T)                                                                                                             \
    extern "C" __global__ void __launch_bounds__(640, 1)                                                                            \
    rg_lru_scan_##suffix(Step step, const T* x, int xStride, const T* gates, int gateStride, long long gatePlane,                   \
            const float* gateBias, const float* decay, float* h, const T* gelu, int geluStride, T* out, int outStride,              \
            float* scratch, int E) {                                                                                                \
        scan<T>(step, {x, gates, gateBias, decay, h, gelu, out, gatePlane, xStride, gateStride, geluStride, outStride, E, false},   \
                scratch);                                                                                                           \
    }
FOR_BOTH_TYPES(SCAN)
