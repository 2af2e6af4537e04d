// gemm and gates_gemm: against the loop, with every epilogue, odd sizes and views.

#include "../src/gemm.cu"
#include "../src/gemm_wgmma.cu"

#include "prefill_frame.cuh"

using namespace frame;

namespace {

constexpr int BF16_BYTES = 98304, WGMMA_BYTES = 197632;

/** Whether this device and this build have the forms of gemm_wgmma.cu. */
bool has_wgmma() {
    int major, minor, compiled;
    CUDA(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0));
    CUDA(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0));
    CUDA(cudaMemcpyFromSymbol(&compiled, gemm_wgmma_compiled, sizeof(int)));
    bool hopper = major == 9 && minor == 0;
    check(!hopper || compiled, "on compute capability 9.0 the tests are compiled with -gencode arch=compute_90a,code=sm_90a");
    return hopper && compiled;
}

/** Blocks for each of 2 H gate blocks, as the launcher chooses them. */
int gate_blocks(int H, int limit) {
    int multiprocessors;
    CUDA(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0));
    return std::max(1, std::min(multiprocessors / (2 * H), ceil_div(limit, 128)));
}

struct Shape {
    int rows, outputs, inputs, from, limit;
};

void launch(const int* count, Shape s, const bf16* x, int xs, const bf16* w, const float* bias, void* out, int os, int isFloat,
        int add) {
    start(gemm_bf16, dim3(ceil_div(s.limit, 128), ceil_div(s.outputs, 128)), 128, BF16_BYTES, count, s.from, s.limit, x, xs, w, bias,
            out, os,
            isFloat, add, s.outputs, s.inputs);
}

void launch_wgmma(const int* count, Shape s, const bf16* x, int xs, const bf16* w, const float* bias, void* out, int os, int isFloat,
        int add) {
    start(gemm_wgmma_bf16, dim3(ceil_div(s.limit, 128), ceil_div(s.outputs, 256)), 256, WGMMA_BYTES, count, s.from, s.limit, x, xs, w,
            bias, out, os, isFloat, add, s.outputs, s.inputs);
}

void launch(const int* count, Shape s, const float* x, int xs, const float* w, const float* bias, void* out, int os, int isFloat,
        int add) {
    start(gemm_f32, dim3(ceil_div(s.limit, 64), ceil_div(s.outputs, 64)), 256, 0, count, s.from, s.limit, x, xs, w, bias, out, os,
            isFloat, add,
            s.outputs, s.inputs);
}

void launch_gates(const int* count, int limit, const bf16* x, int xs, const bf16* w, bf16* gates, long long plane, int H, int G) {
    start(gates_gemm_bf16, dim3(ceil_div(limit, 128), ceil_div(G, 128), 2 * H), 128, BF16_BYTES, count, 0, limit, x, xs, w, gates, H * G,
            plane, H, G);
}

void launch_gates_wgmma(const int* count, int limit, int blocks, const bf16* x, int xs, const bf16* w, bf16* gates, long long plane,
        int H) {
    start(gates_gemm_wgmma_bf16, dim3(2 * H, blocks), 256, WGMMA_BYTES, count, 0, limit, x, xs, w, gates, H * 256, plane, H, 256);
}

void launch_gates(const int* count, int limit, const float* x, int xs, const float* w, float* gates, long long plane, int H, int G) {
    start(gates_gemm_f32, dim3(ceil_div(limit, 64), ceil_div(G, 64), 2 * H), 256, 0, count, 0, limit, x, xs, w, gates, H * G, plane, H, G);
}

void set(Array<int>& count, int rows) {
    count.host[0] = rows;
    count.upload();
}

