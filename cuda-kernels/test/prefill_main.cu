// Tests of the prefill kernels against CPU loops; with --bench their speed instead. Exit status 1 when a case failed.
// ARCH is -gencode arch=compute_90a,code=sm_90a on compute capability 9.0, -arch=native elsewhere:
// nvcc -std=c++17 -O3 ARCH -o prefill_test prefill_main.cu prefill_frame.cu rg_lru_test.cu causal_conv_test.cu gemm_test.cu
//     window_attention_test.cu

#include "prefill_frame.cuh"

int main(int count, char** arguments) {
    cudaDeviceProp device;
    CUDA(cudaGetDeviceProperties(&device, 0));
    std::printf("%s, compute capability %d.%d\n", device.name, device.major, device.minor);
    if (count > 1 && std::strcmp(arguments[1], "--bench") == 0) {
        bench_prefill();
        return 0;
    }
    int failures = test_prefill();
    std::printf("%zu cases, %d failures\n", frame::tests().size(), failures);
    return failures == 0 ? 0 : 1;
}
