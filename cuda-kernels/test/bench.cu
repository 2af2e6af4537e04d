// kernel_tests --bench: the decode kernels one by one, then whole decode steps, as shares of a plain read of 8 GiB in the same run.
#include "attention_launch.cuh"
#include "bench.cuh"
#include "harness.cuh"
#include "linear_launch.cuh"
#include "prototypes.cuh"

using namespace harness;

namespace {

struct Model {
    const char* name;
    int D, layers;
    int F() const { return 3 * D; }
    int heads() const { return D / 256; }
    bool attention(int layer) const { return layer % 3 == 2; }
};
constexpr int V = 256000, W = 2048, K = 256, SPLITS = 16;
constexpr float EPS = 1e-6f, CAP = 30.0f;

AttentionLaunch attention_of(const Model& m) { return attention_launch(32, 1, m.heads(), K, W, 128, SPLITS); }

struct Row {
    double bandwidth;
    void print(const std::string& name, double s, double bytes) const {
        std::printf("%-58s %9.2f us  %7.1f GB/s  share %.3f\n", name.c_str(), s * 1e6, bytes / s * 1e-9, bytes / s / bandwidth);
        std::fflush(stdout);
    }
};

/** A mat-vec with its weights rotating over more than the L2 holds. */
template <class Launch> void bench_linear(const Row& row, const std::string& name, const Device<bf16>& pool, size_t elements, Launch launchOne) {
    const int copies = int(std::max<size_t>(1, std::min<size_t>(128, pool.size / elements)));
    for (bool dependent : {false, true}) {
        double s = seconds(
            [&] {
                for (int i = 0; i < copies; i++) {
                    launchOne(pool.data + size_t(i) * elements);
                }
            },
            dependent, 9, 2);
        row.print(name + (dependent ? " PDL" : ""), s / copies, double(elements) * 2);
    }
}

/** One row. */
void bench_kernels(const Row& row, const Model& m, const Device<bf16>& pool) {
    const int D = m.D, F = m.F(), qkv = (m.heads() + 2) * K;
    Device<int> count(std::vector<int>{1});
    Device<float> residual = filled<float>(D, 1, 0, 1), scale = filled<float>(F, 0.1f, 1, 2), bias = filled<float>(2 * F, 0.1f, 0, 3), logits(V, 0);
    Device<bf16> x = filled<bf16>(F, 1, 0, 4), out(F, 0);
    const std::string prefix = std::string(m.name) + " r1 ";
    auto rows = [&](int O, int I, bool norm) { return linear_launch(1, O, I, 2, norm, I); };
    for (int O : {2 * D, qkv}) {
        const LinearLaunch l = rows(O, D, true);
        bench_linear(row, prefix + "norm_linear " + std::to_string(O), pool, size_t(O) * D, [&](const bf16* w) {
            launch(norm_linear_decode_bf16_r1, l.grid, l.block(), l.shared, count.data, 0, 1, residual.data, D, scale.data, EPS, w, bias.data,
                   out.data, F, 0, O, D);
        });
    }
    for (int I : {D, F}) {
        const LinearLaunch l = rows(D, I, false);
        bench_linear(row, prefix + "linear_add " + std::to_string(I), pool, size_t(D) * I, [&](const bf16* w) {
            launch(linear_add_decode_bf16_r1, l.grid, l.block(), l.shared, count.data, 0, 1, x.data, F, w, bias.data, residual.data, D, D, I);
        });
    }
    const LinearLaunch l = rows(F, D, true);
    bench_linear(row, prefix + "norm_gated_linear", pool, size_t(2) * F * D, [&](const bf16* w) {
        launch(norm_gated_linear_decode_bf16_r1, l.grid, l.block(), l.shared, count.data, 0, 1, residual.data, D, scale.data, EPS, w, bias.data,
               out.data, F, F, D);
    });
    const LinearLaunch h = rows(V, D, false);
    bench_linear(row, prefix + "logits", pool, size_t(V) * D, [&](const bf16* w) {
        launch(logits_decode_bf16_r1, h.grid, h.block(), h.shared, count.data, 0, 1, x.data, F, w, CAP, logits.data, V, V, D);
    });
}

/** R rows by tiles. @param room dynamic shared memory to aim at; 0: the launcher's */
template <int R, class Linear, class Planes, class Gated, class Logits>
void bench_tiles(const Row& row, const Model& m, const Device<bf16>& pool, int room, Linear linear, Planes planes, Gated gated, Logits head) {
    const int D = m.D, F = m.F(), qkv = (m.heads() + 2) * K;
    Device<int> count(std::vector<int>{R});
    Device<float> bias = filled<float>(2 * F, 0.1f, 0, 3), sums(size_t(12) * R * D, 0), logits(size_t(R) * V, 0);
    Device<bf16> x = filled<bf16>(size_t(R) * F, 1, 0, 4), out(size_t(R) * F, 0);
    const std::string prefix = std::string(m.name) + " r" + std::to_string(R) + (room ? " " + std::to_string(room >> 10) + " KB " : " ");
    for (int O : {2 * D, qkv}) {
        const TileLaunch l = tile_launch(R, O, 1, D, 1, room);
        bench_linear(row, prefix + "linear " + std::to_string(O), pool, size_t(O) * D, [&](const bf16* w) {
            launch(linear, l.grid, TILE_BLOCK, l.shared, count.data, 0, R, x.data, F, w, bias.data, out.data, F, 0, O, D);
        });
    }
    for (int I : {D, F}) {
        for (int most : {0, 3, 4, 6}) {
            const TileLaunch l = tile_launch(R, D, 1, I, 12, room, most);
            bench_linear(row, prefix + "planes " + std::to_string(I) + ", " + std::to_string(l.planes), pool, size_t(D) * I, [&](const bf16* w) {
                launch(planes, l.grid, TILE_BLOCK, l.shared, count.data, 0, R, x.data, F, w, bias.data, sums.data, D, (long long) R * D, l.planes, D, I);
            });
        }
    }
    const TileLaunch l = tile_launch(R, F, 2, D, 1, room);
    bench_linear(row, prefix + "gated_linear", pool, size_t(2) * F * D, [&](const bf16* w) {
        launch(gated, l.grid, TILE_BLOCK, l.shared, count.data, 0, R, x.data, F, w, bias.data, out.data, F, F, D);
    });
    const TileLaunch h = tile_launch(R, V, 1, D, 1, room);
    bench_linear(row, prefix + "logits", pool, size_t(V) * D, [&](const bf16* w) {
        launch(head, h.grid, TILE_BLOCK, h.shared, count.data, 0, R, x.data, F, w, CAP, logits.data, V, V, D);
    });
}

#define BENCH_TILES(R, room)                                                                                                            \
    bench_tiles<R>(row, m, pool, room, linear_decode_bf16_r##R, linear_planes_decode_bf16_r##R, gated_linear_decode_bf16_r##R, logits_decode_bf16_r##R)

void bench_mixers(const Row& row, const Model& m, const Device<bf16>& pool) {
    const int D = m.D, H = m.heads();
    Random random(1);
    HostStep host(1, 1, 0);
    host.add(0, 8192, 1, true, random, V);
    DeviceStep step(host);
    Device<float> taps = filled<float>(4 * D, 0.5f, 0, 1), small = filled<float>(2 * D, 0.1f, 0, 2), decay = filled<float>(D, 0.4f, -0.5f, 3),
                  h(D, 0), scratch(attention_of(m).scratch, 0);
    Device<bf16> x = filled<bf16>(3 * D, 1, 0, 4), state(3 * D, 0), out(D, 0), rings = filled<bf16>(size_t(128) * 2 * W * K, 1, 0, 5);
    Device<int> arrivals(H * 2 + 1, 0);
    const std::string prefix = std::string(m.name) + " r1 ";
    bench_linear(row, prefix + "recurrence", pool, size_t(2) * D * K, [&](const bf16* w) {
        launch(recurrence_decode_bf16, dim3(unsigned(H * 16)), 256, 16 * K, step.step, x.data, 2 * D, taps.data, small.data, state.data, w,
               small.data, decay.data, h.data, out.data, D, arrivals.data, D, 4, K);
    });
    const AttentionLaunch l = attention_of(m);
    bench_linear(row, prefix + "attention", rings, size_t(2) * W * K, [&](const bf16* ring) {
        bf16* keys = rings.data + (ring - rings.data);
        launch(attention_decode_bf16_c32, dim3(SPLITS, unsigned(l.groups), 1), 256, l.shared, step.step, x.data, 0, keys,
               keys + size_t(W) * K, out.data, D, scratch.data, arrivals.data, H, K, W, 128, 10000.0f, SPLITS);
    });
}

/** A whole decode step of a model with weights of its own in every layer, batch 1. */
struct Chain {
    struct Layer {
        Device<bf16> mix, out, gateUp, down, gates, conv, keys, values;
        Device<float> h;
    };
    Model m;
    HostStep host;
    std::vector<Layer> layers;
    Device<bf16> table, normed, xy, mixed, selectedMixed, hidden;
    Device<float> bias, scale, taps, decay, residual, selected, logits, scratch;
    Device<int> arrivals, attentionArrivals;
    Device<unsigned> seen;
    Device<unsigned char> sampleScratch;
    DeviceStep step;
    size_t bytes = 0;

    static HostStep first_step() {
        Random random(1);
        HostStep h(1, 1, 1);
        h.add(0, 8192, 1, true, random, V);
        h.sampling[0] = SamplingRow{0.8f, 40, 1, 0, 1, -1, 42};
        return h;
    }

    Device<bf16> weight(size_t n, float scaleOf, unsigned seed) {
        bytes += n * 2;
        return filled<bf16>(n, scaleOf, 0, seed);
    }

    explicit Chain(const Model& model) : m(model), host(first_step()), step(host) {
        const int D = m.D, F = m.F(), H = m.heads();
        const float s = 1.7f / std::sqrt(float(D));
        table = weight(size_t(V) * D, 0.05f, 1);
        for (int i = 0; i < m.layers; i++) {
            const bool attention = m.attention(i);
            Layer l;
            l.mix = weight(size_t(attention ? (H + 2) * K : 2 * D) * D, s, i * 9 + 2);
            l.out = weight(size_t(D) * D, s, i * 9 + 3);
            l.gateUp = weight(size_t(2) * F * D, s, i * 9 + 4);
            l.down = weight(size_t(D) * F, s * 0.577f, i * 9 + 5);
            if (attention) { // two slots: the second is scrap
                l.keys = Device<bf16>(size_t(2) * W * K);
                l.values = Device<bf16>(size_t(2) * W * K);
                bytes += size_t(2) * W * K * 2;
            } else {
                l.gates = weight(size_t(2) * D * K, 0.1f, i * 9 + 6);
                l.conv = Device<bf16>(size_t(2) * 3 * D);
                l.h = Device<float>(size_t(2) * D);
                bytes += size_t(D) * (3 * 2 * 2 + 4 * 2);
            }
            layers.push_back(std::move(l));
        }
        bias = filled<float>(2 * F, 0.1f, 0, 7);
        scale = filled<float>(D, 0.1f, 1, 8);
        taps = filled<float>(4 * D, 0.5f, 0, 9);
        decay = filled<float>(D, 0.4f, -0.5f, 10);
        normed = Device<bf16>(F, 0), xy = Device<bf16>(2 * D + 2 * K, 0), mixed = Device<bf16>(D, 0), selectedMixed = Device<bf16>(D, 0),
        hidden = Device<bf16>(D, 0);
        residual = Device<float>(D, 0), selected = Device<float>(D, 0), logits = Device<float>(V, 0),
        scratch = Device<float>(attention_of(m).scratch, 0);
        arrivals = Device<int>(H, 0), attentionArrivals = Device<int>(H + 1, 0);
        seen = Device<unsigned>(2 * V / 32, 0);
        const size_t blocks = (V + 2047) / 2048;
        sampleScratch = Device<unsigned char>(48 + 8 * (5 * blocks + 2048 + 512) + 64 * blocks, 0);
        synchronize();
    }

    /** Everything that a step changes, as before the first step. */
    void reset() {
        synchronize();
        for (size_t i = 0; i < layers.size(); i++) {
            Layer& l = layers[i];
            if (m.attention(int(i))) {
                fill<<<256, 256>>>(l.keys.data, l.keys.size, 1.0f, 0.0f, unsigned(i));
                fill<<<256, 256>>>(l.values.data, l.values.size, 1.0f, 0.0f, unsigned(i) + 100);
            } else {
                CHECK_CUDA(cudaMemset(l.conv.data, 0, l.conv.size * 2));
                CHECK_CUDA(cudaMemset(l.h.data, 0, l.h.size * 4));
            }
        }
        CHECK_CUDA(cudaMemset(seen.data, 0, seen.size * 4));
        step.counts.write(host.counts);
        step.tokens.write(host.tokens);
        step.positions.write(host.positions);
        step.slots.write(host.slots);
        step.sampledOutputs.write(host.sampledOutputs);
        step.remaining.write(host.remaining);
        synchronize();
    }

    int kernels = 0;
    bool dependent = false;
    template <class Kernel, class... A> void run(Kernel kernel, dim3 grid, dim3 block, size_t shared, A... a) {
        dependentLaunch = dependent && kernels > 0; // a program's first kernel waits for everything
        launch(kernel, grid, block, shared, a...);
        kernels++;
    }

    void record(bool withDependentLaunch, int room, int warps) {
        const int D = m.D, F = m.F(), H = m.heads();
        const int* rows = step.counts.data;
        const int* outputs = step.counts.data + 2;
        auto plan = [&](int O, int I, bool norm) { return linear_launch(1, O, I, 2, norm, I, room, warps); };
        kernels = 0;
        dependent = withDependentLaunch;
        run(embed_bf16, 1, 256, 0, step.step, table.data, 50.5f, residual.data, D, D);
        for (int i = 0; i < m.layers; i++) {
            Layer& l = layers[i];
            const int O = m.attention(i) ? (H + 2) * K : 2 * D;
            LinearLaunch p = plan(O, D, true);
            run(norm_linear_decode_bf16_r1, p.grid, p.block(), p.shared, rows, 0, 1, residual.data, D, scale.data, EPS, l.mix.data,
                m.attention(i) ? nullptr : bias.data, xy.data, O, 0, O, D);
            if (m.attention(i)) {
                const AttentionLaunch a = attention_of(m);
                run(attention_decode_bf16_c32, dim3(SPLITS, unsigned(a.groups), 1), 256, a.shared, step.step, xy.data, O,
                    l.keys.data, l.values.data, mixed.data, D, scratch.data, attentionArrivals.data, H, K, W, 128, 10000.0f, SPLITS);
            } else {
                run(recurrence_decode_bf16, dim3(unsigned(H * 16)), 256, 16 * K, step.step, xy.data, O, taps.data, bias.data, l.conv.data,
                    l.gates.data, bias.data, decay.data, l.h.data, mixed.data, D, arrivals.data, D, 4, K);
            }
            const bool lastLayer = i == m.layers - 1;
            float* stream = lastLayer ? selected.data : residual.data;
            if (lastLayer) {
                run(select_rows_f32, 1, 256, 0, step.step, residual.data, D, selected.data, D, D);
                run(select_rows_bf16, 1, 256, 0, step.step, mixed.data, D, selectedMixed.data, D, D);
                rows = outputs;
            }
            p = plan(D, D, false);
            run(linear_add_decode_bf16_r1, p.grid, p.block(), p.shared, rows, 0, 1, lastLayer ? selectedMixed.data : mixed.data, D, l.out.data,
                bias.data, stream, D, D, D);
            p = plan(F, D, true);
            run(norm_gated_linear_decode_bf16_r1, p.grid, p.block(), p.shared, rows, 0, 1, stream, D, scale.data, EPS, l.gateUp.data, bias.data,
                normed.data, F, F, D);
            p = plan(D, F, false);
            run(linear_add_decode_bf16_r1, p.grid, p.block(), p.shared, rows, 0, 1, normed.data, F, l.down.data, bias.data, stream, D, D, F);
        }
        run(add_rms_norm_bf16, 1, 1024, 0, outputs, 0, 1, selected.data, D, nullptr, 0, scale.data, EPS, hidden.data, D, D);
        const LinearLaunch p = plan(V, D, false);
        run(logits_decode_bf16_r1, p.grid, p.block(), p.shared, outputs, 0, 1, hidden.data, D, table.data, CAP, logits.data, V, V, D);
        const dim3 slices((V + 2047) / 2048, 1);
        run(sample_scan, slices, 256, 0, step.step, logits.data, V, seen.data, V / 32, V, sampleScratch.data);
        run(sample_filter, slices, 256, 0, step.step, logits.data, V, seen.data, V / 32, V, sampleScratch.data);
        run(sample_choose, 1, 1024, 0, step.step, logits.data, V, seen.data, V / 32, V, sampleScratch.data);
        run(sample_draw, slices, 256, 0, step.step, logits.data, V, seen.data, V / 32, V, sampleScratch.data);
        run(advance, 1, 256, 0, step.step);
        run(publish_result, 1, 256, 0, step.step);
    }

    /** Logits and token of the last of a few eager steps. */
    std::pair<std::vector<float>, std::vector<int>> after_steps(bool withDependentLaunch, int steps) {
        reset();
        for (int i = 0; i < steps; i++) {
            record(withDependentLaunch, 0, 0);
        }
        dependentLaunch = false;
        synchronize();
        return {logits.read(), step.ids.read()};
    }
};

void bench_chain(const Row& row, const Model& m) {
    Chain chain(m);
    const auto plain = chain.after_steps(false, 4), overlapped = chain.after_steps(true, 4), again = chain.after_steps(true, 4);
    const std::string name = std::string(m.name) + " step";
    compare_bits(name + ": dependent launch changes no logit", overlapped.first, plain.first);
    compare_bits(name + ": dependent launch changes no token", overlapped.second, plain.second);
    compare_bits(name + ": again the same logits", again.first, overlapped.first);
    bool finite = true, moving = false;
    for (float v : plain.first) {
        finite = finite && std::isfinite(v);
        moving = moving || v != plain.first[0];
    }
    report(finite && moving, name + ": logits are finite and differ");
    struct Setting {
        bool dependent;
        int room, warps;
    };
    // The default ring (0), two mat-vecs a multiprocessor, and rooms between.
    for (const Setting& s : {Setting{false, 0, 0}, Setting{true, 0, 0}, Setting{true, PAIRED_ROOM, 0}, Setting{true, 0, 8}, Setting{true, 0, 12},
                             Setting{true, 80 * 1024, 0}, Setting{true, 150 * 1024, 0}, Setting{true, 1 << 20, 0}}) {
        chain.reset();
        double t = seconds([&] { chain.record(s.dependent, s.room, s.warps); }, s.dependent, 9, 20);
        char text[120];
        const char* kind = s.room == 0 ? "default ring" : s.room == PAIRED_ROOM ? "paired rings" : "ring";
        std::snprintf(text, sizeof text, "%s, %d kernels, %s %d KB, warps %d%s", name.c_str(), chain.kernels, kind,
                      int(linear_launch(1, m.D, m.D, 2, true, m.D, s.room, s.warps).shared / 1024), s.warps, s.dependent ? ", PDL" : "");
        row.print(text, t, double(chain.bytes));
    }
}

}  // namespace

void bench_decode() {
    const Row row{read_bandwidth()};
    std::printf("read of 8 GiB: %.1f GB/s\n", row.bandwidth * 1e-9);
    const Model models[] = {{"2B", 2560, 26}, {"9B", 4096, 38}};
    for (const Model& m : models) {
        {
            Device<bf16> pool = filled<bf16>(size_t(3) << 29, 0.02f, 0, 1); // 3.2 GB: more than one table of the 9B
            bench_kernels(row, m, pool);
            for (int room : {0, 110 << 10}) {
                BENCH_TILES(8, room);
                BENCH_TILES(32, room);
            }
            bench_mixers(row, m, pool);
        }
        bench_chain(row, m);
    }
}
