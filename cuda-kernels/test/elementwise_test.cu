// embed, add_rms_norm, gated_gelu, select_rows against plain loops.
#include "../src/add_rms_norm.cu"
#include "../src/embed.cu"
#include "../src/gated_gelu.cu"
#include "../src/select_rows.cu"
#include "harness.cuh"

#include <algorithm>

using namespace harness;

namespace {

std::string name(const char* kernel, const char* type, int rows, int columns, int pad) {
    char text[100];
    std::snprintf(text, sizeof text, "%s_%s rows %d columns %d pad %d", kernel, type, rows, columns, pad);
    return text;
}

template <class T> auto pick(void (*low)(Step, const bf16*, float, float*, int, int), void (*high)(Step, const float*, float, float*, int, int)) {
    if constexpr (sizeof(T) == 2) {
        return low;
    } else {
        return high;
    }
}

template <class T> void check_embed(int rows, int D, int pad) {
    const int V = 50, stride = D + pad;
    Random random(7);
    HostStep h(rows + 1, rows + 1, 9);
    for (int m = 0; m < rows; m++) {
        h.add(m, m, 1, true, random, V);
    }
    DeviceStep step(h);
    std::vector<T> table = random_values<T>(size_t(V) * D, 11);
    Device<T> dTable(table);
    Device<float> x(std::vector<float>(size_t(rows + 1) * stride, 5));
    launch(pick<T>(embed_bf16, embed_f32), unsigned(rows + 1), 256, 0, step.step, dTable.data, 50.5f, x.data, stride, D);
    synchronize();
    std::vector<float> want(size_t(rows + 1) * stride, 5);
    for (int m = 0; m < rows; m++) {
        for (int d = 0; d < D; d++) {
            want[size_t(m) * stride + d] = host_to_float(table[size_t(h.tokens[m]) * D + d]) * 50.5f;
        }
    }
    compare_bits(name("embed", type_name<T>(), rows, D, pad), x.read(), want);
}

template <class T> void check_norm(int rows, int D, int pad, bool withDelta, unsigned threads = 256) {
    const int stride = D + pad, from = 1; // a view that leaves out the first counted row
    std::vector<float> residual = random_values<float>(size_t(rows + 1) * stride, 1, 4), delta = random_values<float>(size_t(rows + 1) * stride, 2),
                       scale = random_values<float>(D, 3, 0.3f, 1);
    Device<float> dResidual(residual), dDelta(delta), dScale(scale);
    Device<T> out(std::vector<T>(size_t(rows + 1) * stride, host_from_float<T>(5)));
    Device<int> count(std::vector<int>{rows + from});
    auto run = [&](auto kernel) {
        launch(kernel, unsigned(rows + 1), threads, 0, count.data, from, rows + 1, dResidual.data, stride, withDelta ? dDelta.data : nullptr,
               stride, dScale.data, 1e-6f, out.data, stride, D);
    };
    if constexpr (sizeof(T) == 2) {
        run(add_rms_norm_bf16);
    } else {
        run(add_rms_norm_f32);
    }
    synchronize();
    std::vector<double> want(size_t(rows + 1) * stride, 5), sums(residual.begin(), residual.end());
    for (int m = 0; m < rows; m++) {
        double squares = 0;
        for (int d = 0; d < D; d++) {
            double& v = sums[size_t(m) * stride + d];
            v += withDelta ? delta[size_t(m) * stride + d] : 0.0f;
            squares += v * v;
        }
        for (int d = 0; d < D; d++) {
            want[size_t(m) * stride + d] = sums[size_t(m) * stride + d] / std::sqrt(squares / D + 1e-6) * scale[d];
        }
    }
    const std::string what = name("add_rms_norm", type_name<T>(), rows, D, pad) + (withDelta ? " with delta" : "") + ", threads " + std::to_string(threads);
    compare(what, out.read(), want, 1e-5, sizeof(T) == 2 ? 0x1p-8 : 1e-5);
    compare(what + " residual", dResidual.read(), sums, 1e-6, 1e-6);
}

/** A delta in planes: the bits of the planes added one after the other. */
void check_norm_of_planes(int rows, int D, int pad, int planes, unsigned threads) {
    const int stride = D + pad, from = 1;
    const size_t plane = size_t(rows + 1) * stride + (D % 4 ? 3 : 0); // planes may begin anywhere, but then no four elements are read at once
    const std::vector<float> residual = random_values<float>(size_t(rows + 1) * stride, 1, 4);
    Device<float> delta(random_values<float>(planes * plane, 2)), scale(random_values<float>(D, 3, 0.3f, 1)), sums(residual), whole(residual);
    Device<bf16> out(std::vector<bf16>(residual.size(), host_from_float<bf16>(5))), want(out.read());
    Device<int> count(std::vector<int>{rows + from});
    launch(add_planes_rms_norm_bf16, unsigned(rows + 1), threads, 0, count.data, from, rows + 1, sums.data, stride, delta.data, stride, (long long) plane,
           planes, scale.data, 1e-6f, out.data, stride, D);
    for (int p = 0; p < planes; p++) {
        launch(add_rms_norm_bf16, unsigned(rows + 1), threads, 0, count.data, from, rows + 1, whole.data, stride, delta.data + p * plane, stride,
               scale.data, 1e-6f, want.data, stride, D);
    }
    synchronize();
    const std::string what = name("add_planes_rms_norm", "bf16", rows, D, pad) + " planes " + std::to_string(planes);
    compare_bits(what, out.read(), want.read());
    compare_bits(what + " residual", sums.read(), whole.read());
}

/** A warp a row: the bits of a block a row, each of whose threads has four elements; rows after the last live one stay. */
template <class T> void check_norm_rows(int rows, int D, int pad, bool withDelta) {
    const bool wide = D > 2560;
    const int stride = D + pad, from = 3, launched = rows + 5;
    const std::vector<float> residual = random_values<float>(size_t(launched) * stride, 1, 4);
    Device<float> delta(random_values<float>(size_t(launched) * stride, 2)), scale(random_values<float>(D, 3, 0.3f, 1));
    Device<int> count(std::vector<int>{rows + from});
    auto run = [&](auto kernel, unsigned grid, unsigned threads) {
        Device<float> sums(residual);
        Device<T> out(std::vector<T>(residual.size(), host_from_float<T>(5)));
        launch(kernel, grid, threads, 0, count.data, from, launched, sums.data, stride, withDelta ? delta.data : nullptr, stride, scale.data, 1e-6f,
               out.data, stride, D);
        synchronize();
        return std::pair(out.read(), sums.read());
    };
    const unsigned block = unsigned(D + 127) / 128 * 32, grid = unsigned(launched + 3) / 4;
    std::pair<std::vector<T>, std::vector<float>> want, got;
    if constexpr (sizeof(T) == 2) {
        want = run(add_rms_norm_bf16, unsigned(launched), block);
        got = run(wide ? add_rms_norm_rows_bf16_c4096 : add_rms_norm_rows_bf16_c2560, grid, 128);
    } else {
        want = run(add_rms_norm_f32, unsigned(launched), block);
        got = run(wide ? add_rms_norm_rows_f32_c4096 : add_rms_norm_rows_f32_c2560, grid, 128);
    }
    const std::string what = name("add_rms_norm_rows", type_name<T>(), rows, D, pad) + (withDelta ? " with delta" : "");
    compare_bits(what + ": the bits of a block a row", got.first, want.first);
    compare_bits(what + " residual", got.second, want.second);
}

template <class T> void check_gelu(int rows, int F, int pad, bool inPlace, int fewer = 1) {
    const int stride = F + pad;
    std::vector<T> gate = random_values<T>(size_t(rows + 1) * stride, 1, 6), up = random_values<T>(size_t(rows + 1) * stride, 2);
    Device<T> dGate(gate), dUp(up), other(gate);
    T* out = inPlace ? dUp.data : other.data;
    Device<int> count(std::vector<int>{rows});
    auto run = [&](auto kernel) {
        launch(kernel, dim3(unsigned(F / 1024 / fewer + 1), unsigned(rows + 1)), 256, 0, count.data, 0, rows + 1, dGate.data, stride, dUp.data, stride,
               out, stride, F);
    };
    if constexpr (sizeof(T) == 2) {
        run(gated_gelu_bf16);
    } else {
        run(gated_gelu_f32);
    }
    synchronize();
    std::vector<double> want;
    for (T v : inPlace ? up : gate) {
        want.push_back(host_to_float(v));
    }
    for (int m = 0; m < rows; m++) {
        for (int f = 0; f < F; f++) {
            size_t at = size_t(m) * stride + f;
            want[at] = host_gelu(host_to_float(gate[at])) * host_to_float(up[at]);
        }
    }
    compare(name("gated_gelu", type_name<T>(), rows, F, pad) + (fewer > 1 ? " few blocks" : "") + (inPlace ? " in place" : ""), (inPlace ? dUp : other).read(), want, 1e-6,
            sizeof(T) == 2 ? 0x1p-8 : 1e-5);
}

template <class T> void check_select(int rows, int columns, int pad) {
    const int stride = columns + pad;
    Random random(3);
    HostStep h(rows + 1, rows + 1, 9);
    for (int m = 0; m < rows; m += 2) {
        h.add(m, 4, m + 1 < rows ? 2 : 1, true, random, 50);
    }
    DeviceStep step(h);
    std::vector<T> in = random_values<T>(size_t(rows + 1) * stride, 1), want(size_t(rows + 1) * stride, host_from_float<T>(5));
    Device<T> dIn(in), out(want);
    auto run = [&](auto kernel) { launch(kernel, unsigned(rows + 1), 256, 0, step.step, dIn.data, stride, out.data, stride, columns); };
    if constexpr (sizeof(T) == 2) {
        run(select_rows_bf16);
    } else {
        run(select_rows_f32);
    }
    synchronize();
    for (int o = 0; o < h.counts[2]; o++) {
        std::copy_n(in.begin() + size_t(h.outputRows[o]) * stride, columns, want.begin() + size_t(o) * stride);
    }
    compare_bits(name("select_rows", type_name<T>(), rows, columns, pad), out.read(), want);
}

template <class T> void check_type() {
    for (int columns : {1, 31, 33, 64, 207, 2560, 4096, 7680}) {
        if (brief() && columns > 207) {
            break;
        }
        for (int rows : {0, 1, 5, 33}) {
            for (int pad : {0, 3, 8}) {
                check_embed<T>(rows, columns, pad);
                check_norm<T>(rows, columns, pad, rows % 2 == 0);
                check_gelu<T>(rows, columns, pad, pad == 0);
                check_gelu<T>(rows, columns, pad, pad == 0, 100);
                check_select<T>(rows, columns, pad);
            }
        }
        check_norm<T>(3, columns, 0, true);
        for (unsigned threads : {unsigned(columns + 127) / 128 * 32, 1024u}) { // a whole row in registers, where it fits
            check_norm<T>(5, columns, 8, true, std::min(threads, 1024u));
            check_norm<T>(5, columns, 8, false, std::min(threads, 1024u));
        }
    }
}

/** Forms for many rows. */
template <class T> void check_many_rows() {
    for (int D : {2560, 4096}) {
        for (int rows : {0, 1, 7, 132, 1000, 2048}) {
            if (brief() && rows > 7) {
                break;
            }
            for (int pad : {0, 8}) {
                check_norm_rows<T>(rows, D, pad, false);
                check_norm_rows<T>(rows, D, pad, true);
            }
        }
    }
    if (!brief()) {
        for (int rows : {132, 1000, 2048}) {
            check_norm<T>(rows, 2560, 0, false, 640);
            check_gelu<T>(rows, 7680, 7680, true, 8);
            check_gelu<T>(rows, 1021, 3, false, 8);
        }
    }
}

}  // namespace

void test_elementwise() {
    for (int planes : {1, 2, 5, 8}) {
        check_norm_of_planes(5, 2560, 0, planes, 640);
        check_norm_of_planes(32, 4096, 8, planes, 1024);
        check_norm_of_planes(3, 4100, 0, planes, 256);
        check_norm_of_planes(2, 37, 3, planes, 256);
    }
    check_many_rows<bf16>();
    check_many_rows<float>();
    check_type<bf16>();
    check_type<float>();
}
