// The arithmetic of the RG-LRU of a prefill step, for the neighbouring channels of a lane: from gate pre-activations to the map of a row,
// maps one after the other, and the gelu branch. Included by rg_lru.cu only.
#pragma once

#include "prefill.cuh"

namespace {

__device__ __forceinline__ float multiply(float a, float b) {
    return a * b;
}

__device__ __forceinline__ float2 multiply(float2 a, float2 b) {
    return {a.x * b.x, a.y * b.y};
}

__device__ __forceinline__ float multiply_add(float a, float b, float c) {
    return fmaf(a, b, c);
}

__device__ __forceinline__ float2 multiply_add(float2 a, float2 b, float2 c) {
    return {fmaf(a.x, b.x, c.x), fmaf(a.y, b.y, c.y)};
}

/** h -> a h + b, for each channel of V. A row is one, and so are several rows. */
template <typename V> struct Map {
    V a, b;
};

template <typename V> __device__ __forceinline__ V apply(const Map<V>& m, V h) {
    return multiply_add(m.a, h, m.b);
}

/** `first`, then `second`. Products of a may underflow to 0, which is right; nothing is ever divided by one. */
template <typename V> __device__ __forceinline__ Map<V> then(const Map<V>& first, const Map<V>& second) {
    return {multiply(second.a, first.a), apply(second, first.b)};
}

/**
 * Gate<T>: a lane has 4 bytes of a row, Raw as it lies in memory and Values as floats. map: the map of a row. Where `fixed`, log a is `logA`
 * whatever the gate says: minus infinity makes a = 0 and g = 1 exactly (a reset), 0 makes a = 1 and g = 0 exactly (no row, when x is 0).
 */
template <typename T> struct Gate;

/** float32 operands: the library's accurate functions. */
template <> struct Gate<float> {
    using Raw = float;
    using Values = float;

    struct Weights {
        float biasI, biasR, decay;
    };

    static __device__ __forceinline__ Values nothing(float v) {
        return v;
    }
    static __device__ __forceinline__ Weights weights(float biasI, float biasR, float decay) {
        return {biasI, biasR, decay};
    }
    static __device__ __forceinline__ Map<float> map(float i, float r, float x, const Weights& w, bool fixed, float fixedLogA) {
        float logA = w.decay / (1 + expf(-(r + w.biasR)));
        float gated = x / (1 + expf(-(i + w.biasI)));
        float p = expm1f(fixed ? fixedLogA : logA);   // a = 1 + p keeps all of float32 where a is near 1, and 1 - a^2 does not cancel
        return {1 + p, sqrtf(-p * (2 + p)) * gated};
    }
    static __device__ __forceinline__ float gelu(float y) {
        float u = 0.797884561f * (y + 0.044715f * y * y * y);
        return y / (1 + expf(-2 * u));
    }
};

__device__ __forceinline__ float sqrt_fast(float v) {
    float y;
    asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(v));
    return y;
}

__device__ __forceinline__ float2 widen(unsigned pair) {
    return {low_half(pair), high_half(pair)};
}

/** The larger of each half; a NaN stays one. */
__device__ __forceinline__ unsigned larger(unsigned a, unsigned b) {
    __nv_bfloat162 most = __hmax2_nan(*(__nv_bfloat162*) &a, *(__nv_bfloat162*) &b);
    return *(unsigned*) &most;
}

/**
 * bf16 operands: the same formulas, 6 special functions an element: the four denominators of two channels' gates share a reciprocal, that
 * of their product times the others, and so do the two of the gelu branch. Weights are scaled so that exponents are of 2.
 */
template <> struct Gate<bf16> {
    using Raw = unsigned;
    using Values = float2;

    /** Largest exponent of a gate's denominator: 1 / (1 + 2^30) is 0 for every purpose, and four may be multiplied. */
    static constexpr float LIMIT = 30;
    /** -7 in both halves: gelu of less is 0 for every purpose, and its denominator is 2^51. */
    static constexpr unsigned LEAST_BRANCH = 0xc0e0c0e0;

    struct Weights {
        float2 biasI, biasR, decay;
        unsigned leastI, leastR;   // pre-activations at the limit
    };

    static __device__ __forceinline__ Values nothing(float v) {
        return {v, v};
    }
    static __device__ __forceinline__ unsigned least(float2 bias) {
        bf16 x = __float2bfloat16_ru(-LIMIT / LOG2_E - bias.x), y = __float2bfloat16_ru(-LIMIT / LOG2_E - bias.y);
        return (unsigned) __bfloat16_as_ushort(y) << 16 | __bfloat16_as_ushort(x);
    }
    static __device__ __forceinline__ Weights weights(float2 biasI, float2 biasR, float2 decay) {
        return {{-LOG2_E * biasI.x, -LOG2_E * biasI.y}, {-LOG2_E * biasR.x, -LOG2_E * biasR.y}, {LOG2_E * decay.x, LOG2_E * decay.y},
                least(biasI), least(biasR)};
    }
    static __device__ __forceinline__ float denominator(float gate, float scaledBias) {
        return 1 + exp2_fast(fmaf(-LOG2_E, gate, scaledBias));
    }
    /** {a, g i x} from log2 a and i x. */
    static __device__ __forceinline__ float2 of(float log2A, float gated) {
        // p = a - 1. Near 0, where 2^v - 1 would cancel, the best line through (2^v - 1) / v, off by at most 6.3e-6 of it; beyond, the error of
        // 2^v is at most 1e-5 of p. The same goes for 1 - a^2 = -p (2 + p).
        constexpr float NEAR = -0.025f, C1 = 0.693142844f, C2 = 0.238838904f;
        float p = log2A > NEAR ? log2A * fmaf(C2, log2A, C1) : exp2_fast(log2A) - 1;
        return {1 + p, sqrt_fast(-p * (2 + p)) * gated};
    }
    static __device__ __forceinline__ Map<float2> map(unsigned rawI, unsigned rawR, unsigned rawX, const Weights& w, bool fixed, float logA) {
        float2 i = widen(larger(rawI, w.leastI)), r = widen(larger(rawR, w.leastR)), x = widen(rawX);
        float ix = denominator(i.x, w.biasI.x), rx = denominator(r.x, w.biasR.x);
        float iy = denominator(i.y, w.biasI.y), ry = denominator(r.y, w.biasR.y);
        float first = ix * rx, second = iy * ry, all = reciprocal_fast(first * second);
        float overFirst = all * second, overSecond = all * first;
        float2 p = of(fixed ? logA : w.decay.x * (overFirst * ix), overFirst * rx * x.x);
        float2 q = of(fixed ? logA : w.decay.y * (overSecond * iy), overSecond * ry * x.y);
        return {{p.x, q.x}, {p.y, q.y}};
    }
    static __device__ __forceinline__ float branch_denominator(float y) {
        return 1 + exp2_fast(y * fmaf(-2 * LOG2_E * 0.797884561f * 0.044715f, y * y, -2 * LOG2_E * 0.797884561f));
    }
    static __device__ __forceinline__ float2 gelu(unsigned raw) {
        float2 y = widen(larger(raw, LEAST_BRANCH));
        float x = branch_denominator(y.x), z = branch_denominator(y.y), all = reciprocal_fast(x * z);
        return {y.x * (all * z), y.y * (all * x)};
    }
};

} // namespace
