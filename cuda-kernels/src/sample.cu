// Chooses the next token of every sequence that has an output row. Exact rules: griffin.backend.reference.ReferenceSampling.
//
// The tokens that top-k, top-p and min-p keep are a prefix of the order "falling logit, then rising id", so a cutoff key says it all; the
// draw is then an arg-max of logit / temperature + Gumbel number, in any order.
//
//   sample_scan    marks the step's tokens as seen; per slice of 2,048 tokens: largest key, each warp's largest, sum of exp
//                  (log-probabilities). The last block of a sequence to arrive: the largest key of all, and a bound that surely leaves the
//                  k most likely (near the k-th largest of the warps' maxima)
//   sample_filter  draw from all: each slice's best score. Else: lists the tokens above the bound; sums the weights for top-p
//   sample_choose  one block a sequence. Logits not finite: says so. Else sorts the list, walks it as the reference does, draws. When the
//                  list cannot tell (k above about 600, more than a few hundred tokens in the nucleus, very many equal logits): finds the
//                  cutoff by counting and leaves the draw to
//   sample_draw    each block's best score among the tokens from the cutoff on; the last block to arrive picks. Else it returns at once
//
// All four take SAMPLE_ARGUMENTS. scratch: SampleScratch's bytes (sample.cuh) for each of S sequences, zero before the first launch.
// Launch: scan, filter, draw: grid (up to ceil(V / 2048), S), at best as many blocks as make four a multiprocessor, block 256. choose: grid S,
// block 1024. No dynamic shared memory.
// Bytes a sequence: 4 V twice, from L2. Floor: four launches, about 6 us in a graph. H100, V = 256,000, top-k 40, scan + filter,
// before (each block found the bound, 4-byte loads): 62 us for 8 sequences, 173 us for 32. Predicted now: 10 and 25 us; outcome 22 and
// 55 us; all four launches 20, 32, 69 us for 1, 8, 32 sequences. H200, several slices a block: 21, 28, 51 us; scan alone 24 us for 32
// sequences, filter 18.
#include "sample_choose.cuh"

#define SAMPLE_ARGUMENTS Step step, const float *logits, int stride, unsigned *seen, int seenWords, int V, unsigned char *scratch

/** An order that `want` tokens or a few more reach, as the warps' maxima tell; 0 (all) where they cannot. */
__device__ __forceinline__ unsigned bound_of(const unsigned* maxima, int count, int want) {
    if (want > count || count > RANKED) {
        return 0;
    }
    unsigned mine[RANKED / SLICE_THREADS];
#pragma unroll
    for (int i = 0; i < RANKED / SLICE_THREADS; i++) {
        const int at = i * SLICE_THREADS + int(threadIdx.x);
        mine[i] = at < count ? __ldcg(maxima + at) : 0;
    }
    unsigned bound = 0;
    for (int bit = 31; bit >= 0; bit--) {
        const unsigned trial = bound | 1u << bit;
        int reach = 0;
#pragma unroll
        for (int i = 0; i < RANKED / SLICE_THREADS; i++) {
            reach += mine[i] >= trial;
        }
        // Sums of counts up to 16 in a barrier that only counts threads: one bit of the count at a time.
        int total = 0;
#pragma unroll
        for (int digit = 0; digit < 5; digit++) {
            if (digit > 0 && count <= (SLICE_THREADS << digit) / 2) {
                break; // no thread holds that many
            }
            total += __syncthreads_count(reach >> digit & 1) << digit;
        }
        if (total >= want) {
            bound = trial;
            if (total <= want + min(want / 4, BOUND_SLACK)) {
                break; // as good as the highest: the list is to be sorted anyway
            }
        }
    }
    return bound;
}

/** What the last block of a sequence to arrive makes of all blocks' results: the largest key, and bounds for the lists. */
__device__ __forceinline__ void store_bounds(const Sampler& s, const SampleScratch& to, u64* keys) {
    const u64 top = block_max_of(to.blockMax, to.blocks, keys);
    const int maxima = to.blocks * SLICE_WARPS;
    const int want = s.params.topK > 0 ? s.kept() : min(maxima / 2, TOP_P_GUESS);
    const int alternatives = min(s.alternatives(), s.V);
    const unsigned bound = s.lists() && s.V > CANDIDATES ? bound_of(to.warpMax, maxima, want) : 0;
    const unsigned rawBound = alternatives > 0 ? bound_of(to.rawWarpMax, maxima, alternatives) : 0;
    if (threadIdx.x == 0) {
        to.header->top = top;
        to.header->bound = bound;
        to.header->rawBound = rawBound;
        to.header->arrivals = 0;
    }
}

