// RG-LRU scan of a prefill step, gates and gelu branch fused (their products: gemm_wgmma.cu, cuBLASLt or gemm.cu):
//
//   i = sigmoid(gates[0][t, e] + gateBias[e]),  r = sigmoid(gates[1][t, e] + gateBias[E + e])
//   log a = decay[e] r,  g = sqrt(-expm1(2 log a)),  h_t = a h_(t-1) + g i x[t, e];  at position 0: a = 0, g = 1
//   out[t, e] = h_t gelu(y[t, e])   (without a gelu branch: h_t)
//
// A block stays and walks over chunks of CHUNK rows of one sequence (counted from its first row of the step) times STRIP channels, in
// the order of time, so that the carry of a strip stays in the block; rg_lru_walk.cuh says which chunks. Its groups of 128 threads take
// the chunks in turn: while one stores, others compute and wait for copies. A group has a ring of STAGES chunks in shared memory, filled by
// asynchronous copies that many chunks ahead. A thread holds ROWS rows of two channels as maps h -> a h + b in registers. The maps are
// composed over its rows, over the 4 threads of a warp, over the 4 warps of the group, always in the same order; then the chunk's map
// takes the carry in to the carry out by one fma, and that is all that the next chunk waits for. So the bits do not depend on timing,
// grid, T, batch or launch; a step cut at multiples of CHUNK rows gives the bits of one shot.
//
// From chunk to chunk one warp of a group, the keeper, hands the carry to the next group's through `handed`, behind a named barrier of these
// two warps. Slot k % 2 of item k is read by the keeper of item k + 1 alone, before it arrives at the barrier that lets the keeper
// of item k + 2 write there; and that arrives at the barrier of item k + groups only once item k has passed it.
//
// Between blocks a carry goes through scratch: a word {float, launch number} in 64 bits for each channel, data and flag together, without
// fences, and nothing to clear between launches. Waiting cannot deadlock: block numbers fall in the order in which blocks start, and a block
// waits only for the next number, which waits for nothing before it hands over. Two launches at once on one scratch would break that; a
// keeper that has looked PATIENCE times (seconds) therefore traps: an error instead of a hang. The last block resets the counter.
//
//   rg_lru_scan_T(Step, x, xStride, gates, gateStride, gatePlane, gateBias [2E], decay [E], h [slots, E], gelu|null, geluStride,
//                 out, outStride, scratch, E)
//   gates: two planes [M, E], gatePlane elements apart. h: float, in and out. out may be x or gelu, not gates.
//   grid: any, at best min(multiprocessors, ceil(E / 16) * (M / 128 + S)); block = 128 G, G <= 4 in bf16, 2 in f32;
//     dynamic shared memory = 50400 G in bf16, 99552 G in f32, and at most 512 bytes of static; G as large as the device's shared memory allows
//   scratch: zero-filled once, 64 + 128 grid bytes for the largest grid, 16-byte aligned; all layers and programs may share it, one launch
//     after the other, but nothing else may write it: it remembers how many launches there were
//   Rows that are not whole in 16 bytes (E, strides, pointers) are copied element by element.
//
// Bytes: 10 an element in bf16 (20 in f32). Floor, H100, T = 8192, E = 2560: 210 MB, about 75 us at 2.8 TB/s of copy; H200: 52 us at 4.
// Instructions: about 67 an element where no row is special, 48 us at 132 multiprocessors and 1.75 GHz, all issued without a gap; special
// functions: 6.5 an element, 37 us; both overlap with the copies.
// Prediction, H200: 60 to 70 us, 0.75 to 0.85 of copy; about 18 us at T = 2048. A share is 78 chunks (of 77.6 on average); 192 KB of copies
// are under way in each multiprocessor, where 24 KB would do for the latency; the chain of carries costs about 200 cycles a chunk, of the 1400
// that a chunk has. What may keep it from there: gaps in issuing, with 16 warps; 32 bytes are one sector, and a strip's neighbours are read by
// other blocks, a few of them at another time.
// Outcome: not measured yet.
//
// Before: decoupled look-back over tiles of 128 rows times 64 channels, a block for each: 0.51 of copy on an H100 (138 us), 0.41 on an H200 at
// T = 8192, E = 2560, 48 us at T = 2048; 128 registers a thread let two blocks run, and while a block looks back it loads nothing. Slower
// still: 16 warps of 8 rows (0.30), tiles of 64 rows in blocks that stay, the next tile by cp.async into shared memory (0.36: twice the
// links of look-back), gates scaled by log2 e (0.40).

