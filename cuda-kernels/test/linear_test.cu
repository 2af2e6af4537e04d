// The products of 1 to 32 rows against plain loops.
#include "../src/linear.cu"
#include "../src/logits.cu"
#include "linear_launch.cuh"

using namespace harness;

namespace {

#define KERNEL_TABLE(name)                                                                                                \
    template <class T> auto name##_kernel(int rows) {                                                                     \
        if constexpr (sizeof(T) == 2) {                                                                                   \
            return rows == 1 ? name##_bf16_r1 : rows == 8 ? name##_bf16_r8 : rows == 16 ? name##_bf16_r16 : name##_bf16_r32; \
        } else {                                                                                                          \
            return rows == 1 ? name##_f32_r1 : rows == 2 ? name##_f32_r2 : rows == 4 ? name##_f32_r4 : name##_f32_r8;     \
        }                                                                                                                 \
    }
#define ONE_ROW_KERNEL(name)                                   \
    template <class T> auto name##_kernel() {                  \
        if constexpr (sizeof(T) == 2) {                        \
            return name##_bf16_r1;                             \
        } else {                                               \
            return name##_f32_r1;                              \
        }                                                      \
    }
KERNEL_TABLE(linear_decode)
template <class T> auto linear_add_decode_kernel(int rows) {
    if constexpr (sizeof(T) == 2) {
        return linear_add_decode_bf16_r1;
    } else {
        return rows == 1 ? linear_add_decode_f32_r1 : rows == 2 ? linear_add_decode_f32_r2 : rows == 4 ? linear_add_decode_f32_r4
                                                                                                 : linear_add_decode_f32_r8;
    }
}
KERNEL_TABLE(logits_decode)
ONE_ROW_KERNEL(norm_linear_decode)
ONE_ROW_KERNEL(norm_gated_linear_decode)

constexpr float EPS = 1e-6f;
constexpr int MOST_PLANES = 8;

template <class T> bool by_tiles(int rows) { return sizeof(T) == 2 && rows > 1; }

/** The launch of a product of either engine. */
struct AnyLaunch {
    dim3 grid, block;
    size_t shared;
};

template <class T> AnyLaunch any_launch(int rows, int O, int I, int xStride) {
    if (by_tiles<T>(rows)) {
        const TileLaunch t = tile_launch(rows, O, 1, I, 1);
        return {dim3(unsigned(t.grid)), dim3(TILE_BLOCK), t.shared};
    }
    const LinearLaunch l = linear_launch(rows, O, I, sizeof(T), false, xStride);
    return {dim3(unsigned(l.grid)), l.block(), l.shared};
}

template <class T> struct Case {
    int rows, live, O, I, pad;
    std::vector<T> x, w;
    std::vector<float> bias, residual, scale, before;
    Device<T> dx, dw;
    Device<float> dbias, dresidual, dscale;
    Device<int> count;

    Case(int rows_, int live_, int O_, int I_, int pad_)
        : rows(rows_), live(live_), O(O_), I(I_), pad(pad_), x(random_values<T>(size_t(rows_) * (I_ + pad_), 1)),
          w(random_values<T>(size_t(O_) * I_, 2, 1 / std::sqrt(float(I_)))), bias(random_values<float>(O_, 3)),
          residual(random_values<float>(size_t(rows_) * (I_ + pad_), 4, 3)), scale(random_values<float>(I_, 5, 0.3f, 1)), dx(x), dw(w),
          dbias(bias), dresidual(residual), dscale(scale), count(std::vector<int>{live_}) {}

    /** Row m of x, or of the norm of the residual, rounded to T. */
    std::vector<double> input(int m, bool normalised) const {
        std::vector<double> row(I);
        double squares = 0;
        for (int i = 0; i < I; i++) {
            double v = residual[size_t(m) * (I + pad) + i];
            squares += v * v;
        }
        double norm = 1 / std::sqrt(squares / I + EPS);
        for (int i = 0; i < I; i++) {
            row[i] = normalised ? double(host_round<T>(float(residual[size_t(m) * (I + pad) + i] * norm * scale[i])))
                                : double(host_to_float(x[size_t(m) * (I + pad) + i]));
        }
        return row;
    }
    /** sum_i x[m, i] w[o, i] for all o. */
    std::vector<double> product(int m, bool normalised) const {
        std::vector<double> row = input(m, normalised), y(O);
        for (int o = 0; o < O; o++) {
            double sum = 0;
            for (int i = 0; i < I; i++) {
                sum += row[i] * host_to_float(w[size_t(o) * I + i]);
            }
            y[o] = sum;
        }
        return y;
    }
    std::string name(const char* kernel) const {
        char text[120];
        std::snprintf(text, sizeof text, "%s_%s_r%d O %d I %d rows %d pad %d", kernel, type_name<T>(), rows, O, I, live, pad);
        return text;
    }
};

