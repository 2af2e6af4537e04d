// Chooses the next token of every sequence that has an output row. Exact rules: griffin.backend.reference.ReferenceSampling.
//
// The tokens that top-k, top-p and min-p keep are a prefix of the order "falling logit, then rising id", so a cutoff key says it all; the
// draw is then an arg-max of logit / temperature + Gumbel number, in any order.
//
//   sample_scan    marks the step's tokens as seen; per block of 2,048 tokens: largest key, each warp's largest, sum of exp
//                  (log-probabilities). The last block of a sequence to arrive: the largest key of all, and a bound that surely leaves the
//                  k most likely (near the k-th largest of the warps' maxima)
//   sample_filter  draw from all: each block's best score. Else: lists the tokens above the bound; sums the weights for top-p
//   sample_choose  one block a sequence. Logits not finite: says so. Else sorts the list, walks it as the reference does, draws. When the
//                  list cannot tell (k above about 600, more than a few hundred tokens in the nucleus, very many equal logits): finds the
//                  cutoff by counting and leaves the draw to
//   sample_draw    each block's best score among the tokens from the cutoff on; the last block to arrive picks. Else it returns at once
//
// All four take SAMPLE_ARGUMENTS. scratch: SampleScratch's bytes (sample.cuh) for each of S sequences, zero before the first launch.
// Launch: scan, filter, draw: grid (ceil(V / 2048), S), block 256. choose: grid S, block 1024. No dynamic shared memory.
// Bytes a sequence: 4 V twice, from L2. Floor: four launches, about 6 us in a graph. H100, V = 256,000, top-k 40, scan + filter,
// before (each block found the bound, 4-byte loads): 62 us for 8 sequences, 173 us for 32. Predicted now: 10 and 25 us; outcome 22 and
// 55 us. All four launches: 20, 32, 69 us for 1, 8, 32 sequences.
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

/** Marks tokens that lie in this block's slice: their words belong to it alone, but for the scrap slot's. */
__device__ __forceinline__ void mark_seen(unsigned* words, int token) {
    if (token >= 0 && token / SLICE == int(blockIdx.x)) {
        atomicOr(words + (token >> 5), 1u << (token & 31));
    }
}

