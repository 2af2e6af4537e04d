// What the tests of the prefill kernels share: device arrays, steps, random operands, comparison with a CPU loop, timing.
// Each test file includes the source of its kernels, registers its cases with PREFILL_TEST and its timings with PREFILL_BENCH.
#pragma once

#include <cuda_bf16.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#define CUDA(call)                                                                                              \
    do {                                                                                                        \
        cudaError_t error_ = (call);                                                                            \
        if (error_ != cudaSuccess) {                                                                            \
            std::printf("%s:%d: %s: %s\n", __FILE__, __LINE__, #call, cudaGetErrorString(error_));              \
            std::exit(2);                                                                                       \
        }                                                                                                       \
    } while (0)

namespace frame {

struct Case {
    const char* name;
    std::function<void()> run;
};

std::vector<Case>& tests();
std::vector<Case>& benches();
extern int failures;

struct Register {
    Register(std::vector<Case>& list, const char* name, std::function<void()> run) { list.push_back({name, run}); }
};

/** Whether the largest shapes are made smaller, because a checking tool makes every access slow. */
inline bool brief() {
    const char* value = std::getenv("GRIFFIN_KERNEL_TESTS");
    return value != nullptr && std::string(value) == "short";
}

/** splitmix64: the same numbers everywhere. */
struct Random {
    unsigned long long state;
    explicit Random(unsigned long long seed) : state(seed) {}
    unsigned long long bits() {
        unsigned long long z = state += 0x9e3779b97f4a7c15ull;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ z >> 27) * 0x94d049bb133111ebull;
        return z ^ z >> 31;
    }
    double uniform() { return (double) (bits() >> 11) / 9007199254740992.0; }
    float normal() { return (float) (std::sqrt(-2 * std::log(1 - uniform())) * std::cos(6.283185307179586 * uniform())); }
};

/** n normally distributed numbers in device memory. On the device, because a thousand million of them take a host core minutes. */
void fill_normal(float* to, size_t n, unsigned long long seed, float scale, float mean);
void fill_normal(__nv_bfloat16* to, size_t n, unsigned long long seed, float scale, float mean);

inline float widen(float v) { return v; }
inline float widen(__nv_bfloat16 v) { return __bfloat162float(v); }
template <class T> T narrow(float v);
template <> inline float narrow<float>(float v) { return v; }
template <> inline __nv_bfloat16 narrow<__nv_bfloat16>(float v) { return __float2bfloat16_rn(v); }

/** Device memory with a copy on the host; `upload` and `download` move all of it. */
template <class T> struct Array {
    std::vector<T> host;
    T* device = nullptr;
    explicit Array(size_t n) : host(n) {
        CUDA(cudaMalloc(&device, std::max<size_t>(n, 1) * sizeof(T)));
        CUDA(cudaMemset(device, 0, std::max<size_t>(n, 1) * sizeof(T)));
        std::memset((void*) host.data(), 0, n * sizeof(T));
    }
    Array(const Array&) = delete;
    ~Array() { cudaFree(device); }
    void upload() { CUDA(cudaMemcpy(device, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice)); }
    void download() { CUDA(cudaMemcpy(host.data(), device, host.size() * sizeof(T), cudaMemcpyDeviceToHost)); }
    float at(size_t i) const { return widen(host[i]); }
    Array& normal(Random& random, float scale = 1, float mean = 0) {
        fill_normal(device, host.size(), random.bits(), scale, mean);
        download();
        return *this;
    }
};

/** One sequence of a step: its state slot and the positions of its rows. */
struct Sequence {
    int slot;
    std::vector<int> positions;
};

/** n rows from a position on. */
inline std::vector<int> positions(int from, int n) {
    std::vector<int> p(n);
    for (int i = 0; i < n; i++) {
        p[i] = from + i;
    }
    return p;
}

/** n rows from a position on, starting again at 0 before each of the given rows. */
inline std::vector<int> documents(int from, int n, std::vector<int> starts) {
    std::vector<int> p = positions(from, n);
    for (int start : starts) {
        for (int i = start; i < n; i++) {
            p[i] = i - start;
        }
    }
    return p;
}

inline void check(bool right, const std::string& what) {
    if (!right) {
        failures++;
        std::printf("FAILED %s\n", what.c_str());
        std::fflush(stdout);
    }
}

/** Every |actual - expected| <= absolute + relative |expected|; NaN fails. Says the worst. */
inline void close(const std::string& what, const std::vector<float>& actual, const std::vector<double>& expected, double absolute,
        double relative) {
    size_t worst = 0;
    double excess = -1;
    for (size_t i = 0; i < expected.size(); i++) {
        double e = std::fabs(actual[i] - expected[i]) / (absolute + relative * std::fabs(expected[i]));
        if (!(e <= excess)) {
            excess = e;
            worst = i;
            if (std::isnan(e)) {
                break;
            }
        }
    }
    if (actual.size() != expected.size() || !(excess <= 1)) {
        failures++;
        std::printf("FAILED %s: [%zu] %.8g instead of %.8g, %.3g times the tolerance\n", what.c_str(), worst, actual[worst],
                expected[worst],
                excess);
        std::fflush(stdout);
    }
}

template <class T> bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
    return a.size() == b.size() && std::memcmp((const void*) a.data(), (const void*) b.data(), a.size() * sizeof(T)) == 0;
}

