// kernel_tests [NAME... | --bench | --bench-stream | --bench-prefill]: the kernels against plain loops, all or those of the named tests, or
// how fast the decode kernels, the products by streams or the prefill kernels are.
#include <algorithm>

#include "harness.cuh"
#include "prefill_frame.cuh"

namespace {

struct Test {
    const char* name;
    void (*run)();
};
const Test TESTS[] = {{"elementwise", test_elementwise}, {"linear", test_linear},   {"recurrence", test_recurrence},
                      {"attention", test_attention_decode}, {"sample", test_sample}, {"advance", test_advance},
                      {"convert", test_convert}, {"stream", test_linear_stream}};
constexpr const char* PREFILL = "prefill";

/** Whether all of the names are tests'. */
bool known(const std::vector<std::string>& names) {
    return std::all_of(names.begin(), names.end(), [](const std::string& name) {
        return name == PREFILL || std::any_of(std::begin(TESTS), std::end(TESTS), [&](const Test& test) { return name == test.name; });
    });
}

bool chosen(const std::vector<std::string>& names, const char* name) {
    return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
}

int run_tests(const std::vector<std::string>& names, bool dependentLaunch) {
    for (bool dependent : {false, true}) { // dependent launch must not change a thing
        if (dependent && !dependentLaunch) {
            break;
        }
        harness::dependentLaunch = dependent;
        for (const Test& test : TESTS) {
            if (chosen(names, test.name)) {
                test.run();
            }
        }
    }
    const int prefillFailures = chosen(names, PREFILL) ? test_prefill() : 0;
    std::printf("%d passed, %d failed; prefill: %d failed\n", harness::counts.passed, harness::counts.failed, prefillFailures);
    return harness::counts.failed + prefillFailures == 0 ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
    const std::vector<std::string> words(arguments + 1, arguments + count);
    const std::string what = words.size() == 1 ? words[0] : "";
    const bool bench = what == "--bench" || what == "--bench-stream" || what == "--bench-prefill";
    if (!bench && !known(words)) {
        std::fprintf(stderr, "usage: kernel_tests [NAME... | --bench | --bench-stream | --bench-prefill]; tests: %s", PREFILL);
        for (const Test& test : TESTS) {
            std::fprintf(stderr, " %s", test.name);
        }
        std::fprintf(stderr, "\n");
        return 2;
    }
    std::setvbuf(stdout, nullptr, _IOLBF, 0); // a run that is cut off has still said how far it came
    cudaDeviceProp device;
    CHECK_CUDA(cudaGetDeviceProperties(&device, 0));
    std::printf("%s, compute capability %d.%d, %d multiprocessors\n", device.name, device.major, device.minor, device.multiProcessorCount);
    CHECK_CUDA(cudaStreamCreate(&harness::stream));
    if (what == "--bench-prefill") {
        bench_prefill();
        return 0;
    }
    if (what == "--bench-stream") {
        bench_stream();
        return 0;
    }
    if (what == "--bench") {
        bench_batches();
        bench_decode();
        return 0;
    }
    return run_tests(words, device.major >= 9);
}
