// Depthwise causal convolution of a prefill step, and the rows that the next step needs.
//
//   out[t, e] = bias[e] + sum_k taps[k, e] x[t - (C - 1) + k, e]; rows before the sequence's first row of the step come from `state`
//   [slots (C - 1), E] (oldest first); rows before position 0 count as zero. Afterwards the state holds the last C - 1 rows.
//
//   causal_conv_T(Step, x, xStride, taps [C, E], bias [E], state, out, outStride, E, C)   out is not x
//     grid = (ceil(E / 512), ceil(maxRows / 16)), block = 128
//   causal_conv_state_T(Step, x, xStride, state, E, C)   after causal_conv_T
//     grid = (ceil(E / 256), maxSequences), block = 256
//
// A thread walks 16 rows of four channels with the last C - 1 rows in registers (C = 4; other C read each row C times, from L2).
// Bytes: 2 sizeof(T) an element, plus 3 rows in 16 again from L2. Floor, H100, T = 8192, E = 2560, bf16: 84 MB, 30 us.
// Prediction: 0.8 of copy bandwidth.

#include "prefill.cuh"

namespace {

constexpr int ROWS = 16;
constexpr int GROUP = 4;      // channels of a thread
constexpr int THREADS = 128;
constexpr int PREFETCH = 4;   // rows loaded together

template <class T> struct Conv {
    const T* x;
    const float* taps;
    const float* bias;
    const T* state;
    T* out;
    int xStride, outStride, width, count;
};

/** Row `row` of channel e as the convolution sees it from the sequence that begins at row `start`: of the step, or of the state. */
template <class T> __device__ const T* source(const Conv<T>& c, int row, int start, int slot, int e) {
    int history = c.count - 1;
    return row >= start ? c.x + (size_t) row * c.xStride + e : c.state + ((size_t) slot * history + history - (start - row)) * c.width + e;
}

/** Four channels by one access. */
__device__ __forceinline__ float4 load4(const float* p) {
    return __ldcg((const float4*) p);
}

__device__ __forceinline__ float4 load4(const bf16* p) {
    uint2 v = __ldcg((const uint2*) p);
    return {low_half(v.x), high_half(v.x), low_half(v.y), high_half(v.y)};
}

__device__ __forceinline__ void store4(float* p, float4 v) {
    *(float4*) p = v;
}

__device__ __forceinline__ void store4(bf16* p, float4 v) {
    *(uint2*) p = {pack_pair(v.x, v.y), pack_pair(v.z, v.w)};
}

__device__ __forceinline__ float4 multiply_add(float4 a, float4 b, float4 c) {
    return {fmaf(a.x, b.x, c.x), fmaf(a.y, b.y, c.y), fmaf(a.z, b.z, c.z), fmaf(a.w, b.w, c.w)};
}

/** C = 4, four channels from e, rows [from, to). */
template <class T> __device__ void convolve4(const Step& step, const Conv<T>& c, int from, int to, int e) {
    const float4 none = {0, 0, 0, 0};
    float4 bias = __ldg((const float4*) (c.bias + e));
    float4 taps[4], past[3] = {none, none, none};   // past[b]: b + 1 rows back
#pragma unroll
    for (int k = 0; k < 4; k++) {
        taps[k] = __ldg((const float4*) (c.taps + (size_t) k * c.width + e));
    }
    for (int t0 = from; t0 < to; t0 += PREFETCH) {
        float4 rows[PREFETCH];
#pragma unroll
        for (int i = 0; i < PREFETCH; i++) {
            rows[i] = load4(c.x + (size_t) min(t0 + i, to - 1) * c.xStride + e);
        }
#pragma unroll
        for (int i = 0; i < PREFETCH; i++) {
            int t = t0 + i;
            if (t >= to) {
                break;
            }
            int q = step.rowSequence[t], start = step.rowStarts[q], position = step.positions[t];
            if (t == from || t == start) {
#pragma unroll
                for (int b = 0; b < 3; b++) {
                    past[b] = b < position ? load4(source(c, t - 1 - b, start, step.slots[q], e)) : none;
                }
            }
            float4 sum = bias;
#pragma unroll
            for (int b = 2; b >= 0; b--) {
                sum = multiply_add(taps[2 - b], b < position ? past[b] : none, sum);
            }
            store4(c.out + (size_t) t * c.outStride + e, multiply_add(taps[3], rows[i], sum));
            past[2] = past[1];
            past[1] = past[0];
            past[0] = rows[i];
        }
    }
}

/** Any C, one channel. */
template <class T> __device__ void convolve(const Step& step, const Conv<T>& c, int from, int to, int e) {
    for (int t = from; t < to; t++) {
        int q = step.rowSequence[t], start = step.rowStarts[q], position = step.positions[t];
        float sum = c.bias[e];
        for (int k = 0; k < c.count; k++) {
            int back = c.count - 1 - k;
            if (back <= position) {
                sum = fmaf(c.taps[(size_t) k * c.width + e], load_fresh(source(c, t - back, start, step.slots[q], e)), sum);
            }
        }
        c.out[(size_t) t * c.outStride + e] = from_float<T>(sum);
    }
}

template <class T> __device__ void causal_conv(const Step& step, const Conv<T>& c) {
    pdl_launch_dependents();
    pdl_wait();
    int from = blockIdx.y * ROWS, to = min(from + ROWS, step.rows());
    int e = (blockIdx.x * THREADS + threadIdx.x) * GROUP;
    bool vectors = c.count == 4 && c.width % GROUP == 0 && is_vector(c.x, c.xStride, GROUP) && is_vector(c.out, c.outStride, GROUP)
            && is_vector(c.state, c.width, GROUP) && is_vector(c.taps, c.width, GROUP) && is_vector(c.bias, c.width, GROUP);
    if (from >= to || e >= c.width) {
        return;
    }
    if (vectors) {
        convolve4(step, c, from, to, e);
    } else {
        for (int i = e; i < min(e + GROUP, c.width); i++) {
            convolve(step, c, from, to, i);
        }
    }
}

/** Upwards in place: row k of the new state is row k + rows of the old one, which is read before it is overwritten. */
template <class T> __device__ void keep_last(const Step& step, const T* x, int xStride, T* state, int E, int C) {
    pdl_launch_dependents();
    pdl_wait();
    int e = blockIdx.x * blockDim.x + threadIdx.x, q = blockIdx.y, history = C - 1;
    if (q >= step.sequences() || e >= E) {
        return;
    }
    int start = step.rowStarts[q], last = step.rowStarts[q + 1] - 1, position = step.positions[last];
    T* to = state + (size_t) step.slots[q] * history * E + e;
    for (int k = 0; k < history; k++) {
        int row = last - (history - 1 - k);
        float v = 0;
        if (last - row <= position) {
            v = row >= start ? load_fresh(x + (size_t) row * xStride + e) : load_fresh(to + (size_t) (history - (start - row)) * E);
        }
        to[(size_t) k * E] = from_float<T>(v);
    }
}

} // namespace

#define CAUSAL_CONV(suffix, T)                                                                                                     \
    extern "C" __global__ void __launch_bounds__(THREADS)                                                                          \
    causal_conv_##suffix(Step step, const T* x, int xStride, const float* taps, const float* bias, const T* state, T* out,         \
            int outStride, int E, int C) {                                                                                         \
        causal_conv<T>(step, {x, taps, bias, state, out, xStride, outStride, E, C});                                               \
    }                                                                                                                              \
    extern "C" __global__ void __launch_bounds__(256)                                                                              \
    causal_conv_state_##suffix(Step step, const T* x, int xStride, T* state, int E, int C) {                                       \
        keep_last<T>(step, x, xStride, state, E, C);                                                                               \
    }
FOR_BOTH_TYPES(CAUSAL_CONV)