/** Marks tokens that lie in this block's slices: their words belong to it alone, but for the scrap slot's. */
__device__ __forceinline__ void mark_seen(unsigned* words, int token) {
    if (token >= 0 && token / SLICE % int(gridDim.x) == int(blockIdx.x)) {
        atomicOr(words + (token >> 5), 1u << (token & 31));
    }
}

/** A slice's largest keys and, for log-probabilities, its sum of exp. `keys` may be written again two barriers later. */
__device__ __forceinline__ void scan_slice(const Sampler& s, int slice, const float (&raw)[SLICE_ITEMS], const SampleScratch& to, u64* keys,
                                           u64* rawKeys, double* sums) {
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    const bool penalty = s.params.repetitionPenalty != 1.0f;
    float z[SLICE_ITEMS];
#pragma unroll
    for (int i = 0; i < SLICE_ITEMS; i++) {
        z[i] = penalty && slice_id(slice, i) < s.V ? s.penalized(raw[i], slice_id(slice, i)) : raw[i];
    }
    const u64 best = warp_best(s, slice, z);
    u64 rawBest = 0;
    if (s.params.logProbabilities >= 0) {
        rawBest = penalty ? warp_best(s, slice, raw) : best;
        const u64 rawTop = block_max(rawBest, rawKeys);
        const double max = logit_of(rawTop);
        double sum = 0;
#pragma unroll
        for (int i = 0; i < SLICE_ITEMS; i++) {
            sum += slice_id(slice, i) >= s.V || raw[i] == -INFINITY ? 0.0 : exp(double(raw[i]) - max);
        }
        sum = block_sum(sum, sums);
        if (threadIdx.x == 0) {
            to.rawMax[slice] = rawTop;
            to.rawSum[slice] = sum;
        }
    }
    if (lane == 0) {
        to.warpMax[slice * SLICE_WARPS + warp] = unsigned(best >> 32);
        to.rawWarpMax[slice * SLICE_WARPS + warp] = unsigned(rawBest >> 32);
        keys[warp] = best;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        u64 top = keys[0];
        for (int i = 1; i < SLICE_WARPS; i++) {
            top = keys[i] > top ? keys[i] : top;
        }
        to.blockMax[slice] = top;
    }
}

extern "C" __global__ void __launch_bounds__(SLICE_THREADS, SLICE_BLOCKS) sample_scan(SAMPLE_ARGUMENTS) {
    __shared__ u64 keys[3][WARP];
    __shared__ double sums[WARP];
    __shared__ bool last;
    pdl_launch_dependents();
    const int q = blockIdx.y;
    const bool draws = samples(step, q);
    const bool live = q < step.sequences();
    int row = live ? __ldcg(step.rowStarts + q) + int(threadIdx.x) : 0;
    const int rowEnd = live ? __ldcg(step.rowStarts + q + 1) : 0;
    const int token = row < rowEnd ? __ldcg(step.tokens + row) : -1;
    unsigned* words = seen + (live ? size_t(__ldcg(step.slots + q)) * seenWords : 0);
    Sampler s = {};
    if (draws) {
        s = sampler_of(step, q, logits, stride, seen, seenWords, V);
    }
    pdl_wait();
    mark_seen(words, token);
    for (row += SLICE_THREADS; row < rowEnd; row += SLICE_THREADS) {
        mark_seen(words, __ldcg(step.tokens + row));
    }
    if (!draws) {
        return;
    }
    const SampleScratch to(scratch, q, V);
    Slices slices(s, to.blocks);
    if (s.params.repetitionPenalty != 1.0f) {
        __syncthreads(); // the marks are there
    }
    float raw[SLICE_ITEMS];
    for (int round = 0; slices.advance(raw); round ^= 1) {
        scan_slice(s, slices.slice, raw, to, keys[round], keys[2], sums);
    }
    if (threadIdx.x == 0) {
        __threadfence(); // of what the whole block wrote before the last barrier
        last = atomicAdd(&to.header->arrivals, 1) == int(gridDim.x) - 1;
        __threadfence();
    }
    __syncthreads();
    if (last) {
        store_bounds(s, to, keys[2]);
    }
}

