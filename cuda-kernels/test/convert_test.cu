// Conversions against plain loops.
#include "../src/convert.cu"
#include "harness.cuh"

using namespace harness;

namespace {

float plain(float v) { return v; }
float plain(bf16 v) { return __bfloat162float(v); }
float plain(__half v) { return __half2float(v); }

template <class F> std::vector<F> inputs(size_t n) {
    std::vector<float> v = random_values<float>(n, 5, 3);
    std::vector<F> out(n);
    for (size_t i = 0; i < n; i++) {
        if constexpr (std::is_same_v<F, __half>) {
            out[i] = __float2half_rn(v[i]);
        } else {
            out[i] = host_from_float<F>(v[i]);
        }
    }
    return out;
}

template <class F, class T, class K> void check_convert(const char* name, K kernel, size_t n) {
    std::vector<F> in = inputs<F>(n);
    Device<F> dIn(in);
    Device<T> out(n);
    launch(kernel, 7, 256, 0, dIn.data, out.data, n);
    synchronize();
    std::vector<T> want;
    for (F v : in) {
        want.push_back(host_from_float<T>(plain(v)));
    }
    compare_bits(std::string(name) + " of " + std::to_string(n), out.read(), want);
}

template <class F, class T, class K> void check_gates(const char* name, K kernel, int heads, int G) {
    std::vector<F> in = inputs<F>(size_t(heads) * G * G);
    Device<F> dIn(in);
    Device<T> out(in.size());
    const unsigned tiles = unsigned(G + 31) / 32;
    launch(kernel, dim3(tiles, tiles, unsigned(heads)), dim3(32, 8), 0, dIn.data, out.data, G);
    synchronize();
    std::vector<T> want(in.size());
    for (int h = 0; h < heads; h++) {
        for (int i = 0; i < G; i++) {
            for (int o = 0; o < G; o++) {
                want[(size_t(h) * G + o) * G + i] = host_from_float<T>(plain(in[(size_t(h) * G + i) * G + o]));
            }
        }
    }
    compare_bits(std::string(name) + " heads " + std::to_string(heads) + " width " + std::to_string(G), out.read(), want);
}

template <class F, class A, class B, class C> void check_small(const char* type, A taps, B norm, C decay, int E, int K) {
    std::vector<F> in = inputs<F>(size_t(E) * K);
    Device<F> dIn(in);
    Device<float> out(in.size());
    std::vector<float> want(in.size());
    const std::string suffix = std::string("_") + type + " " + std::to_string(E) + " x " + std::to_string(K);
    launch(taps, 3, 256, 0, dIn.data, out.data, E, K);
    synchronize();
    for (int e = 0; e < E; e++) {
        for (int c = 0; c < K; c++) {
            want[size_t(c) * E + e] = plain(in[size_t(e) * K + c]);
        }
    }
    compare_bits("transpose_taps" + suffix, out.read(), want);
    launch(norm, 3, 256, 0, dIn.data, out.data, in.size());
    synchronize();
    for (size_t i = 0; i < in.size(); i++) {
        want[i] = 1 + plain(in[i]);
    }
    compare_bits("norm_factor" + suffix, out.read(), want);
    launch(decay, 3, 256, 0, dIn.data, out.data, in.size());
    synchronize();
    std::vector<double> exact(in.size());
    for (size_t i = 0; i < in.size(); i++) {
        const double p = plain(in[i]);
        exact[i] = -8 * (std::fmax(p, 0) + std::log1p(std::exp(-std::fabs(p))));
    }
    compare("decay" + suffix, out.read(), exact, 0, 0x1p-23);
}

}  // namespace

void test_convert() {
    for (size_t n : {size_t(1), size_t(31), size_t(100003)}) {
        check_convert<bf16, float>("convert_bf16_f32", convert_bf16_f32, n);
        check_convert<__half, float>("convert_f16_f32", convert_f16_f32, n);
        check_convert<__half, bf16>("convert_f16_bf16", convert_f16_bf16, n);
        check_convert<float, bf16>("convert_f32_bf16", convert_f32_bf16, n);
    }
    for (int G : {1, 33, 256}) {
        check_gates<bf16, bf16>("transpose_gates_bf16_bf16", transpose_gates_bf16_bf16, 3, G);
        check_gates<bf16, float>("transpose_gates_bf16_f32", transpose_gates_bf16_f32, 3, G);
        check_gates<__half, bf16>("transpose_gates_f16_bf16", transpose_gates_f16_bf16, 3, G);
        check_gates<__half, float>("transpose_gates_f16_f32", transpose_gates_f16_f32, 3, G);
        check_gates<float, bf16>("transpose_gates_f32_bf16", transpose_gates_f32_bf16, 3, G);
        check_gates<float, float>("transpose_gates_f32_f32", transpose_gates_f32_f32, 3, G);
    }
    check_small<bf16>("bf16", transpose_taps_bf16, norm_factor_bf16, decay_bf16, 2560, 4);
    check_small<__half>("f16", transpose_taps_f16, norm_factor_f16, decay_f16, 33, 3);
    check_small<float>("f32", transpose_taps_f32, norm_factor_f32, decay_f32, 207, 1);
}
