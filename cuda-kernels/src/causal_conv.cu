// Depthwise causal convolution of a prefill step, and the rows that the next step needs.
//
//   out[t, e] = bias[e] + sum_k taps[k, e] x[t - (C - 1) + k, e]; rows before the sequence's first row of the step come from `state`
//   [slots (C - 1), E] (oldest first); rows before position 0 count as zero. Afterwards the state holds the last C - 1 rows.
//
//   causal_conv_T(Step, x, xStride, taps [C, E], bias [E], state, out, outStride, E, C)   out is not x
//     grid = (ceil(E / 512), M / 16 + S of the step), block = 128
//
// A tile is 16 rows of one sequence, counted from its first row, so only a sequence's first tile sees the state: the thread that reads a
// channel of it is the one that writes it, last of all, and no second launch is needed. (With C > 17 the first tile takes all rows.)
// A thread has four channels of a tile; for C = 4 it asks for all 16 rows at once, so a block waits for memory once.
// Bytes: 2 sizeof(T) an element, plus 3 rows in 16 again from L2. Floor, H100, T = 8192, E = 2560, bf16: 84 MB, 28 us; T = 2048: 7 us.
// Prediction: 0.8 of copy bandwidth at T = 8192, 0.65 at T = 2048. Outcome, H100: 0.76 and 0.52; E = 4096: 0.83 and 0.58.

#include "prefill.cuh"

namespace {

constexpr int ROWS = 16;
constexpr int GROUP = 4;      // channels of a thread
constexpr int THREADS = 128;
constexpr int TAPS = 4;       // of the fast form
template <class T> constexpr int BLOCKS = sizeof(T) == 2 ? 5 : 4;   // on a multiprocessor, as 19 rows in registers allow

template <class T> struct Conv {
    const T* x;
    const float* taps;
    const float* bias;
    T* state;
    T* out;
    int xStride, outStride, width, count;
};

/** Rows [from, to) of a sequence that begins at row `start` and ends before `end`. */
struct Tile {
    int from, to, start, end, slot;

    __device__ bool first() const { return from == start; }
};

/** Row `row` of channel e as the convolution sees it: of the step, or of the state. */
template <class T> __device__ const T* source(const Conv<T>& c, const Tile& t, int row, int e) {
    int history = c.count - 1;
    return row >= t.start ? c.x + (size_t) row * c.xStride + e
                          : c.state + ((size_t) t.slot * history + history - (t.start - row)) * c.width + e;
}

/** Four channels as one access leaves them. */
template <class T> struct Four;

template <> struct Four<float> {
    using Raw = float4;
    static __device__ Raw load(const float* p) { return __ldcg((const float4*) p); }
    static __device__ float4 widen(Raw v) { return v; }
    static __device__ void store(float* p, float4 v) { *(float4*) p = v; }
};

template <> struct Four<bf16> {
    using Raw = uint2;
    static __device__ Raw load(const bf16* p) { return __ldcg((const uint2*) p); }
    static __device__ float4 widen(Raw v) { return {low_half(v.x), high_half(v.x), low_half(v.y), high_half(v.y)}; }
    static __device__ void store(bf16* p, float4 v) { *(uint2*) p = {pack_pair(v.x, v.y), pack_pair(v.z, v.w)}; }
};

__device__ __forceinline__ float4 multiply_add(float4 a, float4 b, float4 c) {
    return {fmaf(a.x, b.x, c.x), fmaf(a.y, b.y, c.y), fmaf(a.z, b.z, c.z), fmaf(a.w, b.w, c.w)};
}

/** C = 4, four channels from e. */
template <class T> __device__ void convolve4(const Step& step, const Conv<T>& c, const Tile& t, int e) {
    using Row = Four<T>;
    constexpr int HISTORY = TAPS - 1;
    const typename Row::Raw none = {};
    typename Row::Raw rows[HISTORY + ROWS];   // rows[i]: row from - HISTORY + i
    int position = step.positions[t.from];
#pragma unroll
    for (int i = 0; i < HISTORY; i++) {
        rows[i] = HISTORY - i <= position ? Row::load(source(c, t, t.from - HISTORY + i, e)) : none;
    }
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        rows[HISTORY + i] = t.from + i < t.to ? Row::load(c.x + (size_t) (t.from + i) * c.xStride + e) : none;
    }
    float4 bias = __ldg((const float4*) (c.bias + e)), taps[TAPS];
#pragma unroll
    for (int k = 0; k < TAPS; k++) {
        taps[k] = __ldg((const float4*) (c.taps + (size_t) k * c.width + e));
    }
#pragma unroll
    for (int i = 1; i < ROWS; i++) {
        position = min(position, step.positions[min(t.from + i, t.to - 1)]);
    }
    bool mends = position < HISTORY;   // some row is near the beginning of its document; all threads of the tile agree
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        if (t.from + i < t.to) {
            int back = mends ? step.positions[t.from + i] : HISTORY;
            float4 sum = bias;
#pragma unroll
            for (int k = 0; k < TAPS; k++) {
                sum = multiply_add(taps[k], Row::widen(HISTORY - k <= back ? rows[i + k] : none), sum);
            }
            Row::store(c.out + (size_t) (t.from + i) * c.outStride + e, sum);
        }
    }
}