/** Rows beyond the live ones must keep what they had. */
constexpr float UNTOUCHED = 77.0f;

template <class T> void check_linear(const Case<T>& c, const std::vector<std::vector<double>>& plain, const std::vector<std::vector<double>>& normed) {
    for (bool normalised : {false, true}) {
        if (normalised && normed.empty()) {
            continue;
        }
        for (bool isFloat : {true, false}) {
            const int stride = c.O + c.pad;
            Device<float> f(std::vector<float>(size_t(c.rows) * stride, UNTOUCHED));
            Device<T> t(std::vector<T>(size_t(c.rows) * stride, host_from_float<T>(UNTOUCHED)));
            void* out = isFloat ? static_cast<void*>(f.data) : static_cast<void*>(t.data);
            const float* bias = isFloat ? c.dbias.data : nullptr;
            if (normalised) {
                LinearLaunch l = linear_launch(c.rows, c.O, c.I, sizeof(T), true, c.I + c.pad);
                launch(norm_linear_decode_kernel<T>(), l.grid, l.block(), l.shared, c.count.data, 0, c.rows, c.dresidual.data,
                       c.I + c.pad, c.dscale.data, EPS, c.dw.data, bias, out, stride, int(isFloat), c.O, c.I);
            } else {
                AnyLaunch l = any_launch<T>(c.rows, c.O, c.I, c.I + c.pad);
                launch(linear_decode_kernel<T>(c.rows), l.grid, l.block, l.shared, c.count.data, 0, c.rows, c.dx.data, c.I + c.pad,
                       c.dw.data, bias, out, stride, int(isFloat), c.O, c.I);
            }
            synchronize();
            std::vector<double> want(size_t(c.rows) * stride, UNTOUCHED);
            for (int m = 0; m < c.live; m++) {
                for (int o = 0; o < c.O; o++) {
                    want[size_t(m) * stride + o] = (normalised ? normed : plain)[m][o] + (bias ? c.bias[o] : 0.0f);
                }
            }
            // A normalised bf16 input may round the other way now and then.
            const double absolute = sizeof(T) == 2 && normalised ? 2e-3 : 2e-5, relative = isFloat ? 1e-5 : sizeof(T) == 2 ? 0x1p-8 : 1e-5;
            std::string what = c.name(normalised ? "norm_linear_decode" : "linear_decode") + (isFloat ? " to float" : " to T");
            if (isFloat) {
                compare(what, f.read(), want, absolute, relative);
            } else {
                compare(what, t.read(), want, absolute, relative);
            }
        }
    }
}

template <class T> void check_add(const Case<T>& c, const std::vector<std::vector<double>>& plain) {
    const int stride = c.O + c.pad;
    std::vector<float> before = random_values<float>(size_t(c.rows) * stride, 9, 2);
    Device<float> residual(before);
    LinearLaunch l = linear_launch(c.rows, c.O, c.I, sizeof(T), false, c.I + c.pad);
    auto run = [&](int grid) {
        residual.write(before);
        launch(linear_add_decode_kernel<T>(c.rows), grid, l.block(), l.shared, c.count.data, 0, c.rows, c.dx.data, c.I + c.pad, c.dw.data,
               c.dbias.data, residual.data, stride, c.O, c.I);
        synchronize();
        return residual.read();
    };
    std::vector<float> got = run(l.grid);
    std::vector<double> want(before.begin(), before.end());
    for (int m = 0; m < c.live; m++) {
        for (int o = 0; o < c.O; o++) {
            want[size_t(m) * stride + o] += plain[m][o] + c.bias[o];
        }
    }
    compare(c.name("linear_add_decode"), got, want, 2e-5, 1e-5);
    compare_bits(c.name("linear_add_decode") + " again on another grid", run(7), got);
}

template <class T> void check_logits(const Case<T>& c, const std::vector<std::vector<double>>& plain) {
    for (float cap : {0.0f, 3.0f}) {
        Device<float> out(std::vector<float>(size_t(c.rows) * c.O, UNTOUCHED));
        AnyLaunch l = any_launch<T>(c.rows, c.O, c.I, c.I + c.pad);
        launch(logits_decode_kernel<T>(c.rows), l.grid, l.block, l.shared, c.count.data, 0, c.rows, c.dx.data, c.I + c.pad, c.dw.data, cap,
               out.data, c.O, c.O, c.I);
        synchronize();
        std::vector<double> want(size_t(c.rows) * c.O, UNTOUCHED);
        for (int m = 0; m < c.live; m++) {
            for (int o = 0; o < c.O; o++) {
                want[size_t(m) * c.O + o] = cap > 0 ? cap * std::tanh(plain[m][o] / cap) : plain[m][o];
            }
        }
        compare(c.name("logits_decode") + (cap > 0 ? " capped" : ""), out.read(), want, 2e-5, 1e-5);
        if (cap == 0) {
            launch(soft_cap, dim3(unsigned(c.O + 1023) / 1024, unsigned(c.rows)), 256, 0, c.count.data, 0, c.rows, out.data, c.O, 2.0f, c.O);
            synchronize();
            for (int i = 0; i < c.live * c.O; i++) {
                want[i] = 2 * std::tanh(want[i] / 2);
            }
            compare(c.name("soft_cap after logits_decode"), out.read(), want, 2e-5, 1e-5);
        }
    }
}

