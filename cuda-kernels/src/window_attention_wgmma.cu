// Local attention of a prefill step on Hopper's asynchronous tensor cores: the mathematics, tiles and arguments of
// window_attention_prefill_bf16 (window_attention.cu), for K = 256 on compute capability 9.0 (machine code for sm_90a).
//
//   window_attention_prefill_wgmma_bf16(Step, qkv, qkvStride, keys, values, out, outStride, H, K, W)
//     grid = maxRows H / 128 + maxSequences, block = 256, dynamic shared memory 197632
//     only when K = 256, qkv, keys and values are multiples of 16 bytes, qkvStride of 8 and outStride of 2 elements; elsewhere it traps:
//     launch the other form
//
// Two warpgroups of 64 items each, 64 keys a step. q k^T: wgmma m64n64k16, both operands in shared memory. p v: m64n256k16, p from the
// registers that the scores came in, v with its columns contiguous (transposed B). Tiles lie in panels of 64 columns, rows of 128 bytes
// with the 128-byte swizzle (16-byte chunk c of row r at c ^ r % 8), filled by cp.async, two stages. K and V are read from shared
// memory once per 64 items instead of once per 16.
//
// FLOPs and floor: as there. A step of 128 items is 2048 cycles of products; its softmax, about 800, runs beside the second product.
// Prediction, H100: 0.55 to 0.65 of the matrix rate.

#include "window_attention.cuh"

