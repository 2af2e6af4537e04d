// What the two engines of window_attention_decode.cu share: arguments, rotary embedding, the ring, partial results and their merge.
#pragma once

#include "common.cuh"

constexpr int ATTENTION_THREADS = 256;
constexpr int ATTENTION_WARPS = ATTENTION_THREADS / WARP;

template <class T> struct Attention {
    Step step;
    const T* qkv;
    int qkvStride;
    T *keys, *values;
    T* out;
    int outStride;
    float* scratch;
    int* arrivals;
    int heads, K, W, rotaryDims;
    float theta;
    int splits;

    /** Partial vectors of a head: [splits, K]. */
    __device__ __forceinline__ float* vectors(int q, int head) const { return scratch + (sequence(q) + size_t(head) * splits * K); }
    /** Partial maxima and sums of a head as a block group saw them: [splits]. */
    __device__ __forceinline__ float2* stats(int q, int group, int head) const {
        const size_t at = size_t(heads) * splits * even() + (size_t(group) * heads + head) * splits * 2;
        return reinterpret_cast<float2*>(scratch + (sequence(q) + at));
    }
    /** K, or one more: pairs stay aligned. */
    __device__ __forceinline__ int even() const { return K + K % 2; }
    /** Where sequence q begins: aligned to 16 bytes. */
    __device__ __forceinline__ size_t sequence(int q) const {
        return size_t(q) * ((size_t(heads) * splits * (even() + 2 * gridDim.y) + 3) / 4 * 4);
    }
};

/** 2^(a - b), since scores are multiplied by LOG2_E, for a <= b, 0 where a is minus infinity, even if b is, too. */
__device__ __forceinline__ float decay_to(float a, float b) { return a == -INFINITY ? 0.0f : exp2f(a - b); }

/** cos and sin of the row's angles, of frequencies theta^(-2 i / rotaryDims) in double; needs no input but the position. */
template <class T> __device__ __forceinline__ void rotary_table(const Attention<T>& a, int position, float2* table) {
    const double step = -2.0 * log2(double(a.theta)) / a.rotaryDims; // pow would do this for every i, and much more
    for (int i = threadIdx.x; i < a.rotaryDims / 2; i += blockDim.x) {
        float frequency = float(exp2(step * i));
        float sine, cosine;
        sincosf(float(position) * frequency, &sine, &cosine);
        table[i] = {cosine, sine};
    }
}

/** Element d of a head after rotation, rounded to T. */
template <class T> __device__ __forceinline__ float rotated(const T* head, int d, int rotaryDims, const float2* table) {
    const int half = rotaryDims / 2;
    float v = load_fresh(head + d);
    if (d < half) {
        v = v * table[d].x - load_fresh(head + d + half) * table[d].y;
    } else if (d < 2 * half) {
        v = v * table[d - half].x + load_fresh(head + d - half) * table[d - half].y;
    }
    return rounded<T>(v);
}

/** Ring rows of split s: [first, last), and whether a row holds a key that position t sees. */
struct RingPart {
    int first, last, position, window;

    __device__ __forceinline__ RingPart(int split, int splits, int t, int W)
        : first(int((long long)W * split / splits)), last(int((long long)W * (split + 1) / splits)), position(t), window(W) {}
    __device__ __forceinline__ bool holds(int row) const { return row < last && (position >= window || row < position); }
    __device__ __forceinline__ bool holds_all(int row, int rows) const { return holds(row + rows - 1); }
    __device__ __forceinline__ bool owns_new_row() const { return position % window >= first && position % window < last; }
};

/** Which of the counters this block was the last to arrive at. */
struct Arrival {
    bool group, ring;
};

/** Counts this block in, at `ring` unless it is null, too; where it is the last, what the others wrote is visible to all its threads. */
__device__ __forceinline__ Arrival arrive(int* group, int splits, int* ring, int groups) {
    __shared__ bool last[2];
    __syncthreads();
    if (threadIdx.x == 0 || (threadIdx.x == WARP && ring != nullptr)) {
        int* counter = threadIdx.x == 0 ? group : ring;
        __threadfence(); // of what the whole block wrote before the barrier
        const bool mine = atomicAdd(counter, 1) == (threadIdx.x == 0 ? splits : groups) - 1;
        if (mine) {
            *counter = 0;
        }
        __threadfence();
        last[threadIdx.x / WARP] = mine;
    }
    __syncthreads();
    return {last[0], ring != nullptr && last[1]};
}

/**
 * Of `heads` heads: weights 2^(the split's maximum - the largest) in stats[h, split].x, and scale[h] = 1 / the sum; both shared. A warp a
 * head, so the sum has a fixed order.
 */
template <class T>
__device__ __forceinline__ void merge_weights(const Attention<T>& a, int q, int group, int firstHead, int heads, float2* stats,
                                              float* scale) {
    for (int h = threadIdx.x / WARP; h < heads; h += ATTENTION_WARPS) {
        const float2* from = a.stats(q, group, firstHead + h);
        float2* to = stats + h * a.splits;
        float max = -INFINITY, sum = 0;
        for (int s = threadIdx.x % WARP; s < a.splits; s += WARP) {
            to[s] = __ldcg(from + s);
            max = fmaxf(max, to[s].x);
        }
        max = warp_max(max);
        for (int s = threadIdx.x % WARP; s < a.splits; s += WARP) { // each lane what it wrote itself
            to[s].x = decay_to(to[s].x, max);
            sum = fmaf(to[s].x, to[s].y, sum);
        }
        sum = warp_sum(sum);
        if (threadIdx.x % WARP == 0) {
            scale[h] = 1.0f / sum;
        }
    }
    __syncthreads();
}
