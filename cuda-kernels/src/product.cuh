// What the products of many rows share: operands, and the way results are written.
#pragma once

#include "prefill.cuh"

namespace {

template <class T> struct Product {
    const T* x;
    const T* w;
    const float* bias;
    void* out;
    int xStride, outStride, outIsFloat, add, outputs, inputs;
};

template <class T> __device__ __forceinline__ void emit(const Product<T>& p, int row, int output, float v) {
    size_t at = (size_t) row * p.outStride + output;
    if (p.bias != nullptr) {
        v += __ldg(p.bias + output);
    }
    if (p.add) {
        v += p.outIsFloat ? load_fresh((const float*) p.out + at) : load_fresh((const T*) p.out + at);
    }
    store_either<T>(p.out, p.outIsFloat, at, v);
}

/** Two neighbouring outputs by one access. */
__device__ __forceinline__ void emit_pair(const Product<bf16>& p, int row, int output, float v0, float v1) {
    size_t at = (size_t) row * p.outStride + output;
    if (p.bias != nullptr) {
        v0 += __ldg(p.bias + output);
        v1 += __ldg(p.bias + output + 1);
    }
    if (p.outIsFloat) {
        float2* out = (float2*) ((float*) p.out + at);
        float2 old = p.add ? __ldcg(out) : float2{0, 0};
        *out = {v0 + old.x, v1 + old.y};
    } else {
        unsigned* out = (unsigned*) ((bf16*) p.out + at);
        unsigned old = p.add ? __ldcg(out) : 0;
        *out = pack_pair(v0 + low_half(old), v1 + high_half(old));
    }
}

/** Whether emit_pair may be used. */
__device__ __forceinline__ bool in_pairs(const Product<bf16>& p) {
    int bytes = p.outIsFloat ? 4 : 2;
    return p.outputs % 2 == 0 && p.outStride % 2 == 0 && (size_t) p.out % (2 * bytes) == 0;
}

/** Block z of the 2 H gate blocks, as a product of its own. */
template <class T>
__device__ __forceinline__ Product<T> gate(const T* x, int xStride, const T* w, T* gates, int stride, long long plane, int heads,
        int width, int z) {
    int head = z % heads;
    return {x + (size_t) head * width, w + (size_t) z * width * width, nullptr, gates + z / heads * plane + (size_t) head * width, xStride,
            stride, 0, 0, width, width};
}

} // namespace
