// kernel_tests [--bench]: every kernel against plain loops, or how fast the decode kernels are.
#include "harness.cuh"

int main(int count, char** arguments) {
    const bool bench = count == 2 && std::string(arguments[1]) == "--bench";
    if (count > 2 || (count == 2 && !bench)) {
        std::fprintf(stderr, "usage: kernel_tests [--bench]\n");
        return 2;
    }
    cudaDeviceProp device;
    CHECK_CUDA(cudaGetDeviceProperties(&device, 0));
    std::printf("%s, compute capability %d.%d, %d multiprocessors\n", device.name, device.major, device.minor, device.multiProcessorCount);
    CHECK_CUDA(cudaStreamCreate(&harness::stream));
    if (bench) {
        bench_decode();
    } else {
        for (bool dependent : {false, true}) { // dependent launch must not change a thing
            harness::dependentLaunch = dependent && device.major >= 9;
            test_elementwise();
            test_linear();
            test_recurrence();
            test_attention_decode();
            test_sample();
            test_advance();
            test_convert();
            if (device.major < 9) {
                break;
            }
        }
    }
    std::printf("%d passed, %d failed\n", harness::counts.passed, harness::counts.failed);
    return harness::counts.failed == 0 ? 0 : 1;
}
