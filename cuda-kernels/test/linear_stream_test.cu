// The products by streams against plain sums, over rings, tiles and planes: the same bits whatever the ring and the launch.
#include "../src/linear_stream.cu"
#include "stream_launch.cuh"

using namespace harness;

namespace {

constexpr float UNTOUCHED = 77.0f;
constexpr int MOST_PLANES = 8;

/** out[m, o] = sum_i x[m, i] w[o, i]: a warp an output. */
__global__ void plain_product(const bf16* x, int xStride, const bf16* w, int O, int I, double* out) {
    const int o = blockIdx.x, m = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    double sum = 0;
    for (int i = lane; i < I; i += WARP) {
        sum += double(to_float(x[size_t(m) * xStride + i])) * double(to_float(w[size_t(o) * I + i]));
    }
    sum = warp_sum(sum);
    if (lane == 0) {
        out[size_t(m) * O + o] = sum;
    }
}

/** Copies x late: what follows must wait. */
__global__ void write_late(bf16* to, const bf16* from, int n) {
    pdl_launch_dependents();
    pdl_wait();
    const long long start = clock64();
    while (clock64() - start < 40000) {
    }
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        to[i] = from[i];
    }
}

#define KERNELS(name) \
    auto name##_kernel(int rows) { return rows == 8 ? name##_bf16_r8 : rows == 16 ? name##_bf16_r16 : name##_bf16_r32; }
KERNELS(linear_stream)
KERNELS(linear_planes_stream)
KERNELS(gated_linear_stream)
KERNELS(logits_stream)

/** Small numbers: sums of integers are exact. Rows that are not live and columns beyond I are NaN. */
struct Case {
    int rows, live, O, I, stride;
    bool exact;
    Device<bf16> x, w;
    std::vector<float> bias;
    Device<float> dbias;
    Device<int> count;
    std::vector<double> plain; // [live, O]

    Case(int rows_, int live_, int O_, int I_, int pad, bool exact_)
        : rows(rows_), live(live_), O(O_), I(I_), stride(I_ + pad), exact(exact_), bias(random_values<float>(O_, 3)), dbias(bias),
          count(std::vector<int>{live_ + 5}) { // the view begins at row 5
        Random random(7);
        std::vector<bf16> hx(size_t(rows) * stride, __float2bfloat16_rn(NAN)), hw(size_t(O) * I);
        const float scale = 1 / std::sqrt(float(I));
        for (int m = 0; m < live; m++) {
            for (int i = 0; i < I; i++) {
                hx[size_t(m) * stride + i] = __float2bfloat16_rn(exact ? float(random.below(9) - 4) : random.uniform());
            }
        }
        for (bf16& v : hw) {
            v = __float2bfloat16_rn(exact ? float(random.below(5) - 2) : scale * random.uniform());
        }
        if (exact) {
            for (float& b : bias) {
                b = float(int(b * 8));
            }
            dbias.write(bias);
        }
        x = Device<bf16>(hx), w = Device<bf16>(hw);
        if (live > 0) {
            Device<double> sums(size_t(live) * O, 0);
            plain_product<<<O, live * WARP>>>(x.data, stride, w.data, O, I, sums.data);
            synchronize();
            plain = sums.read();
        }
    }
    double sum(int m, int o) const { return plain[size_t(m) * O + o]; }
    double tolerance() const { return exact ? 1e-30 : 1e-4; }
    double relative() const { return exact ? 1e-30 : 2e-5; }
    CUtensorMap x_map() const { return map_of_x(x.data, rows, I, stride, rows); }
    std::string name(const char* kernel, const StreamLaunch& l) const {
        char text[200];
        std::snprintf(text, sizeof text, "%s_r%d O %d I %d live %d pad %d, tile %d grid %d planes %d stages %d%s", kernel, rows, O, I,
                      live, stride - I, l.tileRows, l.grid, l.planes, l.stages, exact ? " exact" : "");
        return text;
    }
};

/** The last has tiles of several groups where the others have one or two. */
const StreamSetting SETTINGS[] = {{216 << 10}, {72 << 10}, {100 << 10}, {141 << 10, 0, 7}};

