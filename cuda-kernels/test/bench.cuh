// What the decode benchmark measures with: inputs made on the device, the time of a recorded graph, the bandwidth of a plain read.
#pragma once

#include <algorithm>
#include <functional>

#include "harness.cuh"

namespace {

using namespace harness;

__global__ void __launch_bounds__(512) read_all(const uint4* p, size_t n, unsigned* out) {
    const size_t stride = size_t(gridDim.x) * blockDim.x;
    unsigned mix = 0;
    size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
    for (; i + 7 * stride < n; i += 8 * stride) {
        uint4 v[8];
#pragma unroll
        for (int j = 0; j < 8; j++) {
            v[j] = stream16(p + i + j * stride);
        }
#pragma unroll
        for (int j = 0; j < 8; j++) {
            mix ^= v[j].x ^ v[j].y ^ v[j].z ^ v[j].w;
        }
    }
    if (mix == 0x12345678u) {
        *out = mix;
    }
}

__device__ unsigned mixed(size_t i, unsigned seed) {
    unsigned h = unsigned(i) * 2654435761u ^ seed ^ unsigned(i >> 32);
    h ^= h >> 16;
    h *= 0x85ebca6bu;
    h ^= h >> 13;
    h *= 0xc2b2ae35u;
    return h ^ h >> 16;
}

template <class T> __global__ void fill(T* p, size_t n, float scale, float shift, unsigned seed) {
    for (size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += size_t(gridDim.x) * blockDim.x) {
        p[i] = from_float<T>(shift + scale * (float(mixed(i, seed) & 0xffffu) / 32768.0f - 1.0f));
    }
}

template <class T> Device<T> filled(size_t n, float scale, float shift, unsigned seed) {
    Device<T> d(n);
    fill<<<2048, 256>>>(d.data, n, scale, shift, seed);
    CHECK_CUDA(cudaGetLastError());
    return d;
}

/** Median seconds of `repetitions` runs of what is recorded by `body`, replayed `replays` times each. */
double seconds(const std::function<void()>& body, bool dependent, int repetitions, int replays) {
    cudaGraph_t graph;
    cudaGraphExec_t program;
    dependentLaunch = false;
    CHECK_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    struct Restore {
        ~Restore() { dependentLaunch = false; }
    } restore;
    dependentLaunch = dependent;
    body();
    CHECK_CUDA(cudaStreamEndCapture(stream, &graph));
    CHECK_CUDA(cudaGraphInstantiate(&program, graph, 0));
    cudaEvent_t start, stop;
    CHECK_CUDA(cudaEventCreate(&start));
    CHECK_CUDA(cudaEventCreate(&stop));
    std::vector<float> times;
    for (int i = -2; i < repetitions; i++) {
        CHECK_CUDA(cudaEventRecord(start, stream));
        for (int k = 0; k < replays; k++) {
            CHECK_CUDA(cudaGraphLaunch(program, stream));
        }
        CHECK_CUDA(cudaEventRecord(stop, stream));
        CHECK_CUDA(cudaEventSynchronize(stop));
        float ms = 0;
        CHECK_CUDA(cudaEventElapsedTime(&ms, start, stop));
        if (i >= 0) {
            times.push_back(ms / float(replays));
        }
    }
    CHECK_CUDA(cudaEventDestroy(start));
    CHECK_CUDA(cudaEventDestroy(stop));
    CHECK_CUDA(cudaGraphExecDestroy(program));
    CHECK_CUDA(cudaGraphDestroy(graph));
    std::sort(times.begin(), times.end());
    return times[times.size() / 2] * 1e-3;
}

double read_bandwidth() {
    const size_t bytes = size_t(8) << 30;
    Device<unsigned char> memory(bytes, 1);
    Device<unsigned> out(1, 0);
    double best = 0;
    for (int blocks : {2, 4, 8, 16}) {
        double s = seconds(
            [&] {
                launch(read_all, dim3(unsigned(multiprocessors() * blocks)), 512, 0, reinterpret_cast<const uint4*>(memory.data), bytes / 16,
                       out.data);
            },
            false, 7, 1);
        best = std::max(best, double(bytes) / s);
    }
    return best;
}

}  // namespace