namespace {

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

constexpr int K = 256;
constexpr int KEYS = 64;
constexpr int ITEMS = 128;
constexpr int GROUP_ITEMS = 64;          // of a warpgroup
constexpr int THREADS = 256;
constexpr int PANEL = 64;                // columns: 128 bytes
constexpr int ALIGNMENT = 1024;          // of a swizzled group of eight rows
static_assert((ITEMS + 4 * KEYS) * K * sizeof(bf16) + ALIGNMENT == 197632, "the launch geometry above");

/** Chunk at `column` (a multiple of 8) of row `row` of a tile of ROWS rows. */
template <int ROWS> __device__ bf16* panel(bf16* tile, int row, int column) {
    return tile + column / PANEL * ROWS * PANEL + row * PANEL + ((column / 8 % 8) ^ row % 8) * 8;
}

/**
 * Matrix descriptor of the 128-byte swizzle. Groups of eight rows follow each other after 1024 bytes (stride offset); `leading` bytes
 * lie between panels of 64 columns, which matters only where columns are the outer dimension of the operand.
 */
__device__ unsigned long long descriptor(const bf16* at, int leading) {
    unsigned address = (unsigned) __cvta_generic_to_shared(at);
    unsigned long long start = address >> 4 & 0x3fff, outer = leading >> 4 & 0x3fff;
    return start | outer << 16 | (1024ull >> 4) << 32 | 1ull << 62;
}

__device__ void begin_products() {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

__device__ void commit_products() {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

/** Waits until at most `PENDING` of the newest groups of products are under way; sums of the others may be read only after this. */
template <int PENDING, int N> __device__ void await_products(float (&d)[N][4]) {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
#pragma unroll
    for (int n = 0; n < N; n++) {
        asm volatile("" : "+f"(d[n][0]), "+f"(d[n][1]), "+f"(d[n][2]), "+f"(d[n][3])::"memory");
    }
}

#define D4(n) "+f"(d[n][0]), "+f"(d[n][1]), "+f"(d[n][2]), "+f"(d[n][3])
#define D16(n) D4(n), D4(n + 1), D4(n + 2), D4(n + 3)
#define D32(n) D16(n), D16(n + 4)

/** d [64, 64] = (accumulate ? d : 0) + a [64, 16] b [64, 16]^T, rows of both contiguous. */
__device__ void multiply_64(float (&d)[8][4], unsigned long long a, unsigned long long b, int accumulate) {
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %34, 0;\n"
            "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
            "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
            "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, %32, %33, p, 1, 1, 0, 0;\n}"
            : D32(0) : "l"(a), "l"(b), "r"(accumulate));
}

/** d [64, 256] += a [64, 16] b [16, 256], a in registers, rows of b contiguous. */
__device__ void multiply_256(float (&d)[32][4], const unsigned (&a)[4], unsigned long long b) {
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

/** Copies rows j0 .. j0 + KEYS - 1 of keys or values; rows after the tile's last become zeros. */
__device__ void load_keys(const Attention<bf16>& a, const Tile& t, int j0, int part, bf16* tile) {
#pragma unroll 4
    for (int c = threadIdx.x; c < KEYS * (K / 8); c += THREADS) {
        int row = c / (K / 8), column = c % (K / 8) * 8;
        int j = min(j0 + row, t.lastRow);
        copy_async(panel<KEYS>(tile, row, column), key_row(a, t, j, part) + column, j0 + row <= t.lastRow);
    }
}

/** The items of a warpgroup are a tile of their own: [2][64, K]. */
__device__ void load_queries(const Attention<bf16>& a, const Tile& t, bf16* tile) {
#pragma unroll 4
    for (int c = threadIdx.x; c < ITEMS * (K / 8); c += THREADS) {
        int row = c / (K / 8), column = c % (K / 8) * 8;
        int item = min(t.firstItem + row, t.items - 1);
        const bf16* from = a.qkv + (size_t) (t.start + item / a.heads) * a.stride + item % a.heads * K;
        copy_async(panel<GROUP_ITEMS>(tile + row / GROUP_ITEMS * GROUP_ITEMS * K, row % GROUP_ITEMS, column), from + column, true);
    }
}

/** Waits for all copies: first this thread's, which it lets the tensor cores see, then the others'. */
template <int PENDING> __device__ void await_tile() {
    await_copies<PENDING>();
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
}

/** Starts s [64, KEYS] = the warpgroup's queries times the keys. */
__device__ void start_scores(float (&s)[KEYS / 8][4], const bf16* queries, const bf16* keys) {
#pragma unroll
    for (int k = 0; k < K; k += 16) {
        int inPanel = k % PANEL;
        multiply_64(s, descriptor(queries + k / PANEL * GROUP_ITEMS * PANEL + inPanel, 16),
                descriptor(keys + k / PANEL * KEYS * PANEL + inPanel, 16), k > 0);
    }
}

/** Starts sum [64, K] += p values. */
__device__ void start_values(float (&sum)[K / 8][4], const unsigned (&p)[KEYS / 16][4], const bf16* values) {
#pragma unroll
    for (int n = 0; n < KEYS / 16; n++) {
        multiply_256(sum, p[n], descriptor(values + n * 16 * PANEL, KEYS * PANEL * (int) sizeof(bf16)));
    }
}

/** Weights as the operand of the second product: its layout is that of the scores. */
__device__ void pack(unsigned (&p)[KEYS / 16][4], const float (&s)[KEYS / 8][4]) {
#pragma unroll
    for (int n = 0; n < KEYS / 16; n++) {
        p[n][0] = pack_pair(s[2 * n][0], s[2 * n][1]);
        p[n][1] = pack_pair(s[2 * n][2], s[2 * n][3]);
        p[n][2] = pack_pair(s[2 * n + 1][0], s[2 * n + 1][1]);
        p[n][3] = pack_pair(s[2 * n + 1][2], s[2 * n + 1][3]);
    }
}

/** Scores run one tile ahead of values, so that the softmax of tile n + 1 has the values of tile n to hide behind. */
__device__ void attend(const Step& step, const Attention<bf16>& a, const Tile& t, unsigned char* shared) {
    using Online = OnlineSoftmax<K, KEYS>;
    constexpr int STAGE = KEYS * K;
    bf16* queries = (bf16*) (shared + (ALIGNMENT - (unsigned) __cvta_generic_to_shared(shared) % ALIGNMENT) % ALIGNMENT);
    bf16* keys = queries + ITEMS * K;    // [2][KEYS, K]
    bf16* values = keys + 2 * STAGE;     // [2][KEYS, K]
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    int item = t.firstItem + warp * 16 + lane / 4;
    Band band(step, a, t, item);
    int tiles = (t.lastRow - band.from) / KEYS + 1;
    float scale = LOG2_E * rsqrtf((float) K);
    const bf16* mine = queries + warp / 4 * GROUP_ITEMS * K;

    load_queries(a, t, queries);
    load_keys(a, t, band.from, 0, keys);
    commit_copies();
    if (tiles > 1) {
        load_keys(a, t, band.from + KEYS, 0, keys + STAGE);
    }
    load_keys(a, t, band.from, 1, values);
    commit_copies();
    float s[KEYS / 8][4], sum[K / 8][4] = {};
    float highest[2] = {-INFINITY, -INFINITY}, total[2] = {0, 0};
    await_tile<1>();
    begin_products();
    start_scores(s, mine, keys);
    commit_products();
    await_products<0>(s);
    unsigned p[KEYS / 16][4];
    auto soften = [&](int j0) {
        if (band.cuts(j0, KEYS)) {
            Online::mask(s, j0, band, lane);
        }
        float rescale[2];
        Online::weigh(s, highest, total, rescale, scale);
        await_products<0>(sum);
        Online::rescale_sums(sum, rescale);
        pack(p, s);
        await_tile<0>();   // the next keys and these values are there; nobody reads these keys and the last values any more
    };
    int now = 0, j0 = band.from;
    for (int n = 0; n < tiles - 1; n++) {
        soften(j0);
        int other = STAGE - now;
        if (n + 2 < tiles) {
            load_keys(a, t, j0 + 2 * KEYS, 0, keys + now);
        }
        load_keys(a, t, j0 + KEYS, 1, values + other);
        commit_copies();
        begin_products();
        start_scores(s, mine, keys + other);
        commit_products();
        start_values(sum, p, values + now);
        commit_products();
        await_products<1>(s);
        now = other;
        j0 += KEYS;
    }
    soften(j0);
    begin_products();
    start_values(sum, p, values + now);
    commit_products();
    await_products<0>(sum);
    Online::store(a, t, sum, total, item, lane);
}

#endif

} // namespace

/** 1 where the kernel below is compiled for the architecture that has its instructions. */
#if defined(__CUDA_ARCH_FEAT_SM90_ALL) || !defined(__CUDA_ARCH__)
extern "C" __device__ const int window_attention_wgmma_compiled = 1;
#else
extern "C" __device__ const int window_attention_wgmma_compiled = 0;
#endif

extern "C" __global__ void __launch_bounds__(256, 1) window_attention_prefill_wgmma_bf16(Step step, const bf16* qkv, int qkvStride,
        const bf16* keys, const bf16* values, bf16* out, int outStride, int H, int, int W) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ __align__(128) unsigned char shared[];
    pdl_launch_dependents();
    pdl_wait();
    Attention<bf16> a{qkv, keys, values, out, qkvStride, outStride, H, 256, W};
    if (step.counts[1] > 0) {
        Tile t = tile_of(step, blockIdx.x, ITEMS, H);
        if (t.firstItem < t.items) {
            attend(step, a, t, shared);
        }
    }
#else
    __trap();
#endif
}
