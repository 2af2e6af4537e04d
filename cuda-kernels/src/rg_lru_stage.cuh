// A chunk's operands of rg_lru.cu in shared memory, and how they come there. Included by rg_lru.cu only.
#pragma once

#include "rg_lru_walk.cuh"

namespace {

constexpr int GROUP = 128;           // threads
constexpr int GROUP_WARPS = GROUP / WARP;
constexpr int PAIRS = STRIP / 2;     // of channels: a thread has one
constexpr int ROWS = CHUNK / (GROUP / PAIRS);   // of a thread
constexpr int WARP_ROWS = CHUNK / GROUP_WARPS;
constexpr int STAGES = 3;
constexpr int ARRAYS = 4;            // gate i, gate r, x, gelu branch

template <typename T> struct Scan {
    const T* x;
    const T* gates;
    const float* gateBias;
    const float* decay;
    float* h;
    const T* gelu;
    T* out;
    long long gatePlane;
    int xStride, gateStride, geluStride, outStride, width;
    unsigned long long* words;   // [blocks, STRIP], from this block's on
    unsigned tag;
};

/** A chunk's operands. */
template <typename T> struct alignas(16) Stage {
    T rows[ARRAYS][CHUNK][STRIP];    // row r at shared_row(r)
    float weights[3][STRIP];         // both gates' biases, decay
    Item item;
};

/** Rows of a warp's threads that are read together lie in different banks. */
__device__ __forceinline__ int shared_row(int row) {
    return row ^ (row / ROWS & 3);
}

__device__ __forceinline__ unsigned read_pair(const bf16* p) {
    return *(const unsigned*) p;
}

__device__ __forceinline__ float2 read_pair(const float* p) {
    return *(const float2*) p;
}

__device__ __forceinline__ float2 widen(unsigned pair) {
    return {low_half(pair), high_half(pair)};
}

__device__ __forceinline__ float2 widen(float2 pair) {
    return pair;
}

/** Copies a weight, or zero where there is no channel: what is not there shares a reciprocal with its neighbour. */
__device__ __forceinline__ void copy_weight(float* shared, const float* global, bool valid) {
    unsigned to = unsigned(__cvta_generic_to_shared(shared));
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(global), "r"(valid ? 4 : 0) : "memory");
}

/** Copies rows of one operand; zeros where there is no row or channel. */
template <typename T, bool WHOLE>
__device__ __forceinline__ void fill_rows(T (*to)[STRIP], const T* base, int stride, int from, int rows, int channel, int width) {
    constexpr int EACH = WHOLE ? PER16<T> : 1;     // elements at a time
    constexpr int ACROSS = STRIP / EACH;
    int row = threadIdx.x % GROUP / ACROSS, column = threadIdx.x % ACROSS * EACH;
    const T* source = base + (size_t) (from + row) * stride + channel + column;
    bool live = channel + column < width;
#pragma unroll (WHOLE ? ACROSS : 1)
    for (int pass = 0; pass < ACROSS; pass++) {
        int at = row + pass * (GROUP / ACROSS);
        const T* element = source + (size_t) (pass * (GROUP / ACROSS)) * stride;
        bool valid = live && at < rows;
        if constexpr (WHOLE) {
            copy_async(&to[shared_row(at)][column], element, valid);
        } else {
            to[shared_row(at)][column] = from_float<T>(valid ? load_fresh(element) : 0.0f);
        }
    }
}

/** Asks for an item's operands, if the share has it. Returns the position of this thread's row of the chunk, not 0 where there is none. */
template <typename T, bool WHOLE>
__device__ __forceinline__ int fill(const Scan<T>& s, const Step& step, const Share& share, const Walk& w, Stage<T>& stage) {
    int position = 1;
    if (w.number < share.items) {
        Item item = w.item();
        int thread = threadIdx.x % GROUP, from = item.from, rows = item.rows, channel = item.channel;
        if (thread == 0) {
            stage.item = item;
        }
        int kind = thread / STRIP, column = channel + thread % STRIP;
        if (kind < 3) {
            const float* weight = kind == 2 ? s.decay + column : s.gateBias + (size_t) kind * s.width + column;
            copy_weight(&stage.weights[kind][thread % STRIP], weight, column < s.width);
        }
        fill_rows<T, WHOLE>(stage.rows[0], s.gates, s.gateStride, from, rows, channel, s.width);
        fill_rows<T, WHOLE>(stage.rows[1], s.gates + s.gatePlane, s.gateStride, from, rows, channel, s.width);
        fill_rows<T, WHOLE>(stage.rows[2], s.x, s.xStride, from, rows, channel, s.width);
        if (s.gelu != nullptr) {
            fill_rows<T, WHOLE>(stage.rows[3], s.gelu, s.geluStride, from, rows, channel, s.width);
        }
        if (thread < rows) {
            position = step.positions[from + thread];
        }
    }
    commit_copies();
    return position;
}

} // namespace
