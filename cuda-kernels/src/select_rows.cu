// out[o] = in[outputRows[o]]: the rows whose logits are wanted.   in [M, columns], out [outputs, columns], X is T or float.
//
// Launch: grid min(M, 65535), block 256. No dynamic shared memory. Bytes: 2 outputs columns sizeof(X).
#include "common.cuh"

template <class X>
__device__ __forceinline__ void select_rows(const Step& step, const X* in, int inStride, X* out, int outStride, int columns) {
    constexpr int N = PER16<X>;
    pdl_launch_dependents();
    pdl_wait();
    const int outputs = step.outputs();
    const bool vectors = vectorizable(in, inStride, columns) && vectorizable(out, outStride, columns);
    for (int o = blockIdx.x; o < outputs; o += gridDim.x) {
        const X* from = in + size_t(__ldcg(step.outputRows + o)) * inStride;
        X* to = out + size_t(o) * outStride;
        if (vectors) {
            for (int i = threadIdx.x * N; i < columns; i += blockDim.x * N) {
                *reinterpret_cast<uint4*>(to + i) = load_fresh16(from + i);
            }
        } else {
            for (int i = threadIdx.x; i < columns; i += blockDim.x) {
                to[i] = from_float<X>(load_fresh(from + i));
            }
        }
    }
}

#define SELECT_ROWS(suffix, X)                                                                             \
    extern "C" __global__ void __launch_bounds__(256)                                                      \
    select_rows_##suffix(Step step, const X* in, int inStride, X* out, int outStride, int columns) {       \
        select_rows<X>(step, in, inStride, out, outStride, columns);                                       \
    }
FOR_BOTH_TYPES(SELECT_ROWS)
