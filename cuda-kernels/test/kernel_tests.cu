// kernel_tests [--bench | --bench-prefill]: every kernel against plain loops, or how fast the decode or the prefill kernels are.
#include "harness.cuh"
#include "prefill_frame.cuh"

int main(int count, char** arguments) {
    const std::string what = count == 2 ? arguments[1] : "";
    if (count > 2 || (count == 2 && what != "--bench" && what != "--bench-prefill")) {
        std::fprintf(stderr, "usage: kernel_tests [--bench | --bench-prefill]\n");
        return 2;
    }
    std::setvbuf(stdout, nullptr, _IOLBF, 0); // a run that is cut off has still said how far it came
    cudaDeviceProp device;
    CHECK_CUDA(cudaGetDeviceProperties(&device, 0));
    std::printf("%s, compute capability %d.%d, %d multiprocessors\n", device.name, device.major, device.minor, device.multiProcessorCount);
    CHECK_CUDA(cudaStreamCreate(&harness::stream));
    int prefillFailures = 0;
    if (what == "--bench") {
        bench_batches();
        bench_decode();
    } else if (what == "--bench-prefill") {
        bench_prefill();
        return 0;
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
        prefillFailures = test_prefill();
    }
    std::printf("%d passed, %d failed; prefill: %d failed\n", harness::counts.passed, harness::counts.failed, prefillFailures);
    return harness::counts.failed + prefillFailures == 0 ? 0 : 1;
}
