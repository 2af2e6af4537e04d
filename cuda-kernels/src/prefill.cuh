// What the kernels of a prefill step share: tiles of rows that never span two sequences, asynchronous copies, tensor-core products.
#pragma once

#include "common.cuh"

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

constexpr float LOG2_E = 1.44269504f;

/** Copies 16 bytes to shared memory behind the program's back, or zeros where there is nothing. */
__device__ __forceinline__ void copy_async(void* shared, const void* global, bool valid) {
    unsigned to = (unsigned) __cvta_generic_to_shared(shared);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(valid ? 16 : 0) : "memory");
}

__device__ __forceinline__ void commit_copies() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/** Waits until at most `PENDING` of the newest groups of copies are under way. */
template <int PENDING> __device__ __forceinline__ void await_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

/** Four 8x8 matrices of 16-bit elements; lane l gives the address of row l % 8 of matrix l / 8. */
__device__ __forceinline__ void load_matrices(unsigned (&r)[4], const void* row) {
    unsigned from = (unsigned) __cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
            : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(from) : "memory");
}

__device__ __forceinline__ void load_matrices_transposed(unsigned (&r)[4], const void* row) {
    unsigned from = (unsigned) __cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
            : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(from) : "memory");
}

/** c [16, 8] += a [16, 16] b [16, 8], bf16 operands. Lane l holds c[l / 4][2 (l % 4), +1] and the same of row l / 4 + 8. */
__device__ __forceinline__ void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/**
 * Element `column` (a multiple of 8) of row `row` of a shared tile of `WIDTH` bf16 columns, whose 16-byte chunks are shuffled against
 * bank conflicts.
 */
template <int WIDTH> __device__ __forceinline__ bf16* swizzled(bf16* tile, int row, int column) {
    static_assert(WIDTH % 64 == 0, "eight chunks to shuffle");
    return tile + row * WIDTH + ((column / 8 ^ row % 8) * 8);
}
