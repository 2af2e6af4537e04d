// Tests of the prefill kernels against CPU loops; with --bench also their speed. Exit status 1 when a case failed.
// On compute capability 9.0 -gencode arch=compute_90a,code=sm_90a, elsewhere -arch=native:
// nvcc -std=c++17 -O3 ARCH -o prefill_test prefill_main.cu rg_lru_test.cu causal_conv_test.cu gemm_test.cu window_attention_test.cu

#include "prefill_frame.cuh"

namespace frame {

int failures = 0;

std::vector<Case>& tests() {
    static std::vector<Case> list;
    return list;
}

std::vector<Case>& benches() {
    static std::vector<Case> list;
    return list;
}

namespace {

__global__ void copy(const uint4* from, uint4* to, size_t n) {
    for (size_t i = (size_t) blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (size_t) gridDim.x * blockDim.x) {
        to[i] = from[i];
    }
}

constexpr size_t FLUSH_BYTES = 256u << 20;   // more than any L2

} // namespace

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
            best = std::max(best, 2.0 * n * sizeof(uint4) / seconds([&] { copy<<<blocks, 512>>>(a.device, b.device, n); }));
        }
        best = std::max(best, 2.0 * n * sizeof(uint4)
                / seconds([&] { CUDA(cudaMemcpyAsync(b.device, a.device, n * sizeof(uint4), cudaMemcpyDeviceToDevice)); }));
        std::printf("copy ceiling %.3f TB/s\n", best / 1e12);
    }
    return best;
}

void report_bytes(const std::string& name, double bytes, double seconds) {
    double ceiling = copy_ceiling();
    std::printf("%-44s %9.1f us  %8.1f MB  %6.3f TB/s  %.3f of copy\n", name.c_str(), seconds * 1e6, bytes / 1e6, bytes / seconds / 1e12,
            bytes / seconds / ceiling);
}

void report_flops(const std::string& name, double flops, double seconds) {
    std::printf("%-44s %9.1f us  %8.1f GFLOP  %6.1f TFLOP/s  %.3f of 790\n", name.c_str(), seconds * 1e6, flops / 1e9,
            flops / seconds / 1e12,
            flops / seconds / 790e12);
}

} // namespace frame

int main(int count, char** arguments) {
    bool bench = count > 1 && std::strcmp(arguments[1], "--bench") == 0;
    cudaDeviceProp device;
    CUDA(cudaGetDeviceProperties(&device, 0));
    std::printf("%s, compute capability %d.%d\n", device.name, device.major, device.minor);
    for (const frame::Case& test : frame::tests()) {
        int before = frame::failures;
        test.run();
        CUDA(cudaDeviceSynchronize());
        std::printf("%s %s\n", frame::failures == before ? "ok    " : "FAILED", test.name);
    }
    if (bench) {
        for (const frame::Case& b : frame::benches()) {
            b.run();
        }
    }
    std::printf("%zu tests, %d failures\n", frame::tests().size(), frame::failures);
    return frame::failures == 0 ? 0 : 1;
}
