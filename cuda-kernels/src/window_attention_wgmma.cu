// Local attention of a prefill step on Hopper's asynchronous tensor cores: the mathematics, tiles and arguments of
// window_attention_prefill_bf16 (window_attention.cu), for K = 256 on compute capability 9.0 (machine code for sm_90a).
//
//   window_attention_prefill_wgmma_bf16(Step, qkv, qkvStride, keys, values, out, outStride, H, K, W, partial, stats)
//     grid = (M H / 128 + S of the step, splits), the last tiles first, block = 256, dynamic shared memory 197632
//     splits > 1: each of so many blocks takes a part of a tile's keys and leaves partial float [splits, M H, K], relative to its own maximum,
//     and stats float2 [splits, M H], that maximum in powers of 2 and the sum; window_attention_merge_bf16 makes out of them. partial: 16-byte
//     aligned. For steps of few rows: one row after a full window is 33 steps of keys, which one block takes 70 us for.
//     Only on compute capability 9.0 (elsewhere it traps), when K = 256, qkv, keys and values are multiples of 16 bytes, qkvStride of 8 and
//     outStride of 2 elements, which it does not check: launch window_attention_prefill_bf16 otherwise
//   window_attention_merge_bf16(Step, partial, stats, splits, out, outStride, H)
//     K = 256, at most 32 splits; grid = ceil(M H / 8), block = 256: a warp an item, the splits in their order. out 16-byte aligned, outStride
//     a multiple of 8
//
// Two warpgroups of 64 items each, 64 keys a step. q k^T: wgmma m64n64k16, both operands in shared memory. p v: m64n256k16, p from the
// registers that the scores came in, v with its columns contiguous (transposed B). Tiles lie in panels of 64 columns, rows of 128 bytes
// with the 128-byte swizzle (16-byte chunk c of row r at c ^ r % 8), filled by cp.async, two stages. K and V are read from shared
// memory once per 64 items instead of once per 16.
//
// FLOPs and floor: as there. A step of 128 items is 2048 cycles of products; its softmax, about 800, runs beside the second product.
// Prediction, H100: 0.55 to 0.65 of 790 TFLOP/s. Outcome, T = 8192: 456 to 461 TFLOP/s (0.58) with 10 heads, 480 to 483 (0.61) with 16; it
// was 272 and 283 when the copies were asked for before the products and the ring's modulo was taken for each of them.
//
// T = 2048 from an empty ring: tiles of 1 to 32 steps, 160 on 132 multiprocessors with 10 heads, 256 with 16. In rising order the longest
// came last: 90.6 us on an H200, 0.30 (0.29 and 0.39 on an H100 with 10 and 16 heads); now they come first. Steps until the last block
// ends, one more for each tile's beginning and end, by greedy assignment in that order; the bound is all steps / 132:
//   T                          512   1024   2048   4096   8192     with 16 heads:   512   1024   2048   4096   8192
//   rising                       9     17     40     81    160                        9     17     50    116    248
//   falling                      9     17     33     68    150                        9     17     34    100    232
//   tiles i and n - 1 - i       11     19     35     83    162                       11     19     35    102    236
//   bound                        2      6     21     62    145                        3      9     34    100    232
// Two blocks that share a tile's keys and add up at the end would take 6, 10, 27 with 10 heads, and more than one block from T = 4096 on
// and with 16 heads from 2048 on. Tiles of 64 items would read keys at twice the rate, 64 KB in 1024 cycles: more than L2 gives.
// Prediction, H200, T = 2048: 75 us with 10 heads (0.36). Outcome: 70.5 us.
// 25 rows after a full window, 10 heads: 156 us by one block a tile; by 3 and 8 with the merge 63 and 37 us.

#include "wgmma.cuh"
#include "window_attention.cuh"

