// The lists of cases, timing and reports of prefill_frame.cuh.

#include "prefill_frame.cuh"

namespace frame {

int failures = 0;
bool dependentLaunch = false;

std::vector<Case>& tests() {
    static std::vector<Case> list;
    return list;
}

std::vector<Case>& benches() {
    static std::vector<Case> list;
    return list;
}

namespace {

__global__ void copy_all(const uint4* from, uint4* to, size_t n) {
    for (size_t i = (size_t) blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (size_t) gridDim.x * blockDim.x) {
        to[i] = from[i];
    }
}

/** Number i from the bits of splitmix64 at i: the same numbers whatever the grid. */
template <class T> __global__ void normals(T* to, size_t n, unsigned long long seed, float scale, float mean) {
    for (size_t i = (size_t) blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (size_t) gridDim.x * blockDim.x) {
        unsigned long long z = seed + (i + 1) * 0x9e3779b97f4a7c15ull;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ z >> 27) * 0x94d049bb133111ebull;
        z ^= z >> 31;
        float u = ((unsigned) (z >> 40) + 1) * 0x1p-24f, angle = (unsigned) (z & 0xffffff) * 0x1p-23f;
        float v = mean + scale * sqrtf(-2 * logf(u)) * cospif(angle);
        if constexpr (sizeof(T) == 2) {
            to[i] = __float2bfloat16_rn(v);
        } else {
            to[i] = v;
        }
    }
}

constexpr size_t FLUSH_BYTES = 256u << 20;   // more than any L2

} // namespace

void fill_normal(float* to, size_t n, unsigned long long seed, float scale, float mean) {
    normals<<<1024, 256>>>(to, n, seed, scale, mean);
    CUDA(cudaGetLastError());
}

void fill_normal(__nv_bfloat16* to, size_t n, unsigned long long seed, float scale, float mean) {
    normals<<<1024, 256>>>(to, n, seed, scale, mean);
    CUDA(cudaGetLastError());
}

double seconds(const std::function<void()>& run) {
    static void* flush = nullptr;
    if (flush == nullptr) {
        CUDA(cudaMalloc(&flush, FLUSH_BYTES));
    }
    cudaEvent_t from, to;
    CUDA(cudaEventCreate(&from));
    CUDA(cudaEventCreate(&to));
    std::vector<double> times;
    for (int i = 0; i < 18; i++) {
        CUDA(cudaMemsetAsync(flush, i, FLUSH_BYTES));
        CUDA(cudaEventRecord(from));
        run();
        CUDA(cudaEventRecord(to));
        CUDA(cudaEventSynchronize(to));
        float milliseconds;
        CUDA(cudaEventElapsedTime(&milliseconds, from, to));
        if (i >= 3) {
            times.push_back(milliseconds / 1000);
        }
    }
    CUDA(cudaGetLastError());
    CUDA(cudaEventDestroy(from));
    CUDA(cudaEventDestroy(to));
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
}

double copy_ceiling() {
    static double best = 0;
    if (best == 0) {
        size_t n = (1u << 30) / sizeof(uint4);
        Array<uint4> a(n), b(n);
        for (int blocks : {1056, 2112, 8448, 65536}) {
            best = std::max(best, 2.0 * n * sizeof(uint4) / seconds([&] { start(copy_all, blocks, 512, 0, a.device, b.device, n); }));
        }
        best = std::max(best, 2.0 * n * sizeof(uint4)
                / seconds([&] { CUDA(cudaMemcpyAsync(b.device, a.device, n * sizeof(uint4), cudaMemcpyDeviceToDevice)); }));
        std::printf("copy ceiling %.3f TB/s\n", best / 1e12);
        std::fflush(stdout);
    }
    return best;
}

void report_bytes(const std::string& name, double bytes, double seconds) {
    double ceiling = copy_ceiling();
    std::printf("%-44s %9.1f us  %8.1f MB  %6.3f TB/s  %.3f of copy\n", name.c_str(), seconds * 1e6, bytes / 1e6, bytes / seconds / 1e12,
            bytes / seconds / ceiling);
    std::fflush(stdout);
}

void report_flops(const std::string& name, double flops, double seconds) {
    std::printf("%-44s %9.1f us  %8.1f GFLOP  %6.1f TFLOP/s  %.3f of 790\n", name.c_str(), seconds * 1e6, flops / 1e9,
            flops / seconds / 1e12,
            flops / seconds / 790e12);
    std::fflush(stdout);
}

} // namespace frame

int test_prefill() {
    cudaDeviceProp device;
    CUDA(cudaGetDeviceProperties(&device, 0));
    for (bool dependent : {false, true}) {
        frame::dependentLaunch = dependent;
        for (const frame::Case& test : frame::tests()) {
            int before = frame::failures;
            test.run();
            CUDA(cudaDeviceSynchronize());
            std::printf("%s %s%s\n", frame::failures == before ? "ok    " : "FAILED", test.name, dependent ? ", dependent launch" : "");
            std::fflush(stdout);
        }
        if (device.major < 9) {
            break;
        }
    }
    frame::dependentLaunch = false;
    return frame::failures;
}

void bench_prefill() {
    for (const frame::Case& bench : frame::benches()) {
        bench.run();
    }
}