/** Lists a slice's tokens that reach the bounds. */
__device__ __forceinline__ void list_slice(const Sampler& s, int slice, const float (&raw)[SLICE_ITEMS], const SampleScratch& to,
                                           unsigned bound, unsigned rawBound) {
    float z[SLICE_ITEMS];
    bool listed = false, rawListed = false;
#pragma unroll
    for (int i = 0; i < SLICE_ITEMS; i++) {
        const bool there = slice_id(slice, i) < s.V;
        z[i] = there ? s.penalized(raw[i], slice_id(slice, i)) : raw[i];
        listed |= there && order_of(z[i]) >= bound;
        rawListed |= there && order_of(raw[i]) >= rawBound;
    }
    if (s.lists() && __any_sync(ALL_LANES, listed)) { // rare
#pragma unroll
        for (int i = 0; i < SLICE_ITEMS; i++) {
            const int id = slice_id(slice, i);
            append(id < s.V && order_of(z[i]) >= bound, key_of(z[i], id), to.list, CANDIDATES, &to.header->candidates);
        }
    }
    if (s.alternatives() > 0 && __any_sync(ALL_LANES, rawListed)) {
#pragma unroll
        for (int i = 0; i < SLICE_ITEMS; i++) {
            const int id = slice_id(slice, i);
            append(id < s.V && order_of(raw[i]) >= rawBound, key_of(raw[i], id), to.rawList, RAW_CANDIDATES, &to.header->rawCandidates);
        }
    }
}

/** The sum of a slice's weights, for top-p. */
__device__ __forceinline__ void weigh_slice(const Sampler& s, int slice, const float (&raw)[SLICE_ITEMS], float max, const SampleScratch& to,
                                            double* sums) {
    double weights = 0;
#pragma unroll
    for (int i = 0; i < SLICE_ITEMS; i++) {
        const int id = slice_id(slice, i);
        weights += id < s.V ? s.weight(s.penalized(raw[i], id), max) : 0.0;
    }
    __syncthreads(); // the sums of the last slice have been read
    weights = block_sum(weights, sums);
    if (threadIdx.x == 0) {
        to.weight[slice] = weights;
    }
}

/** The best score of a slice, to draw from all. */
__device__ __forceinline__ void score_slice(const Sampler& s, int slice, float max, const SampleScratch& to, u64* keys) {
    u64 best = 0;
#pragma unroll 1
    for (int i = 0; i < SLICE_ITEMS; i++) {
        const int id = slice_id(slice, i);
        const float logit = id < s.V ? s.logit(id) : 0.0f; // again: registers cannot be indexed
        if (id < s.V && (s.params.minP == 0.0f || s.weight(logit, max) >= double(s.params.minP))) {
            const u64 score = key_of(s.score(logit, max, id), id);
            best = score > best ? score : best;
        }
    }
    __syncthreads(); // the keys of the last slice have been read
    best = block_max(best, keys);
    if (threadIdx.x == 0) {
        to.score[slice] = best;
    }
}

extern "C" __global__ void __launch_bounds__(SLICE_THREADS, SLICE_BLOCKS) sample_filter(SAMPLE_ARGUMENTS) {
    __shared__ u64 keys[WARP];
    __shared__ double sums[WARP];
    pdl_launch_dependents();
    const int q = blockIdx.y;
    const bool draws = samples(step, q);
    Sampler s = {};
    if (draws) {
        s = sampler_of(step, q, logits, stride, seen, seenWords, V);
    }
    pdl_wait();
    const int alternatives = min(s.alternatives(), V);
    if (!draws || (s.params.greedy() && alternatives == 0)) {
        return;
    }
    const SampleScratch to(scratch, q, V);
    Slices slices(s, to.blocks);
    const unsigned bound = __ldcg(&to.header->bound), rawBound = __ldcg(&to.header->rawBound);
    const float max = logit_of(__ldcg(&to.header->top));
    float raw[SLICE_ITEMS];
    while (slices.advance(raw)) {
        list_slice(s, slices.slice, raw, to, bound, rawBound);
        if (s.lists() && s.params.topK == 0) {
            weigh_slice(s, slices.slice, raw, max, to, sums);
        } else if (!s.lists() && !s.params.greedy()) {
            score_slice(s, slices.slice, max, to, keys);
        }
    }
}

