// What the kernels of a prefill step share: tiles of rows that never span two sequences, shared tiles without bank conflicts.
#pragma once

#include "tensor_cores.cuh"

/**
 * The sequence that owns tile `number`, when a sequence of n rows has n * rowItems items in tiles of `tileItems`. Sequence q owns the
 * numbers from rowStarts[q] * rowItems / tileItems + q: at least as many as it has tiles, so that no prefix sum over the sequences is
 * needed; all numbers lie below maxRows * rowItems / tileItems + maxSequences. A number may have no rows.
 */
__device__ __forceinline__ int first_tile(const Step& step, int sequence, int tileItems, int rowItems) {
    return (int) ((long long) step.rowStarts[sequence] * rowItems / tileItems) + sequence;
}

__device__ __forceinline__ int sequence_of(const Step& step, int number, int tileItems, int rowItems) {
    int low = 0, high = step.counts[1] - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (first_tile(step, middle, tileItems, rowItems) <= number) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

/** Whether every row of a matrix can be read in groups of `group` elements by one access. */
template <typename T> __device__ __forceinline__ bool is_vector(const T* base, long long stride, int group) {
    return (size_t) base % (group * sizeof(T)) == 0 && stride % group == 0;
}

__device__ __forceinline__ float exp2_fast(float v) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(v));
    return y;
}

__device__ __forceinline__ float reciprocal_fast(float v) {
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(v));
    return y;
}

/**
 * Element `column` (a multiple of 8) of row `row` of a shared tile of `WIDTH` bf16 columns, whose 16-byte chunks are shuffled against
 * bank conflicts.
 */
template <int WIDTH> __device__ __forceinline__ bf16* swizzled(bf16* tile, int row, int column) {
    static_assert(WIDTH % 64 == 0, "eight chunks to shuffle");
    return tile + row * WIDTH + ((column / 8 ^ row % 8) * 8);
}