void check_linear(const Case& c, bool isFloat) {
    const int stride = c.O + 3;
    std::vector<double> want(size_t(c.rows) * stride, UNTOUCHED);
    for (int m = 0; m < c.live; m++) {
        for (int o = 0; o < c.O; o++) {
            want[size_t(m) * stride + o] = c.sum(m, o) + (isFloat ? c.bias[o] : 0.0f);
        }
    }
    std::vector<float> first[2]; // with one set of warps, and with two, whose sums are added up
    for (const StreamSetting& s : SETTINGS) {
        const StreamLaunch l = stream_launch(c.rows, c.O, 1, c.I, 1, s);
        if (l.tileRows == 0) {
            continue;
        }
        Device<float> f(std::vector<float>(size_t(c.rows) * stride, UNTOUCHED));
        Device<bf16> t(std::vector<bf16>(size_t(c.rows) * stride, __float2bfloat16_rn(UNTOUCHED)));
        auto run = [&] {
            launch(linear_stream_kernel(c.rows), l.grid, l.block(), l.shared, map_of_w(c.w.data, c.O, 1, c.I, l, s.promotion),
                            c.x_map(), l.tileRows, c.count.data, 5, c.rows, isFloat ? c.dbias.data : nullptr,
                            isFloat ? static_cast<void*>(f.data) : static_cast<void*>(t.data), stride, int(isFloat), c.O, c.I);
            synchronize();
        };
        run();
        const std::string name = c.name(isFloat ? "linear_stream to float" : "linear_stream", l);
        if (!isFloat) {
            compare(name, t.read(), want, c.exact ? 1e-30 : c.tolerance(), 0x1p-8);
            continue;
        }
        const std::vector<float> got = f.read();
        compare(name, got, want, c.tolerance(), c.relative());
        run();
        compare_bits(name + " again", f.read(), got);
        std::vector<float>& same = first[l.groups() <= 2];
        if (same.empty()) {
            same = got;
        }
        compare_bits(name + " as the first setting", got, same);
    }
}

void check_planes(const Case& c, int planes, const StreamSetting& setting) {
    StreamSetting s = setting;
    s.planes = planes;
    const StreamLaunch l = stream_launch(c.rows, c.O, 1, c.I, MOST_PLANES, s);
    if (l.tileRows == 0) {
        return;
    }
    const int stride = c.O + 1;
    const size_t plane = size_t(c.rows) * stride;
    Device<float> out(std::vector<float>(MOST_PLANES * plane, UNTOUCHED));
    auto run = [&] {
        launch(linear_planes_stream_kernel(c.rows), l.grid, l.block(), l.shared, map_of_w(c.w.data, c.O, 1, c.I, l, s.promotion),
                        c.x_map(), l.tileRows, c.count.data, 5, c.rows, c.dbias.data, out.data, stride, (long long) plane, l.planes, c.O,
                        c.I);
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
                want[size_t(m) * stride + o] = c.sum(m, o) + c.bias[o];
                sum[size_t(m) * stride + o] = all;
            }
        }
    }
    const std::string name = c.name("linear_planes_stream", l);
    report(kept, name + ": nothing else is written");
    compare(name, sum, want, c.tolerance(), c.relative());
    compare_bits(name + " again", run(), got);
}

/** O is 2F, F a multiple of 4. */
void check_gated(const Case& c, const StreamSetting& s, bool withBias) {
    const int F = c.O / 2, stride = F + 8;
    const StreamLaunch l = stream_launch(c.rows, F, 2, c.I, 1, s);
    if (l.tileRows == 0) {
        return;
    }
    Device<bf16> out(std::vector<bf16>(size_t(c.rows) * stride, __float2bfloat16_rn(UNTOUCHED)));
    launch(gated_linear_stream_kernel(c.rows), l.grid, l.block(), l.shared, map_of_w(c.w.data, F, 2, c.I, l, s.promotion),
                    c.x_map(), l.tileRows, c.count.data, 5, c.rows, withBias ? c.dbias.data : nullptr, out.data, stride, F, c.I);
    synchronize();
    std::vector<double> want(size_t(c.rows) * stride, UNTOUCHED);
    for (int m = 0; m < c.live; m++) {
        for (int f = 0; f < F; f++) {
            const double gate = c.sum(m, f) + (withBias ? c.bias[f] : 0.0f), up = c.sum(m, F + f) + (withBias ? c.bias[F + f] : 0.0f);
            want[size_t(m) * stride + f] = host_gelu(gate) * up;
        }
    }
    compare(c.name("gated_linear_stream", l), out.read(), want, c.exact ? 5e-3 : 3e-4, 0x1p-8);
}

void check_logits(const Case& c, const StreamSetting& s, float cap) {
    const StreamLaunch l = stream_launch(c.rows, c.O, 1, c.I, 1, s);
    if (l.tileRows == 0) {
        return;
    }
    Device<float> out(std::vector<float>(size_t(c.rows) * c.O, UNTOUCHED));
    launch(logits_stream_kernel(c.rows), l.grid, l.block(), l.shared, map_of_w(c.w.data, c.O, 1, c.I, l, s.promotion), c.x_map(),
                    l.tileRows, c.count.data, 5, c.rows, cap, out.data, c.O, c.O, c.I);
    synchronize();
    std::vector<double> want(size_t(c.rows) * c.O, UNTOUCHED);
    for (int m = 0; m < c.live; m++) {
        for (int o = 0; o < c.O; o++) {
            want[size_t(m) * c.O + o] = cap > 0 ? cap * std::tanh(c.sum(m, o) / cap) : c.sum(m, o);
        }
    }
    compare(c.name("logits_stream", l) + (cap > 0 ? " capped" : ""), out.read(), want, cap > 0 ? 1e-4 : c.tolerance(), 2e-5);
}