extern "C" __global__ void __launch_bounds__(CHOOSE_THREADS) sample_choose(SAMPLE_ARGUMENTS) {
    __shared__ ChooseShared shared;
    pdl_launch_dependents();
    const int q = blockIdx.x;
    const bool draws = samples(step, q);
    Sampler s = {};
    if (draws) {
        s = sampler_of(step, q, logits, stride, seen, seenWords, V);
    }
    pdl_wait();
    if (q >= step.sequences()) {
        return;
    }
    if (!draws) {
        if (threadIdx.x == 0) {
            step.ids[q] = -1;
            step.logProbabilities[q] = NAN;
        }
        return;
    }
    const SampleScratch from(scratch, q, V);
    const int found = __ldcg(&from.header->candidates), rawFound = __ldcg(&from.header->rawCandidates);
    const u64 top = __ldcg(&from.header->top);
    if (not_finite(top)) {
        store_not_finite(step, q, *from.header);
        return;
    }
    double logSum = 0;
    if (s.params.logProbabilities >= 0) {
        const float max = logit_of(block_max_of(from.rawMax, from.blocks, shared.maxima));
        double sum = 0;
        for (int i = threadIdx.x; i < from.blocks; i += blockDim.x) {
            sum += __ldcg(from.rawSum + i) * exp(double(logit_of(__ldcg(from.rawMax + i))) - double(max));
        }
        logSum = double(max) + log(block_sum(sum, shared.sums));
        __syncthreads();
        alternatives_of(step, q, s, from, rawFound, logSum, shared);
    }
    int id = -1;
    if (s.params.greedy()) {
        id = id_of(top);
    } else if (s.draws_from_all()) {
        id = id_of(block_max_of(from.score, from.blocks, shared.maxima));
    } else if (found <= CANDIDATES) {
        id = draw_from_list(s, from, found, shared);
    }
    u64 cutoff = 0;
    if (id < 0) {
        __syncthreads();
        cutoff = slow_cutoff(s, logit_of(top), shared.cutoff, shared.sums);
    }
    if (threadIdx.x == 0) {
        from.header->candidates = from.header->rawCandidates = 0;
        from.header->needDraw = id < 0;
        from.header->cutoff = cutoff;
        from.header->logSum = logSum;
        if (id >= 0) {
            store_choice(step, q, s, id, logSum);
        }
    }
}

extern "C" __global__ void __launch_bounds__(SLICE_THREADS) sample_draw(SAMPLE_ARGUMENTS) {
    __shared__ u64 keys[2][WARP];
    __shared__ bool last;
    pdl_launch_dependents();
    pdl_wait();
    const int q = blockIdx.y;
    if (!samples(step, q)) {
        return;
    }
    const SampleScratch to(scratch, q, V);
    if (__ldcg(&to.header->needDraw) == 0) {
        return;
    }
    const Sampler s = sampler_of(step, q, logits, stride, seen, seenWords, V);
    const u64 cutoff = __ldcg(&to.header->cutoff);
    const float max = logit_of(__ldcg(&to.header->top));
    u64 best = 0;
    for (int first = blockIdx.x * SLICE_THREADS; first < V; first += gridDim.x * SLICE_THREADS) {
        const int id = first + int(threadIdx.x);
        if (id < V) {
            const float z = s.logit(id);
            if (key_of(z, id) >= cutoff && s.weight(z, max) >= double(s.params.minP)) {
                const u64 score = key_of(s.score(z, max, id), id);
                best = score > best ? score : best;
            }
        }
    }
    best = block_max(best, keys[0]);
    if (threadIdx.x == 0) {
        to.score[blockIdx.x] = best;
        __threadfence();
        last = atomicAdd(&to.header->arrivals, 1) == int(gridDim.x) - 1;
    }
    __syncthreads();
    if (!last) {
        return;
    }
    __threadfence();
    best = block_max_of(to.score, gridDim.x, keys[1]);
    if (threadIdx.x == 0) {
        to.header->arrivals = 0;
        store_choice(step, q, s, id_of(best), to.header->logSum);
    }
}
