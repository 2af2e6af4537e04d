// A few lines of test harness: device buffers, random inputs, launches, checks. One program, kernel_tests (see build and README.md).
#pragma once

#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../src/common.cuh"

#define CHECK_CUDA(call)                                                                                            \
    do {                                                                                                            \
        cudaError_t error_ = (call);                                                                                \
        if (error_ != cudaSuccess) {                                                                                \
            std::fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, cudaGetErrorString(error_));        \
            std::exit(2);                                                                                           \
        }                                                                                                           \
    } while (0)

namespace harness {

struct Counts {
    int passed = 0, failed = 0;
};
inline Counts counts;
inline bool dependentLaunch = false; // programmatic dependent launch between consecutive launches
inline cudaStream_t stream = nullptr;

/** Whether the largest shapes are left out, because a checking tool makes every access slow. */
inline bool brief() {
    const char* value = std::getenv("GRIFFIN_KERNEL_TESTS");
    return value && std::string(value) == "short";
}

/** Prints a line and counts it. */
inline void report(bool passed, const std::string& what, const std::string& detail = "") {
    (passed ? counts.passed : counts.failed)++;
    std::printf("%s %s%s%s\n", passed ? "ok  " : "FAIL", what.c_str(), detail.empty() ? "" : ": ", detail.c_str());
}

// ---- random numbers: splitmix64

struct Random {
    uint64_t state;
    explicit Random(uint64_t seed) : state(seed) {}
    uint64_t next() {
        uint64_t z = state += 0x9E3779B97F4A7C15ull;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
        z = (z ^ z >> 27) * 0x94D049BB133111EBull;
        return z ^ z >> 31;
    }
    /** In [-1, 1). */
    float uniform() { return float(next() >> 40) * 0x1p-23f - 1.0f; }
    int below(int n) { return int(next() % uint64_t(n)); }
};

template <class T> T host_from_float(float v);
template <> inline float host_from_float<float>(float v) { return v; }
template <> inline bf16 host_from_float<bf16>(float v) { return __float2bfloat16_rn(v); }
inline float host_to_float(float v) { return v; }
inline float host_to_float(bf16 v) { return __bfloat162float(v); }
template <class T> float host_round(float v) { return host_to_float(host_from_float<T>(v)); }

template <class T> std::vector<T> random_values(size_t n, uint64_t seed, float scale = 1, float shift = 0) {
    Random random(seed);
    std::vector<T> v(n);
    for (T& x : v) {
        x = host_from_float<T>(shift + scale * random.uniform());
    }
    return v;
}

// ---- device memory

template <class T> struct Device {
    T* data = nullptr;
    size_t size = 0;

    Device() = default;
    explicit Device(size_t n) : size(n) { CHECK_CUDA(cudaMalloc(&data, (n > 0 ? n : 1) * sizeof(T))); }
    explicit Device(const std::vector<T>& v) : Device(v.size()) { write(v); }
    Device(size_t n, int byte) : Device(n) { CHECK_CUDA(cudaMemset(data, byte, n * sizeof(T))); }
    Device(Device&& o) noexcept : data(std::exchange(o.data, nullptr)), size(o.size) {}
    Device& operator=(Device&& o) noexcept {
        std::swap(data, o.data);
        std::swap(size, o.size);
        return *this;
    }
    ~Device() {
        if (data) {
            cudaFree(data);
        }
    }
    void write(const std::vector<T>& v) { CHECK_CUDA(cudaMemcpy(data, v.data(), v.size() * sizeof(T), cudaMemcpyHostToDevice)); }
    std::vector<T> read() const {
        std::vector<T> v(size);
        CHECK_CUDA(cudaMemcpy(v.data(), data, size * sizeof(T), cudaMemcpyDeviceToHost));
        return v;
    }
};

// ---- launches

/** @param cluster blocks of a thread block cluster, along x */
template <class... P, class... A>
void launch_clusters(int cluster, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, A... arguments) {
    if (shared > 48 * 1024) {
        CHECK_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(shared)));
    }
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared;
    config.stream = stream;
    cudaLaunchAttribute attributes[2] = {};
    config.attrs = attributes;
    if (dependentLaunch) {
        attributes[config.numAttrs].id = cudaLaunchAttributeProgrammaticStreamSerialization;
        attributes[config.numAttrs++].val.programmaticStreamSerializationAllowed = 1;
    }
    if (cluster > 1) {
        attributes[config.numAttrs].id = cudaLaunchAttributeClusterDimension;
        attributes[config.numAttrs++].val.clusterDim = {unsigned(cluster), 1, 1};
    }
    CHECK_CUDA(cudaLaunchKernelEx(&config, kernel, static_cast<P>(arguments)...));
}

template <class... P, class... A> void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, A... arguments) {
    launch_clusters(1, kernel, grid, block, shared, arguments...);
}

inline void synchronize() { CHECK_CUDA(cudaDeviceSynchronize()); }

