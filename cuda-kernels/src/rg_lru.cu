// RG-LRU scan of a prefill step, gates and gelu branch fused (their products: gemm_wgmma.cu, cuBLASLt or gemm.cu):
//
//   i = sigmoid(gates[0][t, e] + gateBias[e]),  r = sigmoid(gates[1][t, e] + gateBias[E + e])
//   log a = decay[e] r,  g = sqrt(-expm1(2 log a)),  h_t = a h_(t-1) + g i x[t, e];  at position 0: a = 0, g = 1
//   out[t, e] = h_t gelu(y[t, e])   (without a gelu branch: h_t)
//
// One pass with decoupled look-back. A tile is TILE_ROWS rows of one sequence (counted from the sequence's first row of the
// step) times TILE_CHANNELS channels; a warp holds the pairs (a, b = g i x) of WARP_ROWS rows in registers, so each element is
// read once. Every tile publishes its pair (A = prod a, B = h from zero); the carry into a tile is
//   carry_(c+1) = A_c carry_c + B_c, one fma a chunk, in the order of the chunks,
// taken up from the nearest tile whose carry is already known. Wherever that is, the same fmas are done in the same order, so the
// bits do not depend on timing, T, batch or launch; a step cut at multiples of TILE_ROWS gives the bits of one shot. Products
// of a may underflow to 0, which is right; a reset is a = 0; nothing is ever divided by a product.
//
// Waiting cannot deadlock: tiles are numbered by a counter in the order in which blocks start, chunks of a sequence in rising
// order, so a tile waits only for tiles that run already, whatever the grid and whatever is resident. Two launches at once on one
// scratch would break that; a tile that has looked PATIENCE times (seconds) therefore traps: an error instead of a hang. Words are
// {float, launch number} in 64 bits: data and flag arrive together, without fences, and nothing has to be cleared between launches.
// The last block resets the counter.
//
//   rg_lru_scan_T(Step, x, xStride, gates, gateStride, gatePlane, gateBias [2E], decay [E], h [slots, E], gelu|null, geluStride,
//                 out, outStride, scratch, E)
//   gates: two planes [M, E], gatePlane elements apart. h: float, in and out. out may be x or gelu, not gates.
//   grid = ceil(E / 64) * (M / 128 + S) of the step, block = 256, no dynamic shared memory
//   scratch: zero-filled once, 64 + 24 E (maxRows / 128 + maxSequences) bytes, 16-byte aligned; all layers and programs may
//     share it, one launch after the other, but nothing else may write it: it remembers how many launches there were
//
// Bytes: 10 an element in bf16 (20 in f32), plus 24 a channel and tile (0.19 an element) that stay in L2.
// Floor, H100, T = 8192, E = 2560: 210 MB, about 75 us at 2.8 TB/s of copy. Special functions: 7 an element, about 40 us, overlapped.
// Prediction: 0.75 to 0.85 of copy bandwidth. Outcome, H100: 0.51 (138 us) at T = 8192, E = 2560, 0.54 at T = 16384 or E = 4096; 128
// registers a thread let two blocks run, and while a block looks back it loads nothing. Slower: 16 warps of 8 rows (0.30), tiles of 64
// rows in blocks that stay, the next tile by cp.async into shared memory (0.36: twice the links of look-back), gates scaled by log2 e
// (0.40).

#include "prefill.cuh"
#include "rg_lru_gates.cuh"

