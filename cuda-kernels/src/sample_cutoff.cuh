// The slow path of sampling: the smallest key that top-k and top-p keep, by counting digits over the whole vocabulary. One block.
// Weights are added as integers (2^-40 units), so the order of addition does not matter.
#pragma once

#include "sample.cuh"

constexpr int DIGIT_BINS = 2048;
constexpr double WEIGHT_UNITS = 0x1p40;

struct CutoffShared {
    u64 bins[DIGIT_BINS];
    u64 before; // measure of everything above the bin that was found
    int bin;
    int counts[CHOOSE_THREADS];
};

/** Bits [low, low + width) of an order, from the top: 11, 11, 10. */
struct Digit {
    int low, width;
};
__device__ __forceinline__ Digit digit(int pass) { return pass == 0 ? Digit{21, 11} : pass == 1 ? Digit{10, 11} : Digit{0, 10}; }

/** Key of tie number `ordinal` (from 0, by rising id) among the tokens whose order is `order`. */
__device__ __forceinline__ u64 tie_key(const Sampler& s, unsigned order, u64 ordinal, CutoffShared& shared) {
    const int part = (s.V + blockDim.x - 1) / blockDim.x, first = threadIdx.x * part, last = min(s.V, first + part);
    int count = 0;
    for (int id = first; id < last; id++) {
        count += order_of(s.logit(id)) == order;
    }
    shared.counts[threadIdx.x] = count;
    if (threadIdx.x == 0) {
        shared.before = 0; // every tie, if there are fewer
    }
    __syncthreads();
    u64 before = 0;
    for (int i = 0; i < int(threadIdx.x); i++) {
        before += shared.counts[i];
    }
    if (ordinal >= before && ordinal < before + count) {
        u64 left = ordinal - before;
        for (int id = first; id < last; id++) {
            if (order_of(s.logit(id)) == order && left-- == 0) {
                shared.before = u64(order) << 32 | unsigned(~id);
                break;
            }
        }
    }
    __syncthreads();
    u64 key = shared.before;
    __syncthreads();
    return key != 0 ? key : u64(order) << 32;
}

/**
 * The key at which the measure of all tokens with at least that key first reaches `target` (above 0); 0 when it never does. The measure of
 * a token is 1, or its weight when `weighed`. Only tokens with at least the key `floor` count.
 */
__device__ __forceinline__ u64 cutoff_at(const Sampler& s, float max, bool weighed, u64 target, u64 floor, CutoffShared& shared) {
    unsigned prefix = 0;
    u64 before = 0, last = 1;
    for (int pass = 0; pass < 3; pass++) {
        const Digit d = digit(pass);
        for (int i = threadIdx.x; i < DIGIT_BINS; i += blockDim.x) {
            shared.bins[i] = 0;
        }
        __syncthreads();
        for (int id = threadIdx.x; id < s.V; id += blockDim.x) {
            const float z = s.logit(id);
            const unsigned order = order_of(z);
            const bool matches = pass == 0 || order >> (d.low + d.width) == prefix;
            if (matches && key_of(z, id) >= floor) {
                atomicAdd(&shared.bins[order >> d.low & ((1u << d.width) - 1)], weighed ? u64(s.weight(z, max) * WEIGHT_UNITS) : u64(1));
            }
        }
        __syncthreads();
        if (threadIdx.x == 0) {
            u64 sum = before;
            int bin = (1 << d.width) - 1;
            while (bin >= 0 && sum + shared.bins[bin] < target) {
                sum += shared.bins[bin--];
            }
            shared.bin = bin;
            shared.before = sum;
        }
        __syncthreads();
        const int bin = shared.bin;
        before = shared.before;
        last = bin >= 0 ? shared.bins[bin] : 0;
        __syncthreads();
        if (bin < 0) {
            return 0;
        }
        prefix = prefix << d.width | unsigned(bin);
    }
    // Equal logits weigh the same: how many of them it takes.
    const u64 each = weighed ? u64(s.weight(value_of(prefix), max) * WEIGHT_UNITS) : u64(1);
    const u64 ties = each == 0 ? last : (target - before + each - 1) / each;
    return tie_key(s, prefix, ties - 1, shared);
}

/** The smallest key that top-k and top-p keep. */
__device__ __forceinline__ u64 slow_cutoff(const Sampler& s, float max, CutoffShared& shared, double* sums) {
    u64 cutoff = s.kept() < s.V ? cutoff_at(s, max, false, u64(s.kept()), 0, shared) : 0;
    if (s.params.topP < 1.0f) {
        double total = 0;
        for (int id = threadIdx.x; id < s.V; id += blockDim.x) {
            const float z = s.logit(id);
            total += key_of(z, id) >= cutoff ? s.weight(z, max) : 0.0;
        }
        total = block_sum(total, sums);
        const u64 target = u64(ceil(double(s.params.topP) * total * WEIGHT_UNITS));
        const u64 nucleus = cutoff_at(s, max, true, target > 0 ? target : 1, cutoff, shared);
        cutoff = nucleus > cutoff ? nucleus : cutoff;
    }
    return cutoff;
}