/** Whether there are thread block clusters. */
inline bool clusters() {
    int device = 0, major = 0;
    CHECK_CUDA(cudaGetDevice(&device));
    CHECK_CUDA(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
    return major >= 9;
}

inline int multiprocessors() {
    static int count = [] {
        int device = 0, n = 0;
        CHECK_CUDA(cudaGetDevice(&device));
        CHECK_CUDA(cudaDeviceGetAttribute(&n, cudaDevAttrMultiProcessorCount, device));
        return n;
    }();
    return count;
}

// ---- comparisons

/** |got - want| <= absolute + relative * |want| for every element. */
template <class T>
void compare(const std::string& what, const std::vector<T>& got, const std::vector<double>& want, double absolute, double relative) {
    double worst = 0;
    size_t at = 0;
    bool sound = got.size() == want.size();
    for (size_t i = 0; sound && i < got.size(); i++) {
        const double difference = std::fabs(double(host_to_float(got[i])) - want[i]);
        const double share = difference == 0 ? 0 : difference / (absolute + relative * std::fabs(want[i]));
        if (!(share <= worst)) { // a NaN is the worst
            worst = share;
            at = i;
            if (std::isnan(share)) {
                break;
            }
        }
    }
    bool passed = sound && worst <= 1;
    char detail[160] = "";
    if (!passed) {
        std::snprintf(detail, sizeof detail, "element %zu of %zu is %.9g, want %.9g (tolerance %.3g + %.3g relative)", at, want.size(),
                      sound && !got.empty() ? double(host_to_float(got[at])) : 0.0, want.empty() ? 0.0 : want[at], absolute, relative);
    }
    report(passed, what, detail);
}

template <class T> void compare_bits(const std::string& what, const std::vector<T>& got, const std::vector<T>& want) {
    size_t bad = got.size() == want.size() ? got.size() : 0;
    for (size_t i = 0; i < got.size() && got.size() == want.size(); i++) {
        if (std::memcmp(&got[i], &want[i], sizeof(T)) != 0) {
            bad = i;
            break;
        }
    }
    report(got.size() == want.size() && bad == got.size(), what,
           bad == got.size() ? "" : "first difference at " + std::to_string(bad) + " of " + std::to_string(want.size()));
}

template <class T> const char* type_name();
template <> inline const char* type_name<float>() { return "f32"; }
template <> inline const char* type_name<bf16>() { return "bf16"; }

// ---- a step in device memory

struct HostStep {
    int maxRows, maxSequences, scrapSlot;
    std::vector<int> counts, tokens, positions, rowSequence, slots, rowStarts, outputRows, sampledOutputs, remaining, endIds, cancelled;
    std::vector<SamplingRow> sampling;

    HostStep(int rows, int sequences, int scrap)
        : maxRows(rows), maxSequences(sequences), scrapSlot(scrap), counts(4), tokens(rows), positions(rows), rowSequence(rows),
          slots(sequences), rowStarts(sequences + 1), outputRows(rows), sampledOutputs(sequences, -1), remaining(sequences, 1 << 30),
          endIds(size_t(sequences) * MAX_END_IDS, -1), cancelled(sequences),
          sampling(sequences, SamplingRow{0, 0, 1, 0, 1, -1, 0}) {}

    /** Adds a sequence of `rows` rows from `position` on that samples from its last row when `samples`. */
    void add(int slot, int position, int rows, bool samples, Random& random, int vocabulary) {
        const int s = counts[1]++;
        slots[s] = slot;
        rowStarts[s] = counts[0];
        for (int i = 0; i < rows; i++) {
            tokens[counts[0]] = random.below(vocabulary);
            positions[counts[0]] = position + i;
            rowSequence[counts[0]++] = s;
        }
        rowStarts[s + 1] = counts[0];
        if (samples) {
            sampledOutputs[s] = counts[2];
            outputRows[counts[2]++] = counts[0] - 1;
        }
    }
    int published_stride() const { return 1 + maxSequences * (3 + 2 * MAX_ALTERNATIVES); }
};

struct DeviceStep {
    Device<int> counts, tokens, positions, rowSequence, slots, rowStarts, outputRows, sampledOutputs, remaining, endIds, cancelled, ids,
        alternativeIds, status, published;
    Device<SamplingRow> sampling;
    Device<float> logProbabilities, alternativeLogProbabilities;
    Step step;

    explicit DeviceStep(const HostStep& h)
        : counts(h.counts), tokens(h.tokens), positions(h.positions), rowSequence(h.rowSequence), slots(h.slots), rowStarts(h.rowStarts),
          outputRows(h.outputRows), sampledOutputs(h.sampledOutputs), remaining(h.remaining), endIds(h.endIds), cancelled(h.cancelled),
          ids(h.maxSequences, 0), alternativeIds(size_t(h.maxSequences) * MAX_ALTERNATIVES, 0), status(h.maxSequences, 0),
          published(size_t(RESULT_DEPTH) * h.published_stride(), 0), sampling(h.sampling), logProbabilities(h.maxSequences, 0),
          alternativeLogProbabilities(size_t(h.maxSequences) * MAX_ALTERNATIVES, 0) {
        step = Step{counts.data, tokens.data, positions.data, rowSequence.data, slots.data, rowStarts.data, outputRows.data,
                    sampledOutputs.data, remaining.data, endIds.data, cancelled.data, sampling.data, ids.data, logProbabilities.data,
                    alternativeIds.data, alternativeLogProbabilities.data, status.data, published.data, h.maxRows, h.maxSequences,
                    h.scrapSlot, h.published_stride()};
    }
};

inline double host_gelu(double v) { return 0.5 * v * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v))); }
inline double host_sigmoid(double v) { return 1 / (1 + std::exp(-v)); }

}  // namespace harness

// One function per file, called by kernel_tests.cu.
void test_elementwise();
void test_linear();
void test_linear_stream();
void test_recurrence();
void test_attention_decode();
void test_sample();
void test_advance();
void test_convert();
void bench_decode();
void bench_batches();
void bench_stream();