namespace {

constexpr int WARP_ROWS = 16;
constexpr int WARPS = 8;
constexpr int TILE_ROWS = WARP_ROWS * WARPS;
constexpr int LANE_CHANNELS = 2;
constexpr int TILE_CHANNELS = 32 * LANE_CHANNELS;
constexpr int LOOK_BACK = 4;    // carries looked at together
constexpr int FOLD = 4;         // pairs fetched together
constexpr int HEADER_BYTES = 64;
constexpr int PATIENCE = 1 << 24;   // looks at L2, each some hundred nanoseconds

static_assert(TILE_ROWS == 128 && TILE_CHANNELS == 64, "the launch geometry above");

/** Head of the scratch: the next tile, blocks that are done, launches so far. */
struct Counters {
    unsigned next, done, launches;
};

/** {value, tag}, read and written whole. */
__device__ void publish(unsigned long long* word, float value, unsigned tag) {
    *(volatile unsigned long long*) word = (unsigned long long) tag << 32 | __float_as_uint(value);
}

__device__ unsigned long long peek(const unsigned long long* word) {
    return *(const volatile unsigned long long*) word;
}

__device__ bool ready(unsigned long long word, unsigned tag) {
    return (unsigned) (word >> 32) == tag;
}

/** Counts a look that came too early. */
__device__ void waited(int& looks) {
    if (++looks > PATIENCE) {
        __trap();
    }
}

__device__ float value(unsigned long long word) {
    return __uint_as_float((unsigned) word);
}

/** Two neighbouring channels of a row, of which `live` exist; WHOLE: both or none, aligned for one access. Raw is what a load leaves. */
template <typename T, bool WHOLE> struct Two {
    using Raw = float2;
    static __device__ Raw load(const T* p, int live) {
        return {live > 0 ? load_fresh(p) : 0, live > 1 ? load_fresh(p + 1) : 0};
    }
    static __device__ float2 widen(Raw v) {
        return v;
    }
    static __device__ void store(T* p, float2 v, int live) {
        if (live > 0) p[0] = from_float<T>(v.x);
        if (live > 1) p[1] = from_float<T>(v.y);
    }
};

template <> struct Two<float, true> {
    using Raw = float2;
    static __device__ Raw load(const float* p, int live) {
        return live > 0 ? __ldcg((const float2*) p) : float2{0, 0};
    }
    static __device__ float2 widen(Raw v) {
        return v;
    }
    static __device__ void store(float* p, float2 v, int live) {
        if (live > 0) *(float2*) p = v;
    }
};

template <> struct Two<bf16, true> {
    using Raw = unsigned;
    static __device__ Raw load(const bf16* p, int live) {
        return live > 0 ? __ldcg((const unsigned*) p) : 0;
    }
    static __device__ float2 widen(Raw v) {
        return {low_half(v), high_half(v)};
    }
    static __device__ void store(bf16* p, float2 v, int live) {
        if (live > 0) *(unsigned*) p = pack_pair(v.x, v.y);
    }
};

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
    unsigned long long* words;  // [3: A, B, carry out][tiles][E]
    int tiles;
    unsigned tag;
};

/** A tile: rows [from, to) of a sequence, number `chunk` of it, `index` among all. */
struct Tile {
    int from, to, chunk, index, slot;
    bool last;
};

template <typename T> __device__ unsigned long long* word(const Scan<T>& s, int kind, int tile, int channel) {
    return s.words + ((size_t) kind * s.tiles + tile) * s.width + channel;
}

/** The carry into the tile for one channel: from the nearest known carry, then chunk by chunk. */
template <typename T> __device__ float look_back(const Scan<T>& s, const Tile& tile, int channel) {
    int first = tile.index - tile.chunk;
    int known = tile.index - 1, looks = 0;
    unsigned long long carry[LOOK_BACK];
    float h = 0;
    for (bool found = false; !found;) {
#pragma unroll
        for (int i = 0; i < LOOK_BACK; i++) {
            carry[i] = peek(word(s, 2, max(known - i, first), channel));
        }
        int hit = LOOK_BACK;
#pragma unroll
        for (int i = LOOK_BACK - 1; i >= 0; i--) {
            if (ready(carry[i], s.tag)) {
                hit = i;
                h = value(carry[i]);
            }
        }
        found = hit < LOOK_BACK;
        waited(looks);
        known = found ? max(known - hit, first) : known - LOOK_BACK < first ? tile.index - 1 : known - LOOK_BACK;
    }
    for (int from = known + 1; from < tile.index; from += FOLD) {
        unsigned long long a[FOLD], b[FOLD];
        for (bool all = false; !all;) {
            all = true;
#pragma unroll
            for (int i = 0; i < FOLD; i++) {
                int at = min(from + i, tile.index - 1);
                a[i] = peek(word(s, 0, at, channel));
                b[i] = peek(word(s, 1, at, channel));
            }
#pragma unroll
            for (int i = 0; i < FOLD; i++) {
                all = all && ready(a[i], s.tag) && ready(b[i], s.tag);
            }
            waited(looks);
        }
#pragma unroll
        for (int i = 0; i < FOLD; i++) {
            if (from + i < tile.index) {
                h = fmaf(value(a[i]), h, value(b[i]));
            }
        }
    }
    return h;
}