namespace {

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

constexpr int K = 256;
constexpr int KEYS = 64;
constexpr int ITEMS = 128;
constexpr int GROUP_ITEMS = 64;          // of a warpgroup
constexpr int THREADS = 256;
static_assert((ITEMS + 4 * KEYS) * K * sizeof(bf16) + PANEL_ALIGNMENT == 197632, "the launch geometry above");

/** Copies rows j0 .. j0 + KEYS - 1 of keys or values; rows after the tile's last become zeros. */
__device__ void load_keys(const Attention<bf16>& a, const Tile& t, int j0, int part, bf16* tile) {
    static_assert(THREADS == 8 * WARP && K / 8 == WARP, "a warp copies a row, every eighth: its chunk is shuffled alike in all of them");
    if (j0 >= t.start && j0 + KEYS - 1 <= t.lastRow) {   // all rows are the step's: addresses go up evenly
        int row = threadIdx.x / WARP, column = threadIdx.x % WARP * 8;
        const bf16* from = a.qkv + (size_t) (j0 + row) * a.stride + (a.heads + part) * K + column;
        bf16* to = panel<KEYS>(tile, row, column);
#pragma unroll
        for (int i = 0; i < KEYS / 8; i++) {
            copy_async(to + i * 8 * PANEL, from, true);
            from += (size_t) 8 * a.stride;
        }
        return;
    }
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
    show_copies();
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

/** What a block leaves when others have a part of the same keys. */
struct Partial {
    float* sums;     // [splits, all items, K]
    float2* stats;   // [splits, all items]
    int split, splits, allItems;

    __device__ size_t at(const Attention<bf16>& a, const Tile& t, int item) const {
        return (size_t) split * allItems + (size_t) t.start * a.heads + item;
    }
};

/** A lane's part of its two items, relative to their highest scores. */
__device__ void store_partial(const Partial& partial, const Attention<bf16>& a, const Tile& t, const float (&sum)[K / 8][4],
        const float (&highest)[2], const float (&total)[2], float scale, int firstItem, int lane) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float all = total[half];
        all += __shfl_xor_sync(ALL_LANES, all, 1);
        all += __shfl_xor_sync(ALL_LANES, all, 2);
        int item = firstItem + 8 * half;
        if (item < t.items) {
            size_t at = partial.at(a, t, item);
            float* to = partial.sums + at * K + lane % 4 * 2;
#pragma unroll
            for (int d = 0; d < K / 8; d++) {
                *(float2*) (to + d * 8) = {sum[d][2 * half], sum[d][2 * half + 1]};
            }
            if (lane % 4 == 0) {
                partial.stats[at] = {highest[half] * scale, all};
            }
        }
    }
}