void check_shape(int rows, int live, int O, int I, int pad, bool exact) {
    const Case c(rows, live, O, I, pad, exact);
    check_linear(c, true);
    check_linear(c, false);
    check_planes(c, 1, SETTINGS[0]);
    int i = 0;
    for (const StreamSetting& s : SETTINGS) {
        check_planes(c, i == 0 ? 0 : 8 - i, s);
        if (O % 8 == 0) {
            check_gated(c, s, i % 2 == 0);
        }
        check_logits(c, s, i % 2 == 0 ? 3.0f : 0.0f);
        i++;
    }
}

/** x comes from the kernel before and is overwritten by the one after, over and over, while weights are asked for ahead. */
void check_chain() {
    const Case a(32, 32, 5120, 2560, 0, false);
    const std::vector<bf16> other = random_values<bf16>(size_t(32) * 2560, 99);
    const Device<bf16> sources[2] = {Device<bf16>(a.x.read()), Device<bf16>(other)};
    for (const StreamSetting& s : SETTINGS) {
        const StreamLaunch l = stream_launch(32, a.O, 1, a.I, 1, s);
        const size_t n = size_t(32) * a.O;
        Device<float> out(8 * n, 0);
        const bool dependent = dependentLaunch;
        auto run = [&](bool withDependentLaunch) {
            for (int i = 0; i < 8; i++) {
                dependentLaunch = withDependentLaunch && i > 0;
                launch(write_late, 16, 256, 0, a.x.data, sources[i % 2].data, int(sources[0].size));
                dependentLaunch = withDependentLaunch;
                launch(linear_stream_bf16_r32, l.grid, l.block(), l.shared, map_of_w(a.w.data, a.O, 1, a.I, l, s.promotion),
                                a.x_map(), l.tileRows, a.count.data, 5, 32, a.dbias.data, static_cast<void*>(out.data + i * n), a.O, 1, a.O,
                                a.I);
            }
            synchronize();
            return out.read();
        };
        const std::vector<float> serial = run(false), overlapped = run(true);
        dependentLaunch = dependent;
        compare_bits(a.name("linear_stream in a chain", l), overlapped, serial);
    }
}

}  // namespace

void test_linear_stream() {
    int major = 0;
    CHECK_CUDA(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0));
    if (major != 9) {
        return; // wgmma is Hopper's
    }
    int compiled = 0;
    CHECK_CUDA(cudaMemcpyFromSymbol(&compiled, linear_stream_compiled, sizeof(int)));
    report(compiled == 1, "on compute capability 9.0 the tests are compiled with -gencode arch=compute_90a,code=sm_90a");
    if (compiled != 1) {
        return;
    }
    check_shape(8, 8, 64, 64, 0, true); // the least: one panel
    check_shape(32, 32, 512, 256, 0, true);
    const int odd[][2] = {{8, 8}, {40, 72}, {200, 136}, {333, 1000}, {1000, 200}, {2000, 520}, {5128, 264}, {24, 5208}};
    for (auto& shape : odd) {
        for (int rows : {8, 16, 32}) {
            for (int live : {rows, rows - 1}) {
                check_shape(rows, live, shape[0], shape[1], live % 2 == 0 ? 0 : 8, live == rows);
            }
        }
    }
    for (int live : {0, 1, 2, 7, 12, 17, 22, 27}) {
        check_shape(32, live, 520, 320, 8, true);
    }
    check_chain();
    if (brief()) {
        return;
    }
    const int real[][2] = {{5120, 2560}, {3072, 2560}, {2560, 2560}, {15360, 2560}, {2560, 7680},
                           {8192, 4096}, {4608, 4096}, {4096, 4096}, {24576, 4096}, {4096, 12288}};
    for (auto& shape : real) {
        check_shape(8, 8, shape[0], shape[1], 0, false);
        check_shape(32, 29, shape[0], shape[1], 0, true);
    }
    check_shape(32, 32, 70000, 136, 0, true); // several tiles a block
    const Case head(32, 32, 256000, 256, 0, false);
    for (const StreamSetting& s : SETTINGS) {
        check_logits(head, s, 3.0f);
    }
}