/** Any C, one channel. */
template <class T> __device__ void convolve(const Step& step, const Conv<T>& c, const Tile& t, int e) {
    for (int row = t.from; row < t.to; row++) {
        int position = step.positions[row];
        float sum = c.bias[e];
        for (int k = 0; k < c.count; k++) {
            int back = c.count - 1 - k;
            if (back <= position) {
                sum = fmaf(c.taps[(size_t) k * c.width + e], load_fresh(source(c, t, row - back, e)), sum);
            }
        }
        c.out[(size_t) row * c.outStride + e] = from_float<T>(sum);
    }
}

/** Upwards in place: row k of the new state is row k + rows of the old one, which is read before it is overwritten. */
template <class T> __device__ void keep_last(const Step& step, const Conv<T>& c, const Tile& t, int e) {
    int history = c.count - 1, last = t.end - 1, position = step.positions[last];
    T* to = c.state + (size_t) t.slot * history * c.width + e;
    for (int k = 0; k < history; k++) {
        int back = history - 1 - k;
        to[(size_t) k * c.width] = from_float<T>(back <= position ? load_fresh(source(c, t, last - back, e)) : 0);
    }
}

/** The same, four channels at once, all rows asked for before the first is written. */
template <class T> __device__ void keep_last4(const Step& step, const Conv<T>& c, const Tile& t, int e) {
    using Row = Four<T>;
    constexpr int HISTORY = TAPS - 1;
    int last = t.end - 1, position = step.positions[last];
    typename Row::Raw rows[HISTORY];
#pragma unroll
    for (int k = 0; k < HISTORY; k++) {
        int back = HISTORY - 1 - k;
        rows[k] = back <= position ? Row::load(source(c, t, last - back, e)) : typename Row::Raw{};
    }
#pragma unroll
    for (int k = 0; k < HISTORY; k++) {
        *(typename Row::Raw*) (c.state + ((size_t) t.slot * HISTORY + k) * c.width + e) = rows[k];
    }
}

template <class T> __device__ Tile tile_of(const Step& step, const Conv<T>& c, int number) {
    int q = sequence_of(step, number, ROWS, 1), chunk = number - first_tile(step, q, ROWS, 1);
    Tile t;
    t.start = step.rowStarts[q];
    t.end = step.rowStarts[q + 1];
    t.slot = step.slots[q];
    bool whole = c.count - 1 > ROWS;   // other tiles would see the state, too
    t.from = whole && chunk > 0 ? t.end : t.start + chunk * ROWS;
    t.to = whole ? t.end : min(t.from + ROWS, t.end);
    return t;
}

template <class T> __device__ void causal_conv(const Step& step, const Conv<T>& c) {
    pdl_launch_dependents();
    pdl_wait();
    int e = (blockIdx.x * THREADS + threadIdx.x) * GROUP;
    if (step.sequences() == 0 || e >= c.width) {
        return;
    }
    Tile t = tile_of(step, c, blockIdx.y);
    if (t.from >= t.to) {
        return;
    }
    if (c.count == TAPS && c.width % GROUP == 0 && is_vector(c.x, c.xStride, GROUP) && is_vector(c.out, c.outStride, GROUP)
            && is_vector(c.state, c.width, GROUP) && is_vector(c.taps, c.width, GROUP) && is_vector(c.bias, c.width, GROUP)) {
        convolve4(step, c, t, e);
        if (t.first()) {
            keep_last4(step, c, t, e);
        }
        return;
    }
    for (int i = e; i < min(e + GROUP, c.width); i++) {
        convolve(step, c, t, i);
        if (t.first()) {
            keep_last(step, c, t, i);
        }
    }
}

} // namespace

#define CAUSAL_CONV(suffix, T)                                                                                                     \
    extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS<T>)                                                               \
    causal_conv_##suffix(Step step, const T* x, int xStride, const float* taps, const float* bias, T* state, T* out,               \
            int outStride, int E, int C) {                                                                                         \
        causal_conv<T>(step, {x, taps, bias, state, out, xStride, outStride, E, C});                                               \
    }
FOR_BOTH_TYPES(CAUSAL_CONV)