extern "C" __global__ void __launch_bounds__(SLICE_THREADS, SLICE_BLOCKS) sample_scan(SAMPLE_ARGUMENTS) {
    __shared__ u64 keys[2][WARP];
    __shared__ double sums[WARP];
    __shared__ bool last;
    pdl_launch_dependents();
    const int q = blockIdx.y, warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
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
    float raw[SLICE_ITEMS], z[SLICE_ITEMS];
    if (draws) {
        load_slice(s, raw);
    }
    mark_seen(words, token);
    for (row += SLICE_THREADS; row < rowEnd; row += SLICE_THREADS) {
        mark_seen(words, __ldcg(step.tokens + row));
    }
    if (!draws) {
        return;
    }
    const bool penalty = s.params.repetitionPenalty != 1.0f;
    if (penalty) {
        __syncthreads(); // the marks are there
    }
#pragma unroll
    for (int i = 0; i < SLICE_ITEMS; i++) {
        z[i] = penalty && slice_id(i) < V ? s.penalized(raw[i], slice_id(i)) : raw[i];
    }
    const SampleScratch to(scratch, q, V);
    const u64 best = warp_best(s, z);
    u64 rawBest = 0;
    if (s.params.logProbabilities >= 0) {
        rawBest = penalty ? warp_best(s, raw) : best;
        const u64 rawTop = block_max(rawBest, keys[1]);
        const double max = logit_of(rawTop);
        double sum = 0;
#pragma unroll
        for (int i = 0; i < SLICE_ITEMS; i++) {
            sum += slice_id(i) >= V || raw[i] == -INFINITY ? 0.0 : exp(double(raw[i]) - max);
        }
        sum = block_sum(sum, sums);
        if (threadIdx.x == 0) {
            to.rawMax[blockIdx.x] = rawTop;
            to.rawSum[blockIdx.x] = sum;
        }
    }
    if (lane == 0) {
        to.warpMax[blockIdx.x * SLICE_WARPS + warp] = unsigned(best >> 32);
        to.rawWarpMax[blockIdx.x * SLICE_WARPS + warp] = unsigned(rawBest >> 32);
        keys[0][warp] = best;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        u64 top = keys[0][0];
        for (int i = 1; i < SLICE_WARPS; i++) {
            top = keys[0][i] > top ? keys[0][i] : top;
        }
        to.blockMax[blockIdx.x] = top;
        __threadfence(); // of what the whole block wrote before the barrier
        last = atomicAdd(&to.header->arrivals, 1) == to.blocks - 1;
        __threadfence();
    }
    __syncthreads();
    if (last) {
        store_bounds(s, to, keys[1]);
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
    float raw[SLICE_ITEMS], z[SLICE_ITEMS];
    load_slice(s, raw);
    const unsigned bound = __ldcg(&to.header->bound), rawBound = __ldcg(&to.header->rawBound);
    const float max = logit_of(__ldcg(&to.header->top));
    bool listed = false, rawListed = false;
#pragma unroll
    for (int i = 0; i < SLICE_ITEMS; i++) {
        const bool there = slice_id(i) < V;
        z[i] = there ? s.penalized(raw[i], slice_id(i)) : raw[i];
        listed |= there && order_of(z[i]) >= bound;
        rawListed |= there && order_of(raw[i]) >= rawBound;
    }
    if (s.lists() && __any_sync(ALL_LANES, listed)) { // rare
#pragma unroll
        for (int i = 0; i < SLICE_ITEMS; i++) {
            append(slice_id(i) < V && order_of(z[i]) >= bound, key_of(z[i], slice_id(i)), to.list, CANDIDATES, &to.header->candidates);
        }
    }
    if (alternatives > 0 && __any_sync(ALL_LANES, rawListed)) {
#pragma unroll
        for (int i = 0; i < SLICE_ITEMS; i++) {
            append(slice_id(i) < V && order_of(raw[i]) >= rawBound, key_of(raw[i], slice_id(i)), to.rawList, RAW_CANDIDATES,
                   &to.header->rawCandidates);
        }
    }
    if (s.lists() && s.params.topK == 0) {
        double weights = 0;
#pragma unroll
        for (int i = 0; i < SLICE_ITEMS; i++) {
            weights += slice_id(i) < V ? s.weight(z[i], max) : 0.0;
        }
        weights = block_sum(weights, sums);
        if (threadIdx.x == 0) {
            to.weight[blockIdx.x] = weights;
        }
    } else if (!s.lists() && !s.params.greedy()) {
        u64 best = 0;
#pragma unroll 1
        for (int i = 0; i < SLICE_ITEMS; i++) {
            const int id = slice_id(i);
            const float logit = id < V ? s.logit(id) : 0.0f; // again: registers cannot be indexed
            if (id < V && (s.params.minP == 0.0f || s.weight(logit, max) >= double(s.params.minP))) {
                const u64 score = key_of(s.score(logit, max, id), id);
                best = score > best ? score : best;
            }
        }
        best = block_max(best, keys);
        if (threadIdx.x == 0) {
            to.score[blockIdx.x] = best;
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
    for (int i = 0; i < SLICE_ITEMS; i++) {
        const int id = blockIdx.x * SLICE + i * SLICE_THREADS + int(threadIdx.x);
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
        last = atomicAdd(&to.header->arrivals, 1) == to.blocks - 1;
    }
    __syncthreads();
    if (!last) {
        return;
    }
    __threadfence();
    best = block_max_of(to.score, to.blocks, keys[1]);
    if (threadIdx.x == 0) {
        to.header->arrivals = 0;
        store_choice(step, q, s, id_of(best), to.header->logSum);
    }
}
