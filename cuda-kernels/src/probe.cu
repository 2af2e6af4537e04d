// What the card can do, for benchmarks/gpu: no operation of a model.
//
// probe_read: reads x [n] once, 16 bytes a load and eight loads in flight a thread, and keeps one word a block, so that nothing can be
// left out. Launch: grid a few blocks a multiprocessor, block 512; n in units of 16 bytes. Bytes: 16 n.
#include "common.cuh"

constexpr int PROBE_LOADS = 8;

extern "C" __global__ void __launch_bounds__(512) probe_read(const uint4* x, long long n, unsigned* out) {
    __shared__ unsigned total;
    if (threadIdx.x == 0) {
        total = 0;
    }
    __syncthreads();
    const long long stride = (long long)gridDim.x * blockDim.x;
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    unsigned sum = 0;
    for (; i + (PROBE_LOADS - 1) * stride < n; i += PROBE_LOADS * stride) {
        uint4 v[PROBE_LOADS];
#pragma unroll
        for (int k = 0; k < PROBE_LOADS; k++) {
            v[k] = __ldcs(x + i + k * stride);
        }
#pragma unroll
        for (int k = 0; k < PROBE_LOADS; k++) {
            sum += v[k].x + v[k].y + v[k].z + v[k].w;
        }
    }
    for (; i < n; i += stride) {
        const uint4 v = __ldcs(x + i);
        sum += v.x + v.y + v.z + v.w;
    }
    sum = __reduce_add_sync(ALL_LANES, sum);
    if (threadIdx.x % WARP == 0) {
        atomicAdd(&total, sum);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        out[blockIdx.x] = total;
    }
}
