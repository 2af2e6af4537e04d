// Chooses the next token of every sequence that has an output row. Exact rules: griffin.backend.reference.ReferenceSampling.
//
// The tokens that top-k, top-p and min-p keep are a prefix of the order "falling logit, then rising id", so a cutoff key says it all; the
// draw is then an arg-max of logit / temperature + Gumbel number, in any order.
//
//   sample_scan    marks the step's tokens as seen; per block of 2,048 tokens: largest key, each warp's largest, sum of exp
//                  (log-probabilities)
//   sample_filter  draw from all: each block's best score. Else: lists the tokens above a bound that surely leaves the k most likely (the
//                  k-th largest of the warps' maxima); sums the weights for top-p
//   sample_choose  one block a sequence. Logits not finite: says so. Else sorts the list, walks it as the reference does, draws. When the
//                  list cannot tell (k above about 600, more than a few hundred tokens in the nucleus, very many equal logits): finds the
//                  cutoff by counting and leaves the draw to
//   sample_draw    each block's best score among the tokens from the cutoff on; the last block to arrive picks. Else it returns at once
//
// All four take SAMPLE_ARGUMENTS. scratch: SampleScratch's bytes (sample.cuh) for each of S sequences, zero before the first launch.
// Launch: scan, filter, draw: grid (ceil(V / 2048), S), block 256. choose: grid S, block 1024. No dynamic shared memory.
// Bytes a sequence: 4 V twice, from L2. Floor: four launches, about 6 us in a graph.
#include "sample.cuh"
#include "sample_cutoff.cuh"

#define SAMPLE_ARGUMENTS Step step, const float *logits, int stride, unsigned *seen, int seenWords, int V, unsigned char *scratch

extern "C" __global__ void __launch_bounds__(SLICE_THREADS) sample_scan(SAMPLE_ARGUMENTS) {
    __shared__ u64 keys[WARP];
    __shared__ double sums[WARP];
    pdl_launch_dependents();
    pdl_wait();
    const int q = blockIdx.y, warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    if (q >= step.sequences()) {
        return;
    }
    const int first = blockIdx.x * SLICE, last = min(V, first + SLICE);
    // The words of these tokens belong to this block alone, but for the scrap slot, which sequences share.
    unsigned* words = seen + size_t(__ldcg(step.slots + q)) * seenWords;
    const int rowEnd = __ldcg(step.rowStarts + q + 1);
    for (int m = __ldcg(step.rowStarts + q) + threadIdx.x; m < rowEnd; m += blockDim.x) {
        const int token = __ldcg(step.tokens + m);
        if (token >= first && token < last) {
            atomicOr(words + (token >> 5), 1u << (token & 31));
        }
    }
    __syncthreads();
    if (!samples(step, q)) {
        return;
    }
    const Sampler s = sampler_of(step, q, logits, stride, seen, seenWords, V);
    const SampleScratch to(scratch, q, V);
    const bool logProbabilities = s.params.logProbabilities >= 0;
    u64 best = 0, rawBest = 0;
    float raw[SLICE_ITEMS];
#pragma unroll
    for (int i = 0; i < SLICE_ITEMS; i++) {
        const int id = first + i * SLICE_THREADS + int(threadIdx.x);
        raw[i] = id < last ? s.raw(id) : -INFINITY;
        if (id < last) {
            const u64 key = key_of(s.logit(id), id), rawKey = key_of(raw[i], id);
            best = key > best ? key : best;
            rawBest = rawKey > rawBest ? rawKey : rawBest;
        }
    }
    best = warp_max(best);
    rawBest = warp_max(rawBest);
    if (lane == 0) {
        to.warpMax[blockIdx.x * SLICE_WARPS + warp] = unsigned(best >> 32);
        to.rawWarpMax[blockIdx.x * SLICE_WARPS + warp] = unsigned(rawBest >> 32);
    }
    best = block_max(best, keys);
    if (threadIdx.x == 0) {
        to.blockMax[blockIdx.x] = best;
    }
    if (logProbabilities) {
        __syncthreads();
        rawBest = block_max(rawBest, keys);
        const double max = logit_of(rawBest);
        double sum = 0;
#pragma unroll
        for (int i = 0; i < SLICE_ITEMS; i++) {
            sum += raw[i] == -INFINITY ? 0.0 : exp(double(raw[i]) - max);
        }
        sum = block_sum(sum, sums);
        if (threadIdx.x == 0) {
            to.rawMax[blockIdx.x] = rawBest;
            to.rawSum[blockIdx.x] = sum;
        }
    }
}