/** O is 2F here. */
template <class T> void check_gated(const Case<T>& c, const std::vector<std::vector<double>>& normed) {
    const int F = c.O / 2, stride = F + c.pad;
    for (bool withBias : {true, false}) {
        Device<T> out(std::vector<T>(size_t(c.rows) * stride, host_from_float<T>(UNTOUCHED)));
        LinearLaunch l = linear_launch(c.rows, F, c.I, sizeof(T), true, c.I + c.pad);
        launch(norm_gated_linear_decode_kernel<T>(), l.grid, l.block(), l.shared, c.count.data, 0, c.rows, c.dresidual.data,
               c.I + c.pad, c.dscale.data, EPS, c.dw.data, withBias ? c.dbias.data : nullptr, out.data, stride, F, c.I);
        synchronize();
        std::vector<double> want(size_t(c.rows) * stride, UNTOUCHED);
        for (int m = 0; m < c.live; m++) {
            for (int f = 0; f < F; f++) {
                double gate = normed[m][f] + (withBias ? c.bias[f] : 0.0f), up = normed[m][F + f] + (withBias ? c.bias[F + f] : 0.0f);
                want[size_t(m) * stride + f] = host_gelu(gate) * up;
            }
        }
        compare(c.name("norm_gated_linear_decode") + (withBias ? "" : " no bias"), out.read(), want, sizeof(T) == 2 ? 5e-3 : 5e-5,
                sizeof(T) == 2 ? 0x1p-8 : 1e-5);
    }
}

auto planes_kernel(int rows) {
    return rows == 8 ? linear_planes_decode_bf16_r8 : rows == 16 ? linear_planes_decode_bf16_r16 : linear_planes_decode_bf16_r32;
}

/** The sum of the planes, whatever their number; other planes and rows keep what they had. */
void check_planes(const Case<bf16>& c, const std::vector<std::vector<double>>& plain) {
    const int stride = c.O + c.pad;
    const size_t plane = size_t(c.rows) * stride;
    for (int planes : {0, 1, 3, 8}) {
        const TileLaunch l = tile_launch(c.rows, c.O, 1, c.I, MOST_PLANES, 0, planes);
        Device<float> out(std::vector<float>(MOST_PLANES * plane, UNTOUCHED));
        auto run = [&] {
            launch(planes_kernel(c.rows), l.grid, TILE_BLOCK, l.shared, c.count.data, 0, c.rows, c.dx.data, c.I + c.pad, c.dw.data, c.dbias.data,
                   out.data, stride, (long long) plane, l.planes, c.O, c.I);
            synchronize();
            return out.read();
        };
        const std::vector<float> got = run();
        std::vector<double> want(plane, UNTOUCHED), sum(plane, UNTOUCHED);
        bool kept = true;
        for (int m = 0; m < c.rows; m++) {
            for (int o = 0; o < stride; o++) {
                const bool mine = m < c.live && o < c.O;
                double all = 0;
                for (int p = 0; p < MOST_PLANES; p++) {
                    const float v = got[p * plane + size_t(m) * stride + o];
                    if (mine && p < l.planes) {
                        all += v;
                    } else {
                        kept = kept && v == UNTOUCHED;
                    }
                }
                if (mine) {
                    want[size_t(m) * stride + o] = plain[m][o] + c.bias[o];
                    sum[size_t(m) * stride + o] = all;
                }
            }
        }
        const std::string name = c.name("linear_planes_decode") + " planes " + std::to_string(l.planes);
        report(kept, name + ": nothing else is written");
        compare(name, sum, want, 2e-5, 1e-5);
        compare_bits(name + " again", run(), got);
    }
}

auto gated_kernel(int rows) {
    return rows == 8 ? gated_linear_decode_bf16_r8 : rows == 16 ? gated_linear_decode_bf16_r16 : gated_linear_decode_bf16_r32;
}

