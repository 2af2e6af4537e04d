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
    /** Where sequence q begins. */
    __device__ __forceinline__ size_t sequence(int q) const { return size_t(q) * heads * splits * (even() + 2 * gridDim.y); }
};

/** exp(a - b) for a <= b, 0 where a is minus infinity, even if b is, too. */
__device__ __forceinline__ float decay_to(float a, float b) { return a == -INFINITY ? 0.0f : expf(a - b); }

/** cos and sin of the row's angles; needs no input but the position. */
template <class T> __device__ __forceinline__ void rotary_table(const Attention<T>& a, int position, float2* table) {
    for (int i = threadIdx.x; i < a.rotaryDims / 2; i += blockDim.x) {
        float frequency = float(pow(double(a.theta), -2.0 * i / a.rotaryDims));
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
    __device__ __forceinline__ bool owns_new_row() const { return position % window >= first && position % window < last; }
};

/** Counts this block in and tells all its threads whether it is the last; what the others wrote is then visible. */
__device__ __forceinline__ bool arrive_last(int* counter, int blocks) {
    __shared__ bool last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        last = atomicAdd(counter, 1) == blocks - 1;
        if (last) {
            *counter = 0;
        }
    }
    __syncthreads();
    const bool mine = last;
    __threadfence();
    __syncthreads(); // `last` may be written again
    return mine;
}

/** Of `heads` heads: weights exp(the split's maximum - the largest) in stats[h, split].x, and scale[h] = 1 / the sum; both shared. */
template <class T>
__device__ __forceinline__ void merge_weights(const Attention<T>& a, int q, int group, int firstHead, int heads, float2* stats,
                                              float* scale) {
    const float2* from = a.stats(q, group, firstHead); // the heads of a group lie side by side
    for (int i = threadIdx.x; i < heads * a.splits; i += blockDim.x) {
        stats[i] = __ldcg(from + i);
    }
    __syncthreads();
    for (int h = threadIdx.x; h < heads; h += blockDim.x) {
        float max = -INFINITY, sum = 0;
        for (int s = 0; s < a.splits; s++) {
            max = fmaxf(max, stats[h * a.splits + s].x);
        }
        for (int s = 0; s < a.splits; s++) {
            float2& stat = stats[h * a.splits + s];
            stat.x = decay_to(stat.x, max);
            sum = fmaf(stat.x, stat.y, sum);
        }
        scale[h] = 1.0f / sum;
    }
    __syncthreads();
}