#include "rg_lru_gates.cuh"
#include "rg_lru_stage.cuh"

namespace {

constexpr int HEADER_BYTES = 64;
constexpr int PATIENCE = 1 << 24;    // looks at L2, each some hundred nanoseconds

template <typename T> constexpr int MOST_GROUPS = sizeof(T) == 2 ? 4 : 2;

/** What a group has in dynamic shared memory. */
template <typename T> struct Group {
    Stage<T> stages[STAGES];
    float4 totals[GROUP_WARPS][PAIRS];   // maps of the warps' rows: both a, both b
    float2 carry[PAIRS];                 // into the chunk
};
static_assert(sizeof(Group<bf16>) == 50400 && sizeof(Group<float>) == 99552, "the launch geometry above");

/** Head of the scratch: the next block, blocks that are done, launches so far. */
struct Counters {
    unsigned next, done, launches;
};

/** Two neighbouring elements, of which `live` exist; WHOLE: both, aligned for one access. */
template <bool WHOLE, typename T> __device__ __forceinline__ void write_pair(T* p, float2 v, int live) {
    if constexpr (!WHOLE) {
        if (live > 0) p[0] = from_float<T>(v.x);
        if (live > 1) p[1] = from_float<T>(v.y);
    } else if constexpr (sizeof(T) == 2) {
        *(unsigned*) p = pack_pair(v.x, v.y);
    } else {
        *(float2*) p = v;
    }
}

/** Waits for the group. */
__device__ __forceinline__ void group_sync(int group) {
    asm volatile("bar.sync %0, %1;" ::"r"(1 + group), "n"(GROUP) : "memory");
}

/** The keeper of a group waits until the one before has handed over. */
__device__ __forceinline__ void await_keeper(int group) {
    asm volatile("bar.sync %0, %1;" ::"r"(1 + MOST_GROUPS<bf16> + group), "n"(2 * WARP) : "memory");
}

__device__ __forceinline__ void release_keeper(int group) {
    asm volatile("bar.arrive %0, %1;" ::"r"(1 + MOST_GROUPS<bf16> + group), "n"(2 * WARP) : "memory");
}

__device__ __forceinline__ void publish(unsigned long long* word, float value, unsigned tag) {
    *(volatile unsigned long long*) word = (unsigned long long) tag << 32 | __float_as_uint(value);
}

/** The value of a word of another block, once it has the launch's tag. */
__device__ __forceinline__ float take(const unsigned long long* word, unsigned tag) {
    unsigned long long found = *(const volatile unsigned long long*) word;
    for (int looks = 0; (unsigned) (found >> 32) != tag; looks++) {
        if (looks > PATIENCE) {
            __trap();
        }
        found = *(const volatile unsigned long long*) word;
    }
    return __uint_as_float((unsigned) found);
}

__device__ __forceinline__ Map shuffle_up(const Map& m, int distance) {
    return {{__shfl_up_sync(ALL_LANES, m.a.x, distance), __shfl_up_sync(ALL_LANES, m.a.y, distance)},
            {__shfl_up_sync(ALL_LANES, m.b.x, distance), __shfl_up_sync(ALL_LANES, m.b.y, distance)}};
}

/**
 * The maps of a thread's rows, their composition, and its pairs of the gelu branch. `fixed`, bit t: row t has a = 0 (a reset), or there are
 * only `left` rows and it changes nothing; without FIXED there are none of these.
 */
template <bool FIXED, typename T, typename Raw>
__device__ __forceinline__ Map compute(const Stage<T>& operands, int rowGroup, int column, unsigned fixed, int left, Map (&maps)[ROWS],
        Raw (&y)[ROWS]) {
    Weights weights = Gate<T>::weights(*(const float2*) &operands.weights[0][column], *(const float2*) &operands.weights[1][column],
            *(const float2*) &operands.weights[2][column]);
    Map total = nothing();
#pragma unroll
    for (int t = 0; t < ROWS; t++) {
        int at = rowGroup * ROWS + (t & 4) + ((t & 3) ^ (rowGroup & 3));   // shared_row, its bits apart
        float2 i = widen(read_pair(&operands.rows[0][at][column]));
        float2 r = widen(read_pair(&operands.rows[1][at][column]));
        float2 x = widen(read_pair(&operands.rows[2][at][column]));
        y[t] = read_pair(&operands.rows[3][at][column]);
        maps[t] = Gate<T>::map(i, r, x, weights, FIXED && (fixed >> t & 1), t < left ? __int_as_float(0xff800000) : 0.0f);
        total = t == 0 ? maps[0] : then(total, maps[t]);
    }
    return total;
}

/** The maps of the rows of the warp before the thread's; `total` becomes that of all up to its last. */
__device__ __forceinline__ Map compose(Map& total) {
    static_assert(WARP == 4 * PAIRS, "two steps");
    int lane = threadIdx.x % WARP;
    Map before = shuffle_up(total, PAIRS);
    before = lane < PAIRS ? nothing() : before;
    Map further = shuffle_up(then(before, total), 2 * PAIRS);
    before = lane < 2 * PAIRS ? before : then(further, before);
    total = then(before, total);
    return before;
}

/** The keeper's part of an item: gets the carry in, which is `state` where the sequence begins, and passes on what `chunk` makes of it. */
template <typename T>
__device__ __forceinline__ void keep(const Scan<T>& s, const Share& share, const Item& item, const Map& chunk, float2 state, float* h,
        int live, float2 (*handed)[PAIRS], float2* carryIn) {
    int group = threadIdx.x / GROUP, groups = blockDim.x / GROUP, lane = threadIdx.x % WARP, pair = lane % PAIRS;
    float2 carry = state;
    if (item.number > 0) {
        if (groups > 1) {
            await_keeper(group);
        }
        float2 last = handed[(item.number - 1) % 2][pair];
        carry = item.ends & BEGINS ? state : last;
    }
    if (item.ends & TAKES_OVER) {
        const unsigned long long* words = s.words + STRIP + pair * 2;
        carry = {take(words, s.tag), take(words + 1, s.tag)};
    }
    float2 after = apply(chunk, carry);
    if (lane < PAIRS) {
        handed[item.number % 2][pair] = after;
        carryIn[pair] = carry;
    }
    __syncwarp();
    if (groups > 1 && item.number + 1 < share.items) {
        release_keeper(group + 1 == groups ? 0 : group + 1);
    }
    if (lane < PAIRS && (item.ends & FINISHES)) {
        write_pair<false>(h, after, live);
    } else if (lane < PAIRS && (item.ends & HANDS_OVER)) {
        publish(s.words + pair * 2, after.x, s.tag);
        publish(s.words + pair * 2 + 1, after.y, s.tag);
    }
}

template <typename T, bool WHOLE> __device__ __forceinline__ void walk(const Scan<T>& s, const Step& step, const Share& share, Place first,
        float2 (*handed)[PAIRS]) {
    using Raw = decltype(read_pair((const T*) nullptr));
    extern __shared__ __align__(16) unsigned char dynamic[];
    int number = threadIdx.x / GROUP, groups = blockDim.x / GROUP, thread = threadIdx.x % GROUP;
    int warp = thread / WARP, lane = thread % WARP, pair = lane % PAIRS, rowGroup = thread / PAIRS;
    bool keeper = warp == number % GROUP_WARPS;    // of each group one on another scheduler
    Group<T>& group = ((Group<T>*) dynamic)[number];
    Walk ahead = start_walk(step, share, first, number);
    int positions[STAGES];
#pragma unroll
    for (int i = 0; i < STAGES; i++) {
        positions[i] = fill<T, WHOLE>(s, step, share, ahead, group.stages[i]);
        advance_walk(step, share, groups, ahead);
    }
    for (int item = number, stage = 0; item < share.items; item += groups, stage = stage == STAGES - 1 ? 0 : stage + 1) {
        Stage<T>& operands = group.stages[stage];
        await_copies<STAGES - 1>();
        group_sync(number);   // the copies of all are there
        Item here = operands.item;
        int left = here.rows - rowGroup * ROWS;   // from the thread's first on
        bool busy = here.rows > warp * WARP_ROWS;
        int channel = here.channel + pair * 2, live = s.width - channel;
        float* h = nullptr;
        float2 state = {0, 0};
        if (keeper && (here.ends & (BEGINS | FINISHES))) {
            h = s.h + (size_t) step.slots[here.sequence] * s.width + channel;
            if (here.ends & BEGINS) {   // on the way while the maps are computed
                state = {live > 0 ? load_fresh(h) : 0, live > 1 ? load_fresh(h + 1) : 0};
            }
        }
        unsigned fixed = __ballot_sync(ALL_LANES, positions[0] == 0);
        bool full = fixed == 0 && here.rows >= (warp + 1) * WARP_ROWS;
        fixed = fixed >> lane / PAIRS * ROWS | 0xffu << min(max(left, 0), ROWS);
        Map maps[ROWS], total = nothing();
        Raw y[ROWS];
        if (full) {
            total = compute<false>(operands, rowGroup, pair * 2, 0, ROWS, maps, y);
        } else if (busy) {
            total = compute<true>(operands, rowGroup, pair * 2, fixed, left, maps, y);
        }
        Map before = compose(total);
        if (lane >= WARP - PAIRS) {
            group.totals[warp][pair] = {total.a.x, total.a.y, total.b.x, total.b.y};
        }
        group_sync(number);   // the totals of all are there, and the stage is free
        Map chunk = nothing();
#pragma unroll
        for (int w = 0; w < GROUP_WARPS; w++) {
            if (w == warp) {
                before = then(chunk, before);
            }
            if (w < warp || keeper) {
                float4 m = group.totals[w][pair];
                chunk = then(chunk, {{m.x, m.y}, {m.z, m.w}});
            }
        }
        if (keeper) {
            keep(s, share, here, chunk, state, h, live, handed, group.carry);
        }
#pragma unroll
        for (int i = 1; i < STAGES; i++) {
            positions[i - 1] = positions[i];
        }
        positions[STAGES - 1] = fill<T, WHOLE>(s, step, share, ahead, operands);
        advance_walk(step, share, groups, ahead);
        float2 branch[ROWS];
        if (busy && s.gelu != nullptr) {
#pragma unroll
            for (int t = 0; t < ROWS; t++) {
                branch[t] = Gate<T>::gelu(widen(y[t]));
            }
        }
        group_sync(number);   // the carry is there
        if (busy) {
            float2 v = apply(before, group.carry[pair]);
            T* out = s.out + (size_t) (here.from + rowGroup * ROWS) * s.outStride + channel;
            int stored = live > 0 ? left : 0;
#pragma unroll
            for (int t = 0; t < ROWS; t++, out += s.outStride) {
                v = apply(maps[t], v);
                float2 result = s.gelu != nullptr ? float2{v.x * branch[t].x, v.y * branch[t].y} : v;
                if (t < stored) {
                    write_pair<WHOLE>(out, result, live);
                }
            }
        }
    }
}

/** Whether rows of an operand can be copied 16 bytes at a time. */
template <typename T> __device__ bool is_whole(const T* base, long long stride) {
    return is_vector(base, stride, PER16<T>);
}

template <typename T> __device__ __forceinline__ void scan(const Step& step, Scan<T> s, float* scratch) {
    __shared__ unsigned ticket, launch;
    __shared__ Place first;
    __shared__ float2 handed[2][PAIRS];
    Counters* counters = (Counters*) scratch;
    pdl_launch_dependents();
    Share share;
    share.strips = (s.width + STRIP - 1) / STRIP;
    Chunks chunks = count_chunks(step, share.strips, -1, &first);
    int line = chunks.all * share.strips;
    share.length = max((line + (int) gridDim.x - 1) / (int) gridDim.x, chunks.longest);
    pdl_wait();
    if (threadIdx.x == 0) {
        launch = *(volatile unsigned*) &counters->launches;
        ticket = atomicAdd(&counters->next, 1u);
    }
    __syncthreads();
    int block = gridDim.x - 1 - ticket;
    s.words = (unsigned long long*) ((char*) scratch + HEADER_BYTES) + (size_t) block * STRIP;
    s.tag = launch + 1;
    int from = block * share.length;
    share.items = min(share.length, line - from);
    if (share.items > 0) {
        count_chunks(step, share.strips, from, &first);
        bool whole = s.width % PER16<T> == 0 && is_whole(s.x, s.xStride) && is_whole(s.gates, s.gateStride) && s.gatePlane % PER16<T> == 0
                && (s.gelu == nullptr || is_whole(s.gelu, s.geluStride)) && is_whole(s.out, s.outStride);
        if (whole) {
            walk<T, true>(s, step, share, first, handed);
        } else {
            walk<T, false>(s, step, share, first, handed);
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
    extern "C" __global__ void __launch_bounds__(GROUP * MOST_GROUPS<T>, 1)                                                         \
    rg_lru_scan_##suffix(Step step, const T* x, int xStride, const T* gates, int gateStride, long long gatePlane,                   \
            const float* gateBias, const float* decay, float* h, const T* gelu, int geluStride, T* out, int outStride,              \
            float* scratch, int E) {                                                                                                \
        scan<T>(step, {x, gates, gateBias, decay, h, gelu, out, gatePlane, xStride, gateStride, geluStride, outStride, E, nullptr,  \
                0}, scratch);                                                                                                       \
    }
FOR_BOTH_TYPES(SCAN)
