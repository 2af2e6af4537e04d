// What the forms of recurrence.cu share: arguments, the arithmetic of one channel, the count of a head's blocks.
#pragma once

#include "common.cuh"

constexpr int CHANNELS = 16; // of a block: two a warp
constexpr int RECURRENCE_THREADS = 256;
constexpr int FAST_WIDTH = 256; // gate block width of the released models
constexpr int FAST_TAPS = 4;
constexpr int SLICES = FAST_WIDTH / CHANNELS; // blocks of a head

template <class T> struct Recurrence {
    Step step;
    const T* xy;
    int xyStride;
    const float *taps, *convBias;
    T* convState;
    const T* gates;
    const float *gateBias, *decay;
    float* h;
    T* out;
    int outStride;
    int* arrivals;
    int E, C, G;
};

/** What a channel's gates add to their sums, and its decay. */
struct GateConstants {
    float inputBias, decayBias, decay;
};

template <class T> __device__ __forceinline__ GateConstants gate_constants(const Recurrence<T>& a, int e) {
    return {__ldg(a.gateBias + e), __ldg(a.gateBias + a.E + e), __ldg(a.decay + e)};
}

/** The new h of channel e, from the sums of its gates; writes h and out. */
template <class T>
__device__ __forceinline__ void recur(const Recurrence<T>& a, int q, int slot, bool reset, int e, float c, float inputSum, float decaySum,
                                      const GateConstants& constants, float before, float y) {
    float input = sigmoid(inputSum + constants.inputBias);
    float r = sigmoid(decaySum + constants.decayBias);
    float logA = constants.decay * r;
    float keep = reset ? 0.0f : expf(logA);
    float gain = reset ? 1.0f : sqrtf(-expm1f(2.0f * logA));
    float after = reset ? input * c : keep * before + gain * input * c;
    a.h[size_t(slot) * a.E + e] = after;
    a.out[size_t(q) * a.outStride + e] = from_float<T>(after * gelu_tanh(y));
}

/**
 * Counts this block in for SEQUENCES counters, `stride` apart, of which `live` exist; bit s: whether it is the last of its head for the
 * s-th. Called by all threads after all have read the head's state.
 */
template <int SEQUENCES = 1> __device__ __forceinline__ unsigned last_to_arrive(int* counter, int stride, int blocks, int live = 1) {
    __shared__ unsigned last;
    if (threadIdx.x < WARP) {
        bool mine = false;
        if (int(threadIdx.x) < live) {
            int* c = counter + threadIdx.x * stride;
            __threadfence();
            mine = atomicAdd(c, 1) == blocks - 1;
            if (mine) {
                *c = 0;
            }
        }
        const unsigned all = __ballot_sync(~0u, mine);
        if (threadIdx.x == 0) {
            last = all;
        }
    }
    __syncthreads();
    return last;
}