/** Scores run one tile ahead of values, so that the softmax of tile n + 1 has the values of tile n to hide behind. */
__device__ void attend(const Step& step, const Attention<bf16>& a, const Tile& t, const Partial& partial, unsigned char* shared) {
    using Online = OnlineSoftmax<K, KEYS>;
    constexpr int STAGE = KEYS * K;
    bf16* queries = aligned_panels(shared);
    bf16* keys = queries + ITEMS * K;    // [2][KEYS, K]
    bf16* values = keys + 2 * STAGE;     // [2][KEYS, K]
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    int item = t.firstItem + warp * 16 + lane / 4;
    Band band(step, a, t, item);
    int allTiles = (t.lastRow - band.from) / KEYS + 1, firstTile = allTiles * partial.split / partial.splits;
    int tiles = allTiles * (partial.split + 1) / partial.splits - firstTile, from = band.from + firstTile * KEYS;
    float scale = LOG2_E * rsqrtf((float) K);
    const bf16* mine = queries + warp / 4 * GROUP_ITEMS * K;
    if (tiles == 0) {   // more blocks than keys
        for (int i = t.firstItem + threadIdx.x; i < min(t.firstItem + ITEMS, t.items); i += THREADS) {
            partial.stats[partial.at(a, t, i)] = {-INFINITY, 0};
        }
        return;
    }

    load_queries(a, t, queries);
    load_keys(a, t, from, 0, keys);
    commit_copies();
    if (tiles > 1) {
        load_keys(a, t, from + KEYS, 0, keys + STAGE);
    }
    load_keys(a, t, from, 1, values);
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
    int now = 0, j0 = from;
    for (int n = 0; n < tiles - 1; n++) {
        soften(j0);
        int other = STAGE - now;
        begin_products();
        start_scores(s, mine, keys + other);
        commit_products();
        start_values(sum, p, values + now);
        commit_products();
        // The tensor cores have work while the copies are asked for.
        if (n + 2 < tiles) {
            load_keys(a, t, j0 + 2 * KEYS, 0, keys + now);
        }
        load_keys(a, t, j0 + KEYS, 1, values + other);
        commit_copies();
        await_products<1>(s);
        now = other;
        j0 += KEYS;
    }
    soften(j0);
    begin_products();
    start_values(sum, p, values + now);
    commit_products();
    await_products<0>(sum);
    if (partial.splits == 1) {
        Online::store(a, t, sum, total, item, lane);
    } else {
        store_partial(partial, a, t, sum, highest, total, scale, item, lane);
    }
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
        const bf16* keys, const bf16* values, bf16* out, int outStride, int H, int, int W, float* partial, float2* stats) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ __align__(128) unsigned char shared[];
    pdl_launch_dependents();
    pdl_wait();
    Attention<bf16> a{qkv, keys, values, out, qkvStride, outStride, H, 256, W};
    if (step.counts[1] > 0) {
        Tile t = tile_of(step, tile_number(), ITEMS, H);
        if (t.firstItem < t.items) {
            attend(step, a, t, {partial, stats, (int) blockIdx.y, (int) gridDim.y, step.counts[0] * H}, shared);
        }
    }
#else
    __trap();
#endif
}

extern "C" __global__ void __launch_bounds__(256) window_attention_merge_bf16(Step step, const float* partial, const float2* stats, int splits,
        bf16* out, int outStride, int H) {
    constexpr int WIDTH = 256, MINE = WIDTH / WARP;
    pdl_launch_dependents();
    pdl_wait();
    int item = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP, column = threadIdx.x % WARP * MINE, items = step.counts[0] * H;
    if (item >= items) {
        return;
    }
    // A lane has the statistics of a split: all are asked for at once, and so are the vectors that were written.
    int mine = threadIdx.x % WARP;
    float2 part = mine < splits ? __ldcg(stats + (size_t) mine * items + item) : float2{-INFINITY, 0};
    float highest = warp_max(part.x), weight = part.y > 0 ? exp2_fast(part.x - highest) : 0, total = warp_sum(weight * part.y);
    float sum[MINE] = {};
#pragma unroll 4
    for (int s = 0; s < splits; s++) {
        float by = __shfl_sync(ALL_LANES, weight, s);
        const float4* from = (const float4*) (partial + ((size_t) s * items + item) * WIDTH + column);
        bool written = __shfl_sync(ALL_LANES, part.y, s) > 0;
        float4 v = written ? __ldcg(from) : float4{}, w = written ? __ldcg(from + 1) : float4{};
        sum[0] = fmaf(by, v.x, sum[0]), sum[1] = fmaf(by, v.y, sum[1]);
        sum[2] = fmaf(by, v.z, sum[2]), sum[3] = fmaf(by, v.w, sum[3]);
        sum[4] = fmaf(by, w.x, sum[4]), sum[5] = fmaf(by, w.y, sum[5]);
        sum[6] = fmaf(by, w.z, sum[6]), sum[7] = fmaf(by, w.w, sum[7]);
    }
#pragma unroll
    for (float& v : sum) {
        v /= total;
    }
    *(uint4*) (out + (size_t) (item / H) * outStride + item % H * WIDTH + column) = pack16<bf16>(sum);
}
