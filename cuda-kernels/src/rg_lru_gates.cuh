// The arithmetic of the RG-LRU of a prefill step, two neighbouring channels at a time: from gate pre-activations to the map of a row,
// maps one after the other, and the gelu branch. Included by rg_lru.cu only.
#pragma once

#include "prefill.cuh"

namespace {

/** h -> a h + b, for two channels. A row is one, and so are several rows. */
struct Map {
    float2 a, b;
};

__device__ __forceinline__ float2 apply(const Map& m, float2 h) {
    return {fmaf(m.a.x, h.x, m.b.x), fmaf(m.a.y, h.y, m.b.y)};
}

/** `first`, then `second`. Products of a may underflow to 0, which is right; nothing is ever divided by one. */
__device__ __forceinline__ Map then(const Map& first, const Map& second) {
    return {{second.a.x * first.a.x, second.a.y * first.a.y}, apply(second, first.b)};
}

__device__ __forceinline__ Map nothing() {
    return {{1, 1}, {0, 0}};
}

/** What a thread's two channels have in all rows: the gates' biases and the decay, as Gate::weights makes them. */
struct Weights {
    float2 biasI, biasR, decay;
};

/**
 * Gate<T>::map: the map of a row. Where `fixed`, log a is `logA` whatever the gate says: minus infinity makes a = 0 and g = 1 exactly (a
 * reset), 0 makes a = 1 and g = 0 exactly (no row, when x is 0).
 */
template <typename T> struct Gate;

/** float32 operands: the library's accurate functions. */
template <> struct Gate<float> {
    static __device__ Weights weights(float2 biasI, float2 biasR, float2 decay) {
        return {biasI, biasR, decay};
    }
    static __device__ float2 of(float i, float r, float x, float biasI, float biasR, float decay, bool fixed, float fixedLogA) {
        float logA = decay / (1 + expf(-(r + biasR)));
        float gated = x / (1 + expf(-(i + biasI)));
        float p = expm1f(fixed ? fixedLogA : logA);   // a = 1 + p keeps all of float32 where a is near 1, and 1 - a^2 does not cancel
        return {1 + p, sqrtf(-p * (2 + p)) * gated};
    }
    static __device__ Map map(float2 i, float2 r, float2 x, const Weights& w, bool fixed, float logA) {
        float2 p = of(i.x, r.x, x.x, w.biasI.x, w.biasR.x, w.decay.x, fixed, logA);
        float2 q = of(i.y, r.y, x.y, w.biasI.y, w.biasR.y, w.decay.y, fixed, logA);
        return {{p.x, q.x}, {p.y, q.y}};
    }
    static __device__ float gelu(float y) {
        float u = 0.797884561f * (y + 0.044715f * y * y * y);
        return y / (1 + expf(-2 * u));
    }
    static __device__ float2 gelu(float2 y) {
        return {gelu(y.x), gelu(y.y)};
    }
};

__device__ __forceinline__ float reciprocal_fast(float v) {
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(v));
    return y;
}

__device__ __forceinline__ float sqrt_fast(float v) {
    float y;
    asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(v));
    return y;
}

/**
 * bf16 operands: the same formulas, 6.5 special functions an element: the four denominators of two channels' gates share a reciprocal, that
 * of their product times the others. Weights are scaled so that exponents are of 2.
 */
template <> struct Gate<bf16> {
    /** Largest exponent of a denominator: 1 / (1 + 2^30) is 0 for every purpose, and four may be multiplied. */
    static constexpr float LIMIT = 30;

    static __device__ __forceinline__ Weights weights(float2 biasI, float2 biasR, float2 decay) {
        return {{-LOG2_E * biasI.x, -LOG2_E * biasI.y}, {-LOG2_E * biasR.x, -LOG2_E * biasR.y}, {LOG2_E * decay.x, LOG2_E * decay.y}};
    }
    static __device__ __forceinline__ float denominator(float gate, float scaledBias) {
        return 1 + exp2_fast(fminf(fmaf(-LOG2_E, gate, scaledBias), LIMIT));
    }
    /** {a, g i x} from log2 a and i x. */
    static __device__ __forceinline__ float2 of(float log2A, float gated) {
        // p = a - 1. Near 0, where 2^v - 1 would cancel, the best line through (2^v - 1) / v, off by at most 6.3e-6 of it; beyond, the error of
        // 2^v is at most 1e-5 of p. The same goes for 1 - a^2 = -p (2 + p).
        constexpr float NEAR = -0.025f, C1 = 0.693142844f, C2 = 0.238838904f;
        float p = log2A > NEAR ? log2A * fmaf(C2, log2A, C1) : exp2_fast(log2A) - 1;
        return {1 + p, sqrt_fast(-p * (2 + p)) * gated};
    }
    static __device__ __forceinline__ Map map(float2 i, float2 r, float2 x, const Weights& w, bool fixed, float logA) {
        float ix = denominator(i.x, w.biasI.x), rx = denominator(r.x, w.biasR.x);
        float iy = denominator(i.y, w.biasI.y), ry = denominator(r.y, w.biasR.y);
        float first = ix * rx, second = iy * ry, all = reciprocal_fast(first * second);
        float overFirst = all * second, overSecond = all * first;
        float2 p = of(fixed ? logA : w.decay.x * (overFirst * ix), overFirst * rx * x.x);
        float2 q = of(fixed ? logA : w.decay.y * (overSecond * iy), overSecond * ry * x.y);
        return {{p.x, q.x}, {p.y, q.y}};
    }
    static __device__ __forceinline__ float gelu(float y) {
        float u = y * fmaf(-2 * LOG2_E * 0.797884561f * 0.044715f, y * y, -2 * LOG2_E * 0.797884561f);
        return y * reciprocal_fast(1 + exp2_fast(u));
    }
    static __device__ __forceinline__ float2 gelu(float2 y) {
        return {gelu(y.x), gelu(y.y)};
    }
};

} // namespace