/** Folds the warps' pairs of one channel, publishes the tile's, gets the carry and turns the pairs into each warp's carry. */
template <typename T>
__device__ void carry_through(const Scan<T>& s, const Tile& tile, int channel, float (*a)[TILE_CHANNELS], float (*b)[TILE_CHANNELS],
        int at) {
    float product = 1, local = 0;
#pragma unroll
    for (int w = 0; w < WARPS; w++) {
        product *= a[w][at];
        local = fmaf(a[w][at], local, b[w][at]);
    }
    float* state = s.h + (size_t) tile.slot * s.width + channel;
    if (tile.chunk > 0 && !tile.last) {
        publish(word(s, 0, tile.index, channel), product, s.tag);
        publish(word(s, 1, tile.index, channel), local, s.tag);
    }
    float carry = tile.chunk > 0 ? look_back(s, tile, channel) : load_fresh(state);
    float after = fmaf(product, carry, local);
    if (tile.last) {
        *state = after;
    } else {
        publish(word(s, 2, tile.index, channel), after, s.tag);
    }
#pragma unroll
    for (int w = 0; w < WARPS; w++) {
        float next = fmaf(a[w][at], carry, b[w][at]);
        b[w][at] = carry;
        carry = next;
    }
}

template <typename T, bool WHOLE>
__device__ void scan_tile(const Scan<T>& s, const int* positions, const Tile& tile, int channelTile) {
    __shared__ float products[WARPS][TILE_CHANNELS];
    __shared__ float locals[WARPS][TILE_CHANNELS];   // then the carry into each warp's rows
    using Row = Two<T, WHOLE>;
    using Raw = typename Row::Raw;
    constexpr bool PACKED = sizeof(Raw) == 4;         // registers suffice to load everything at once
    constexpr int BATCH = PACKED ? WARP_ROWS : 4;
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int channel = channelTile * TILE_CHANNELS + lane * LANE_CHANNELS;
    int live = min(s.width - channel, LANE_CHANNELS);
    int from = tile.from + warp * WARP_ROWS;
    int rows = max(0, min(tile.to - from, WARP_ROWS));

    bool reset = lane < rows && positions[from + lane] == 0;
    unsigned resets = __ballot_sync(~0u, reset);
    float2 biasI = Two<float, false>::load(s.gateBias + channel, live);
    float2 biasR = Two<float, false>::load(s.gateBias + s.width + channel, live);
    float2 decay = Two<float, false>::load(s.decay + channel, live);
    float2 a[WARP_ROWS], b[WARP_ROWS];
    float2 product = {1, 1}, local = {0, 0};
#pragma unroll
    for (int first = 0; first < WARP_ROWS; first += BATCH) {
        Raw i[BATCH], r[BATCH], x[BATCH];
#pragma unroll
        for (int t = 0; t < BATCH; t++) {
            int here = first + t < rows ? live : 0;
            size_t row = from + first + t;
            i[t] = Row::load(s.gates + row * s.gateStride + channel, here);
            r[t] = Row::load(s.gates + s.gatePlane + row * s.gateStride + channel, here);
            x[t] = Row::load(s.x + row * s.xStride + channel, here);
        }
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            int t = first + k;
            float2 vi = Row::widen(i[k]), vr = Row::widen(r[k]), vx = Row::widen(x[k]);
            Pair p = Gate<T>::pair(vi.x, vr.x, vx.x, biasI.x, biasR.x, decay.x);
            Pair q = Gate<T>::pair(vi.y, vr.y, vx.y, biasI.y, biasR.y, decay.y);
            bool fresh = resets >> t & 1;
            a[t] = t >= rows ? float2{1, 1} : fresh ? float2{0, 0} : float2{p.a, q.a};
            b[t] = t >= rows ? float2{0, 0} : fresh ? float2{p.gated, q.gated} : float2{p.b, q.b};
            product = {product.x * a[t].x, product.y * a[t].y};
            local = {fmaf(a[t].x, local.x, b[t].x), fmaf(a[t].y, local.y, b[t].y)};
        }
    }
    *(float2*) &products[warp][lane * LANE_CHANNELS] = product;
    *(float2*) &locals[warp][lane * LANE_CHANNELS] = local;
    Raw y[PACKED ? WARP_ROWS : 1];
    if (PACKED && s.gelu != nullptr) {   // on the way while the carry is found
#pragma unroll
        for (int t = 0; t < WARP_ROWS; t++) {
            y[t] = Row::load(s.gelu + (size_t) (from + t) * s.geluStride + channel, t < rows ? live : 0);
        }
    }
    __syncthreads();
    int mine = channelTile * TILE_CHANNELS + threadIdx.x;
    if (threadIdx.x < TILE_CHANNELS && mine < s.width) {
        carry_through(s, tile, mine, products, locals, threadIdx.x);
    }
    __syncthreads();
    float2 h = *(const float2*) &locals[warp][lane * LANE_CHANNELS];
