// Hopper's asynchronous tensor-core products (machine code for sm_90a): operands, descriptors, the shapes in use.
//
// Tiles in shared memory lie in panels of 64 columns, rows of 128 bytes with the 128-byte swizzle: 16-byte chunk c of row r at c ^ r % 8.
// A panel begins at a multiple of 1024 bytes. Accumulators d[n] of a warp: lane l has columns 8 n + 2 (l % 4), +1 of row l / 4 of the
// warp's 16 in d[n][0], d[n][1], and of row l / 4 + 8 in d[n][2], d[n][3].
#pragma once

#include "prefill.cuh"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

namespace {

constexpr int PANEL = 64;                // columns: 128 bytes
constexpr int PANEL_ALIGNMENT = 1024;    // of a swizzled group of eight rows
constexpr int WARPGROUP = 128;           // threads whose products are one

/** The first multiple of PANEL_ALIGNMENT in dynamic shared memory, which has as many bytes to spare. */
__device__ __forceinline__ bf16* aligned_panels(unsigned char* shared) {
    return (bf16*) (shared + (PANEL_ALIGNMENT - (unsigned) __cvta_generic_to_shared(shared) % PANEL_ALIGNMENT) % PANEL_ALIGNMENT);
}

/** Lets the tensor cores see what this thread's finished copies wrote. A barrier must follow. */
__device__ __forceinline__ void show_copies() {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

/** Chunk at `column` (a multiple of 8) of row `row` of a tile of ROWS rows. */
template <int ROWS> __device__ __forceinline__ bf16* panel(bf16* tile, int row, int column) {
    return tile + column / PANEL * ROWS * PANEL + row * PANEL + ((column / 8 % 8) ^ row % 8) * 8;
}

/**
 * Matrix descriptor of the 128-byte swizzle. Groups of eight rows follow each other after 1024 bytes (stride offset); `leading` bytes
 * lie between panels of 64 columns, which matters only where columns are the outer dimension of the operand.
 */
__device__ __forceinline__ unsigned long long descriptor(const bf16* at, int leading) {
    unsigned address = (unsigned) __cvta_generic_to_shared(at);
    unsigned long long start = address >> 4 & 0x3fff, outer = leading >> 4 & 0x3fff;
    return start | outer << 16 | (1024ull >> 4) << 32 | 1ull << 62;
}

__device__ __forceinline__ void begin_products() {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

__device__ __forceinline__ void commit_products() {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

/** Waits until at most `PENDING` of the newest groups of products are under way; sums of the others may be read only after this. */
template <int PENDING, int N> __device__ __forceinline__ void await_products(float (&d)[N][4]) {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
#pragma unroll
    for (int n = 0; n < N; n++) {
        asm volatile("" : "+f"(d[n][0]), "+f"(d[n][1]), "+f"(d[n][2]), "+f"(d[n][3])::"memory");
    }
}

/** The same for products whose sums the next ones go on with: says only that operands are free again. */
template <int PENDING> __device__ __forceinline__ void await_older_products() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
}

#define D4(n) "+f"(d[n][0]), "+f"(d[n][1]), "+f"(d[n][2]), "+f"(d[n][3])
#define D16(n) D4(n), D4(n + 1), D4(n + 2), D4(n + 3)
#define D32(n) D16(n), D16(n + 4)

/** d [64, 8 C] = (accumulate ? d : 0) + a [64, 16] b [8 C, 16]^T for few columns, C = 1, 2 or 4; both in shared memory, rows of both contiguous. */
__device__ __forceinline__ void multiply_few(float (&d)[1][4], unsigned long long a, unsigned long long b, int accumulate) {
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %6, 0;\n"
            "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%0, %1, %2, %3}, %4, %5, p, 1, 1, 0, 0;\n}"
            : D4(0) : "l"(a), "l"(b), "r"(accumulate));
}

__device__ __forceinline__ void multiply_few(float (&d)[2][4], unsigned long long a, unsigned long long b, int accumulate) {
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %10, 0;\n"
            "wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7}, %8, %9, p, 1, 1, 0, 0;\n}"
            : D4(0), D4(1) : "l"(a), "l"(b), "r"(accumulate));
}

__device__ __forceinline__ void multiply_few(float (&d)[4][4], unsigned long long a, unsigned long long b, int accumulate) {
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %18, 0;\n"
            "wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 "
            "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15}, %16, %17, p, 1, 1, 0, 0;\n}"
            : D16(0) : "l"(a), "l"(b), "r"(accumulate));
}

/** d [64, 64] = (accumulate ? d : 0) + a [64, 16] b [64, 16]^T, rows of both contiguous. */
__device__ __forceinline__ void multiply_64(float (&d)[8][4], unsigned long long a, unsigned long long b, int accumulate) {
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %34, 0;\n"
            "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
            "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
            "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, %32, %33, p, 1, 1, 0, 0;\n}"
            : D32(0) : "l"(a), "l"(b), "r"(accumulate));
}

/** d [64, 256] += a [64, 16] b [16, 256], a in registers, rows of b contiguous. */
__device__ __forceinline__ void multiply_256(float (&d)[32][4], const unsigned (&a)[4], unsigned long long b) {
    asm volatile("{\n"
            "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 "
            "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
            "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
            "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
            "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
            "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
            "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
            "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
            "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127}, "
            "{%128, %129, %130, %131}, %132, 1, 1, 1, 1;\n}"
            : D32(0), D32(8), D32(16), D32(24) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

/** d [64, 256] = (accumulate ? d : 0) + a [64, 16] b [256, 16]^T, both in shared memory, rows of both contiguous. */
__device__ __forceinline__ void multiply_256(float (&d)[32][4], unsigned long long a, unsigned long long b, int accumulate) {
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %130, 0;\n"
            "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 "
            "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
            "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
            "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
            "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
            "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
            "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
            "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
            "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127}, "
            "%128, %129, p, 1, 1, 0, 0;\n}"
            : D32(0), D32(8), D32(16), D32(24) : "l"(a), "l"(b), "r"(accumulate));
}

#undef D4
#undef D16
#undef D32

} // namespace

#endif