/** O is 2F here. */
void check_gated_tiles(const Case<bf16>& c, const std::vector<std::vector<double>>& plain) {
    const int F = c.O / 2, stride = F + c.pad;
    for (int room : {0, 200 * 1024}) {
        Device<bf16> out(std::vector<bf16>(size_t(c.rows) * stride, host_from_float<bf16>(UNTOUCHED)));
        const TileLaunch l = tile_launch(c.rows, F, 2, c.I, 1, std::min(room, shared_per_block()));
        launch(gated_kernel(c.rows), l.grid, TILE_BLOCK, l.shared, c.count.data, 0, c.rows, c.dx.data, c.I + c.pad, c.dw.data,
               room == 0 ? c.dbias.data : nullptr, out.data, stride, F, c.I);
        synchronize();
        std::vector<double> want(size_t(c.rows) * stride, UNTOUCHED);
        for (int m = 0; m < c.live; m++) {
            for (int f = 0; f < F; f++) {
                double gate = plain[m][f] + (room == 0 ? c.bias[f] : 0.0f), up = plain[m][F + f] + (room == 0 ? c.bias[F + f] : 0.0f);
                want[size_t(m) * stride + f] = host_gelu(gate) * up;
            }
        }
        compare(c.name("gated_linear_decode"), out.read(), want, 1e-4, 0x1p-8);
    }
}

template <class T> void check_shape(int rows, int live, int O, int I, int pad) {
    Case<T> c(rows, live, O, I, pad);
    // A normalised row is always staged: where it does not fit, the launcher does not fuse.
    const bool fits = rows == 1 && linear_launch(rows, O, I, sizeof(T), true, I + pad).warps > 0;
    std::vector<std::vector<double>> plain(rows), normed(fits ? rows : 0);
    for (int m = 0; m < live; m++) {
        plain[m] = c.product(m, false);
        if (fits) {
            normed[m] = c.product(m, true);
        }
    }
    check_linear(c, plain, normed);
    check_logits(c, plain);
    if constexpr (sizeof(T) == 2) {
        if (rows > 1) {
            check_planes(c, plain);
            if (O % 2 == 0) {
                check_gated_tiles(c, plain);
            }
            return;
        }
    }
    check_add(c, plain);
    if (O % 2 == 0 && fits) {
        check_gated(c, normed);
    }
}

/** Tiles of 128 weight rows, as on a card with less shared memory: the sums of a block that has several. */
void check_small_tiles() {
    for (int rows : {8, 32}) {
        const Case<bf16> c(rows, rows - 1, 30000, 272, 0);
        const TileLaunch l = tile_launch(rows, c.O, 1, c.I, 1, 1, 0, 128);
        Device<float> out(std::vector<float>(size_t(rows) * c.O, UNTOUCHED));
        launch(logits_decode_kernel<bf16>(rows), l.grid, TILE_BLOCK, l.shared, c.count.data, 0, rows, c.dx.data, c.I, c.dw.data, 0.0f, out.data, c.O,
               c.O, c.I);
        synchronize();
        std::vector<double> want(size_t(rows) * c.O, UNTOUCHED);
        for (int m = 0; m < c.live; m++) {
            const std::vector<double> row = c.product(m, false);
            std::copy(row.begin(), row.end(), want.begin() + size_t(m) * c.O);
        }
        compare(c.name("logits_decode") + " in tiles of 128 rows", out.read(), want, 2e-5, 1e-5);
    }
}

/** The kernels' suffixes. */
template <class T> std::vector<int> row_forms() {
    return sizeof(T) == 2 ? std::vector<int>{1, 8, 16, 32} : std::vector<int>{1, 2, 4, 8};
}

template <class T> void check_type() {
    const int odd[][2] = {{1, 1}, {31, 33}, {34, 207}, {207, 31}, {64, 64}, {96, 40}, {130, 96}, {2000, 160}, {333, 1000}, {40, 5200}};
    for (auto& shape : odd) {
        for (int rows : row_forms<T>()) {
            for (int live : {0, 1, rows - 1, rows}) {
                check_shape<T>(rows, live, shape[0], shape[1], live % 2 == 0 ? 0 : 3);
            }
        }
    }
    for (int live = 0; live <= 8; live++) {
        check_shape<T>(8, live, 300, 256, 8);
    }
    if (brief()) {
        return;
    }
    const int real[][2] = {{5120, 2560}, {2560, 7680}, {3072, 2560}, {1024, 4096}, {512, 12288}};
    for (auto& shape : real) {
        for (int rows : row_forms<T>()) {
            check_shape<T>(rows, rows > 2 ? rows - 3 : rows, shape[0], shape[1], 0);
        }
    }
    check_shape<T>(1, 1, 15360, 2560, 0);
    check_shape<T>(row_forms<T>().back(), 7, 15360, 2560, 8);
    check_shape<T>(row_forms<T>().back(), 8, 70000, 72, 0); // several tiles a block
    check_shape<T>(row_forms<T>()[1], 2, 2560, 2560, 0);
    check_shape<T>(row_forms<T>()[2], 4, 2560, 2560, 16);
}

}  // namespace

void test_linear() {
    check_small_tiles();
    check_type<bf16>();
    check_type<float>();
}