#pragma unroll
    for (int t = 0; t < WARP_ROWS; t++) {
        h = {fmaf(a[t].x, h.x, b[t].x), fmaf(a[t].y, h.y, b[t].y)};
        float2 v = h;
        if (s.gelu != nullptr) {
            float2 g = Row::widen(PACKED ? y[t] : Row::load(s.gelu + (size_t) (from + t) * s.geluStride + channel, t < rows ? live : 0));
            v = {h.x * Gate<T>::gelu(g.x), h.y * Gate<T>::gelu(g.y)};
        }
        Row::store(s.out + (size_t) (from + t) * s.outStride + channel, v, t < rows ? live : 0);
    }
}

/** The tile of a number: sequence q owns the numbers from rowStarts[q] / TILE_ROWS + q, at least as many as it has tiles. */
__device__ Tile tile_of(const Step& step, int number) {
    int q = sequence_of(step, number, TILE_ROWS, 1);
    int start = step.rowStarts[q], end = step.rowStarts[q + 1];
    Tile tile;
    tile.chunk = number - first_tile(step, q, TILE_ROWS, 1);
    tile.index = number;
    tile.from = start + tile.chunk * TILE_ROWS;
    tile.to = min(tile.from + TILE_ROWS, end);
    tile.slot = step.slots[q];
    tile.last = tile.to == end;
    return tile;
}

template <typename T> __device__ void scan(const Step& step, Scan<T> s, float* scratch) {
    __shared__ unsigned ticket, launch;
    Counters* counters = (Counters*) scratch;
    pdl_launch_dependents();
    pdl_wait();
    if (threadIdx.x == 0) {
        launch = *(volatile unsigned*) &counters->launches;
        ticket = atomicAdd(&counters->next, 1u);
    }
    __syncthreads();
    int channelTiles = (s.width + TILE_CHANNELS - 1) / TILE_CHANNELS;
    int number = ticket / channelTiles;
    s.words = (unsigned long long*) ((char*) scratch + HEADER_BYTES);
    s.tiles = step.maxRows / TILE_ROWS + step.maxSequences;
    s.tag = launch + 1;
    if (step.counts[1] > 0) {
        Tile tile = tile_of(step, number);
        if (tile.from < tile.to) {
            bool whole = s.width % 2 == 0 && is_vector(s.x, s.xStride, 2) && is_vector(s.gates, s.gateStride, 2) && s.gatePlane % 2 == 0
                    && (s.gelu == nullptr || is_vector(s.gelu, s.geluStride, 2)) && is_vector(s.out, s.outStride, 2);
            if (whole) {
                scan_tile<T, true>(s, step.positions, tile, ticket % channelTiles);
            } else {
                scan_tile<T, false>(s, step.positions, tile, ticket % channelTiles);
            }
        }
    }
    if (threadIdx.x == 0 && atomicAdd(&counters->done, 1u) == gridDim.x - 1) {
        counters->next = 0;
        counters->done = 0;
        counters->launches = launch + 1;
    }
}

} // namespace

#define SCAN(suffix, T)                                                                                                             \
    extern "C" __global__ void __launch_bounds__(32 * WARPS, 2)                                                                     \
    rg_lru_scan_##suffix(Step step, const T* x, int xStride, const T* gates, int gateStride, long long gatePlane,                   \
            const float* gateBias, const float* decay, float* h, const T* gelu, int geluStride, T* out, int outStride,              \
            float* scratch, int E) {                                                                                                \
        scan<T>(step, {x, gates, gateBias, decay, h, gelu, out, gatePlane, xStride, gateStride, geluStride, outStride, E, nullptr,  \
                0, 0}, scratch);                                                                                                    \
    }
FOR_BOTH_TYPES(SCAN)