/** An order that at least `want` tokens reach, as high as the warps' maxima can tell; 0 (all) where they cannot. */
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
        bound = total >= want ? trial : bound;
    }
    return bound;
}

extern "C" __global__ void __launch_bounds__(SLICE_THREADS) sample_filter(SAMPLE_ARGUMENTS) {
    __shared__ u64 keys[2][WARP];
    __shared__ double sums[WARP];
    pdl_launch_dependents();
    pdl_wait();
    const int q = blockIdx.y;
    if (!samples(step, q)) {
        return;
    }
    const Sampler s = sampler_of(step, q, logits, stride, seen, seenWords, V);
    const SampleScratch to(scratch, q, V);
    const bool greedy = s.params.greedy(), all = !greedy && s.draws_from_all(), listed = !greedy && !all;
    const int alternatives = min(s.alternatives(), V);
    if (greedy && alternatives == 0) {
        return;
    }
    const float max = logit_of(block_max_of(to.blockMax, to.blocks, keys[0]));
    const int maxima = to.blocks * SLICE_WARPS;
    const int want = s.params.topK > 0 ? s.kept() : min(maxima / 2, TOP_P_GUESS);
    const unsigned bound = listed && V > CANDIDATES ? bound_of(to.warpMax, maxima, want) : 0;
    const unsigned rawBound = alternatives > 0 ? bound_of(to.rawWarpMax, maxima, alternatives) : 0;
    u64 best = 0;
    double weights = 0;
    for (int i = 0; i < SLICE_ITEMS; i++) {
        const int id = blockIdx.x * SLICE + i * SLICE_THREADS + int(threadIdx.x);
        if (id >= V) {
            break;
        }
        const float z = s.logit(id);
        if (listed && order_of(z) >= bound) {
            const int at = atomicAdd(&to.header->candidates, 1);
            if (at < CANDIDATES) {
                to.list[at] = key_of(z, id);
            }
        }
        if (alternatives > 0 && order_of(s.raw(id)) >= rawBound) {
            const int at = atomicAdd(&to.header->rawCandidates, 1);
            if (at < RAW_CANDIDATES) {
                to.rawList[at] = key_of(s.raw(id), id);
            }
        }
        if (all && (s.params.minP == 0.0f || s.weight(z, max) >= double(s.params.minP))) {
            const u64 score = key_of(s.score(z, max, id), id);
            best = score > best ? score : best;
        }
        weights += listed && s.params.topK == 0 ? s.weight(z, max) : 0.0;
    }
    best = block_max(best, keys[1]);
    weights = block_sum(weights, sums);
    if (threadIdx.x == 0) {
        to.score[blockIdx.x] = best;
        to.weight[blockIdx.x] = weights;
    }
}

struct ChooseShared {
    union {
        struct {
            u64 keys[CANDIDATES];
            double weights[CANDIDATES];
        } list;
        CutoffShared cutoff;
    };
    u64 maxima[WARP];
    double sums[WARP];
    int count;
};

/** Sum of values[0, count) in a fixed order, in every thread. */
__device__ __forceinline__ double block_sum_of(const double* values, int count, double* sums) {
    double sum = 0;
    for (int i = threadIdx.x; i < count; i += blockDim.x) {
        sum += __ldcg(values + i);
    }
    sum = block_sum(sum, sums);
    __syncthreads();
    return sum;
}

/** Draws from the sorted list, or returns -1 when the list does not hold all that top-p keeps. */
__device__ __forceinline__ int draw_from_list(const Sampler& s, const SampleScratch& from, int found, ChooseShared& shared) {
    const int count = min(found, s.kept()); // with top-k the list holds the k most likely
    for (int i = threadIdx.x; i < found; i += blockDim.x) {
        shared.list.keys[i] = __ldcg(from.list + i);
    }
    __syncthreads();
    sort_falling(shared.list.keys, found);
    const float max = logit_of(shared.list.keys[0]);
    for (int i = threadIdx.x; i < count; i += blockDim.x) {
        shared.list.weights[i] = s.weight(logit_of(shared.list.keys[i]), max);
    }
    double total = s.params.topP < 1.0f && s.params.topK == 0 ? block_sum_of(from.weight, from.blocks, shared.sums) : 0;
    __syncthreads();
    if (threadIdx.x == 0) {
        int kept = count;
        if (s.params.topP < 1.0f) {
            for (int i = 0; i < count && s.params.topK > 0; i++) {
                total += shared.list.weights[i];
            }
            double mass = 0;
            kept = 0;
            while (kept < count && (kept == 0 || mass < double(s.params.topP) * total)) {
                mass += shared.list.weights[kept++];
            }
            if (kept == count && s.params.topK == 0 && count < s.V && mass < double(s.params.topP) * total) {
                kept = -1;
            }
        }
        shared.count = kept;
    }
    __syncthreads();
    const int kept = shared.count;
    u64 best = 0;
    for (int i = threadIdx.x; i < kept; i += blockDim.x) {
        if (i == 0 || shared.list.weights[i] >= double(s.params.minP)) {
            const u64 key = shared.list.keys[i];
            const u64 score = key_of(s.score(logit_of(key), max, id_of(key)), id_of(key));
            best = score > best ? score : best;
        }
    }
    best = block_max(best, shared.maxima);
    __syncthreads();
    return kept < 0 ? -1 : id_of(best);
}