/** The rows that are live, the rest of out untouched; Out: type of out. */
template <class T, class Out> void against_loop(Shape s, int pad, bool withBias, bool add, bool wgmma = false) {
    Random random(s.rows * 31 + s.outputs * 7 + s.inputs);
    int xStride = s.inputs + pad, outStride = s.outputs + pad;
    Array<int> count(1);
    set(count, s.rows);
    Array<T> x((size_t) s.limit * xStride), w((size_t) s.outputs * s.inputs);
    Array<float> bias(s.outputs);
    Array<Out> out((size_t) s.limit * outStride);
    x.normal(random);
    w.normal(random, 1 / std::sqrt((float) s.inputs));
    bias.normal(random);
    out.normal(random);
    std::vector<double> expected;
    int live = std::max(0, std::min(s.rows - s.from, s.limit));
    for (int m = 0; m < s.limit; m++) {
        for (int o = 0; o < outStride; o++) {
            double old = out.at((size_t) m * outStride + o), sum = 0;
            if (m >= live || o >= s.outputs) {
                expected.push_back(old);
                continue;
            }
            for (int i = 0; i < s.inputs; i++) {
                sum += (double) x.at((size_t) m * xStride + i) * w.at((size_t) o * s.inputs + i);
            }
            expected.push_back(sum + (withBias ? bias.host[o] : 0) + (add ? old : 0));
        }
    }
    const float* biases = withBias ? bias.device : nullptr;
    if constexpr (sizeof(T) == 2) {
        auto kernel = wgmma ? launch_wgmma : static_cast<decltype(&launch_wgmma)>(launch);
        kernel(count.device, s, x.device, xStride, w.device, biases, out.device, outStride, sizeof(Out) == 4, add);
    } else {
        launch(count.device, s, x.device, xStride, w.device, biases, out.device, outStride, sizeof(Out) == 4, add);
    }
    finish();
    out.download();
    std::vector<float> actual;
    for (size_t i = 0; i < out.host.size(); i++) {
        actual.push_back(out.at(i));
    }
    close("product " + std::to_string(s.rows) + " x " + std::to_string(s.outputs) + " x " + std::to_string(s.inputs), actual, expected,
            sizeof(T) == 2 ? 5e-5 : 1e-5, sizeof(Out) == 2 ? 0.0045 : 1e-5);
}

std::vector<Shape> shapes() {
    return {{1, 1, 1, 0, 1}, {0, 64, 64, 0, 128}, {33, 31, 207, 0, 40}, {128, 128, 64, 0, 128}, {129, 130, 72, 0, 200}, {300, 257, 256,
            100, 150},
            {64, 200, 1000, 0, 64}, {5, 130, 8, 7, 10}, {130, 66, 33, 0, 131}};
}

PREFILL_TEST(product_equals_loop_bf16) {
    for (const Shape& s : shapes()) {
        for (int pad : {0, 1, 8}) {
            against_loop<bf16, bf16>(s, pad, true, false);
            against_loop<bf16, bf16>(s, pad, false, true);
            against_loop<bf16, float>(s, pad, true, true);
            against_loop<bf16, float>(s, pad, false, false);
        }
    }
}

PREFILL_TEST(product_by_wgmma_equals_loop) {
    if (!has_wgmma()) {
        std::printf("no wgmma on this device\n");
        return;
    }
    for (Shape s : {Shape{1, 1, 8, 0, 1}, Shape{0, 64, 64, 0, 128}, Shape{33, 31, 208, 0, 40}, Shape{128, 256, 64, 0, 128},
            Shape{129, 258, 72, 0, 200}, Shape{300, 520, 256, 100, 150}, Shape{64, 264, 1000, 0, 64}, Shape{5, 130, 8, 7, 10},
            Shape{400, 600, 320, 0, 400}}) {
        for (int pad : {0, 8}) {
            against_loop<bf16, bf16>(s, pad, true, false, true);
            against_loop<bf16, bf16>(s, pad, false, true, true);
            against_loop<bf16, float>(s, pad, true, true, true);
            against_loop<bf16, float>(s, pad, false, false, true);
        }
    }
}

PREFILL_TEST(product_equals_loop_f32) {
    for (const Shape& s : shapes()) {
        against_loop<float, float>(s, 0, true, false);
        against_loop<float, float>(s, 1, false, true);
    }
}