inline int ceil_div(long long a, long long b) { return (int) ((a + b - 1) / b); }

/** Whether launches use programmatic dependent launch, which must not change a thing. */
extern bool dependentLaunch;

/** Launches a kernel with `bytes` of dynamic shared memory in thread block clusters of `cluster` blocks; 1: without. */
template <class... P, class... A>
void start_clusters(int cluster, void (*kernel)(P...), dim3 grid, dim3 block, int bytes, A... arguments) {
    if (bytes > 48 * 1024) {
        CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
    }
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = bytes;
    cudaLaunchAttribute attributes[2];
    attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[0].val.programmaticStreamSerializationAllowed = dependentLaunch ? 1 : 0;
    attributes[1].id = cudaLaunchAttributeClusterDimension;
    attributes[1].val.clusterDim.x = cluster;
    attributes[1].val.clusterDim.y = attributes[1].val.clusterDim.z = 1;
    config.attrs = attributes;
    config.numAttrs = cluster > 1 ? 2 : dependentLaunch ? 1 : 0;
    CUDA(cudaLaunchKernelEx(&config, kernel, static_cast<P>(arguments)...));
}

template <class... P, class... A> void start(void (*kernel)(P...), dim3 grid, dim3 block, int bytes, A... arguments) {
    start_clusters(1, kernel, grid, block, bytes, arguments...);
}

/** Checks the launches and waits for them. */
inline void finish() {
    CUDA(cudaGetLastError());
    CUDA(cudaDeviceSynchronize());
}

/** Median of the seconds of 15 runs after 3, each queued alone behind a write that empties L2. */
double seconds(const std::function<void()>& run);
/** Bytes a second of the best plain copy of this program, reads and writes counted. */
double copy_ceiling();
/** One row: seconds, rate, share. */
void report_bytes(const std::string& name, double bytes, double seconds);
void report_flops(const std::string& name, double flops, double seconds);

} // namespace frame

#define PREFILL_TEST(NAME)                                                                   \
    static void test_##NAME();                                                               \
    static frame::Register register_##NAME(frame::tests(), #NAME, test_##NAME);              \
    static void test_##NAME()
#define PREFILL_BENCH(NAME)                                                                  \
    static void bench_##NAME();                                                              \
    static frame::Register register_bench_##NAME(frame::benches(), #NAME, bench_##NAME);     \
    static void bench_##NAME()

/** Runs every case, twice where dependent launch exists; returns the number of failures. Called by the program that links the tests. */
int test_prefill();
void bench_prefill();