/** The n most likely tokens by raw logit and their log-probabilities. */
__device__ __forceinline__ void alternatives_of(const Step& step, int q, const Sampler& s, const SampleScratch& from, int found,
                                                double logSum, ChooseShared& shared) {
    const int wanted = s.alternatives(), n = min(wanted, s.V);
    if (found <= RAW_CANDIDATES) {
        for (int i = threadIdx.x; i < found; i += blockDim.x) {
            shared.list.keys[i] = __ldcg(from.rawList + i);
        }
        __syncthreads();
        sort_falling(shared.list.keys, found);
    } else { // very many equal logits: one pass a token
        u64 below = ~u64(0);
        for (int i = 0; i < n; i++) {
            u64 best = 0;
            for (int id = threadIdx.x; id < s.V; id += blockDim.x) {
                const u64 key = key_of(s.raw(id), id);
                best = key < below && key > best ? key : best;
            }
            below = block_max(best, shared.maxima);
            __syncthreads();
            if (threadIdx.x == 0) {
                shared.list.keys[i] = below;
            }
        }
        __syncthreads();
    }
    for (int i = threadIdx.x; i < wanted; i += blockDim.x) {
        const int at = q * MAX_ALTERNATIVES + i;
        step.alternativeIds[at] = i < n ? id_of(shared.list.keys[i]) : -1;
        step.alternativeLogProbabilities[at] = i < n ? float(double(logit_of(shared.list.keys[i])) - logSum) : -INFINITY;
    }
    __syncthreads();
}

/** No token, no log-probabilities: griffin.backend.StepResult.setNotFinite. */
__device__ __forceinline__ void store_not_finite(const Step& step, int q, SampleHeader& header) {
    if (threadIdx.x == 0) {
        header.candidates = header.rawCandidates = header.needDraw = 0;
        step.ids[q] = NOT_FINITE;
        step.logProbabilities[q] = NAN;
    }
    for (int i = threadIdx.x; i < MAX_ALTERNATIVES; i += blockDim.x) {
        step.alternativeIds[q * MAX_ALTERNATIVES + i] = -1;
        step.alternativeLogProbabilities[q * MAX_ALTERNATIVES + i] = -INFINITY;
    }
}

__device__ __forceinline__ void store_choice(const Step& step, int q, const Sampler& s, int id, double logSum) {
    step.ids[q] = id;
    step.logProbabilities[q] = s.params.logProbabilities >= 0 ? float(double(s.raw(id)) - logSum) : NAN;
}

extern "C" __global__ void __launch_bounds__(CHOOSE_THREADS) sample_choose(SAMPLE_ARGUMENTS) {
    __shared__ ChooseShared shared;
    pdl_launch_dependents();
    pdl_wait();
    const int q = blockIdx.x;
    if (q >= step.sequences()) {
        return;
    }
    if (!samples(step, q)) {
        if (threadIdx.x == 0) {
            step.ids[q] = -1;
            step.logProbabilities[q] = NAN;
        }
        return;
    }
    const Sampler s = sampler_of(step, q, logits, stride, seen, seenWords, V);
    const SampleScratch from(scratch, q, V);
    const int found = __ldcg(&from.header->candidates), rawFound = __ldcg(&from.header->rawCandidates);
    const u64 top = block_max_of(from.blockMax, from.blocks, shared.maxima);
    __syncthreads();
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
    __shared__ u64 keys[3][WARP];
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
    const float max = logit_of(block_max_of(to.blockMax, to.blocks, keys[0]));
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
    best = block_max(best, keys[1]);
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
    best = block_max_of(to.score, to.blocks, keys[2]);
    if (threadIdx.x == 0) {
        to.header->arrivals = 0;
        store_choice(step, q, s, id_of(best), to.header->logSum);
    }
}