/** blocks: those of a gate block in the form by wgmma; 0: the other form. */
template <class T> void gates(int rows, int H, int G, int blocks = 0) {
    Random random(rows + G);
    int width = H * G, limit = rows + 2;
    Array<int> count(1);
    set(count, rows);
    Array<T> x((size_t) limit * width), w((size_t) 2 * width * G), out((size_t) 2 * limit * width);
    x.normal(random);
    w.normal(random, 1 / std::sqrt((float) G));
    long long plane = (long long) limit * width;
    if constexpr (sizeof(T) == 2) {
        if (blocks > 0) {
            launch_gates_wgmma(count.device, limit, blocks, x.device, width, w.device, out.device, plane, H);
        }
    }
    if (blocks == 0) {
        launch_gates(count.device, limit, x.device, width, w.device, out.device, plane, H, G);
    }
    finish();
    out.download();
    std::vector<float> actual;
    std::vector<double> expected;
    for (int z = 0; z < 2; z++) {
        for (int m = 0; m < rows; m++) {
            for (int e = 0; e < width; e++) {
                double sum = 0;
                for (int i = 0; i < G; i++) {
                    sum += (double) x.at((size_t) m * width + e / G * G + i) * w.at(((size_t) z * width + e) * G + i);
                }
                expected.push_back(sum);
                actual.push_back(out.at(((size_t) z * limit + m) * width + e));
            }
        }
    }
    close("gates of " + std::to_string(H) + " blocks of " + std::to_string(G), actual, expected, sizeof(T) == 2 ? 5e-5 : 1e-5,
            sizeof(T) == 2 ? 0.0045 : 1e-5);
}

PREFILL_TEST(gates_equal_loop) {
    for (int rows : {1, 130}) {
        gates<bf16>(rows, 2, 256);
        gates<bf16>(rows, 3, 33);
        gates<bf16>(rows, 1, 1);
        gates<bf16>(rows, 4, 8);
        gates<float>(rows, 2, 64);
        gates<float>(rows, 3, 31);
    }
}

PREFILL_TEST(gates_by_wgmma_equal_loop) {
    if (!has_wgmma()) {
        std::printf("no wgmma on this device\n");
        return;
    }
    for (int rows : {0, 1, 64, 130, 700}) {
        for (int blocks : {1, 2, 6, 13}) {
            gates<bf16>(rows, 2, 256, blocks);
        }
    }
    gates<bf16>(333, 10, 256, gate_blocks(10, 335));
}

PREFILL_BENCH(product) {
    struct {
        int outputs, inputs;
    } list[] = {{5120, 2560}, {2560, 2560}, {3072, 2560}, {15360, 2560}, {2560, 7680}};
    Array<int> count(1);
    set(count, 2048);
    for (auto s : list) {
        Random random(1);
        Array<bf16> x((size_t) 2048 * s.inputs), w((size_t) s.outputs * s.inputs), out((size_t) 2048 * s.outputs);
        x.normal(random);
        w.normal(random, 0.02f);
        for (bool wgmma : {false, true}) {
            if (wgmma && !has_wgmma()) {
                continue;
            }
            auto kernel = wgmma ? launch_wgmma : static_cast<decltype(&launch_wgmma)>(launch);
            double time = seconds([&] {
                kernel(count.device, {2048, s.outputs, s.inputs, 0, 2048}, x.device, s.inputs, w.device, nullptr, out.device, s.outputs,
                        0, 0);
            });
            report_flops((wgmma ? "gemm_wgmma_bf16 2048 x " : "gemm_bf16 2048 x ") + std::to_string(s.outputs) + " x "
                    + std::to_string(s.inputs), 2.0 * 2048 * s.outputs * s.inputs, time);
        }
    }
    for (int H : {10, 16}) {
        Random random(2);
        int width = H * 256;
        Array<bf16> x((size_t) 2048 * width), w((size_t) 2 * width * 256), out((size_t) 2 * 2048 * width);
        x.normal(random);
        w.normal(random, 0.06f);
        std::string shape = " 2048 x " + std::to_string(H) + " x 256 x 256 x 2";
        report_flops("gates_gemm_bf16" + shape, 4.0 * 2048 * width * 256, seconds([&] {
            launch_gates(count.device, 2048, x.device, width, w.device, out.device, 2048ll * width, H, 256);
        }));
        if (has_wgmma()) {
            report_flops("gates_gemm_wgmma_bf16" + shape, 4.0 * 2048 * width * 256, seconds([&] {
                launch_gates_wgmma(count.device, 2048, gate_blocks(H, 2048), x.device, width, w.device, out.device, 2048ll * width, H);
            }));
        }
    }
}

} // namespace
