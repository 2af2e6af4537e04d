// The arithmetic of one RG-LRU element, from gate pre-activations to (a, b), and of the gelu branch. Included by rg_lru.cu only.
#pragma once

#include "prefill.cuh"

namespace {

/** a and b = g i x of one element, and i x, which is b at a reset. */
struct Pair {
    float a, b, gated;
};

/** Largest exponent of 2 that a sigmoid's denominator takes: 1 / (1 + 2^60) is 0 for every purpose, and two may be multiplied. */
constexpr float SIGMOID_LIMIT = 60;

template <typename T> struct Gate;

/** float32 operands: the library's accurate functions. */
template <> struct Gate<float> {
    static __device__ Pair pair(float i, float r, float x, float biasI, float biasR, float decay) {
        float logA = decay / (1 + expf(-(r + biasR)));
        float gated = x / (1 + expf(-(i + biasI)));
        float p = expm1f(logA);   // a = 1 + p keeps all of float32 where a is near 1, and 1 - a^2 does not cancel
        return {1 + p, sqrtf(-p * (2 + p)) * gated, gated};
    }
    static __device__ float gelu(float y) {
        float u = 0.797884561f * (y + 0.044715f * y * y * y);
        return y / (1 + expf(-2 * u));
    }
};

__device__ float reciprocal_fast(float v) {
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(v));
    return y;
}

__device__ float sqrt_fast(float v) {
    float y;
    asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(v));
    return y;
}

/** bf16 operands: the same formulas to a few units of float32's last place with the fewest special functions. */
template <> struct Gate<bf16> {
    static __device__ Pair pair(float i, float r, float x, float biasI, float biasR, float decay) {
        float di = 1 + exp2_fast(fminf(-LOG2_E * (i + biasI), SIGMOID_LIMIT));
        float dr = 1 + exp2_fast(fminf(-LOG2_E * (r + biasR), SIGMOID_LIMIT));
        float both = reciprocal_fast(di * dr);
        float gated = both * dr * x;
        float logA = decay * (both * di);
        // expm1 by its series near 0, where 1 - a^2 would cancel: the first term left out is below 5e-8 of the whole
        float p = 1 / 720.0f;
        p = fmaf(p, logA, 1 / 120.0f);
        p = fmaf(p, logA, 1 / 24.0f);
        p = fmaf(p, logA, 1 / 6.0f);
        p = fmaf(p, logA, 0.5f);
        p = fmaf(p, logA, 1.0f) * logA;
        float far = exp2_fast(LOG2_E * logA);
        bool near = logA > -0.25f;
        float a = near ? 1 + p : far;
        float square = near ? -p * (2 + p) : fmaf(-far, far, 1.0f);
        return {a, sqrt_fast(square) * gated, gated};
    }
    static __device__ float gelu(float y) {
        float u = y * fmaf(-2 * LOG2_E * 0.797884561f * 0.044715f, y * y, -2 * LOG2_E * 0.797884561f);
        return y * reciprocal_fast(1 + exp2_fast(u));
    }
};

} // namespace
