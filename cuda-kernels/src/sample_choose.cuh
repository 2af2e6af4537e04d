// What sample_choose of sample.cu does with the lists: sorts, walks and draws as the reference does, and stores the result.
#pragma once

#include "sample.cuh"
#include "sample_cutoff.cuh"

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
