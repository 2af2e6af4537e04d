// kernel_tests --bench-stream: the products by streams over rings and planes, beside those by tiles.
#include "bench.cuh"
#include "prototypes.cuh"
#include "stream_launch.cuh"

using namespace harness;

#define STREAM_PROTOTYPE_ARGUMENTS const __grid_constant__ CUtensorMap, const __grid_constant__ CUtensorMap, int, const int*, int, int
#define STREAM_PROTOTYPES(R)                                                                                                               \
    extern "C" __global__ void linear_stream_bf16_r##R(STREAM_PROTOTYPE_ARGUMENTS, const float*, void*, int, int, int, int);                 \
    extern "C" __global__ void linear_planes_stream_bf16_r##R(STREAM_PROTOTYPE_ARGUMENTS, const float*, float*, int, long long, int, int, int); \
    extern "C" __global__ void gated_linear_stream_bf16_r##R(STREAM_PROTOTYPE_ARGUMENTS, const float*, bf16*, int, int, int);                \
    extern "C" __global__ void logits_stream_bf16_r##R(STREAM_PROTOTYPE_ARGUMENTS, float, float*, int, int, int);
STREAM_PROTOTYPES(8)
STREAM_PROTOTYPES(32)

namespace {

constexpr int V = 256000, MOST_PLANES = 8;
constexpr float CAP = 30.0f;
constexpr double BANDWIDTH = 4.47e12; // of an H200, for the floors

enum Kind { LINEAR, PLANES, GATED, LOGITS };

struct Shape {
    const char* name;
    Kind kind;
    int units, I;
    int pair() const { return kind == GATED ? 2 : 1; }
    int planes() const { return kind == PLANES ? MOST_PLANES : 1; }
    size_t elements() const { return size_t(units) * pair() * I; }
};

template <int R> struct Bench {
    int F; // columns of the buffers
    const Device<bf16>& pool;
    Device<int> count{std::vector<int>{R}};
    Device<float> bias, sums;
    Device<bf16> x, out;

    Bench(int F_, const Device<bf16>& pool_)
        : F(F_), pool(pool_), bias(filled<float>(2 * F_, 0.1f, 0, 3)), sums(size_t(R) * V, 0), x(filled<bf16>(size_t(R) * F_, 1, 0, 4)),
          out(size_t(R) * F_, 0) {}

    /** Microseconds a launch without and with dependent launch, weights rotating over more than L2 holds. */
    template <class Launch> void time(const Shape& shape, double (&us)[2], Launch launchOne) const {
        const int copies = int(std::max<size_t>(1, std::min<size_t>(48, pool.size / shape.elements())));
        for (int dependent = 0; dependent < 2; dependent++) {
            us[dependent] = 1e6 / copies * seconds(
                                              [&] {
                                                  for (int i = 0; i < copies; i++) {
                                                      launchOne(pool.data + size_t(i) * shape.elements());
                                                  }
                                              },
                                              dependent == 1, 5, 2);
        }
    }

    void tiles(const Shape& p, double (&us)[2]) const {
        const TileLaunch l = tile_launch(R, p.units, p.pair(), p.I, p.kind == PLANES ? 12 : 1);
        time(p, us, [&](const bf16* w) {
            if (p.kind == LINEAR) {
                launch(R == 8 ? linear_decode_bf16_r8 : linear_decode_bf16_r32, l.grid, TILE_BLOCK, l.shared, count.data, 0, R, x.data, F, w,
                       bias.data, out.data, F, 0, p.units, p.I);
            } else if (p.kind == PLANES) {
                launch(R == 8 ? linear_planes_decode_bf16_r8 : linear_planes_decode_bf16_r32, l.grid, TILE_BLOCK, l.shared, count.data, 0, R, x.data,
                       F, w, bias.data, sums.data, p.units, (long long) R * p.units, l.planes, p.units, p.I);
            } else if (p.kind == GATED) {
                launch(R == 8 ? gated_linear_decode_bf16_r8 : gated_linear_decode_bf16_r32, l.grid, TILE_BLOCK, l.shared, count.data, 0, R, x.data,
                       F, w, bias.data, out.data, F, p.units, p.I);
            } else {
                launch(R == 8 ? logits_decode_bf16_r8 : logits_decode_bf16_r32, l.grid, TILE_BLOCK, l.shared, count.data, 0, R, x.data, F, w, CAP,
                       sums.data, V, p.units, p.I);
            }
        });
    }

    void stream(const Shape& p, const StreamLaunch& l, const StreamSetting& s, double (&us)[2]) const {
        const CUtensorMap xMap = map_of_x(x.data, R, p.I, F, R);
        time(p, us, [&](const bf16* weights) {
            const CUtensorMap w = map_of_w(weights, p.units, p.pair(), p.I, l, s.promotion);
            auto go = [&](auto kernel, auto... rest) {
                launch(kernel, l.grid, l.block(), l.shared, w, xMap, l.tileRows, count.data, 0, R, rest...);
            };
            if (p.kind == LINEAR) {
                go(R == 8 ? linear_stream_bf16_r8 : linear_stream_bf16_r32, bias.data, static_cast<void*>(out.data), F, 0, p.units, p.I);
            } else if (p.kind == PLANES) {
                go(R == 8 ? linear_planes_stream_bf16_r8 : linear_planes_stream_bf16_r32, bias.data, sums.data, p.units, (long long) R * p.units,
                   l.planes, p.units, p.I);
            } else if (p.kind == GATED) {
                go(R == 8 ? gated_linear_stream_bf16_r8 : gated_linear_stream_bf16_r32, bias.data, out.data, F, p.units, p.I);
            } else {
                go(R == 8 ? logits_stream_bf16_r8 : logits_stream_bf16_r32, CAP, sums.data, V, p.units, p.I);
            }
        });
    }
};

template <int R> void bench_model(const char* name, int D, const Device<bf16>& pool) {
    const int F = 3 * D;
    const Bench<R> bench(F, pool);
    const Shape shapes[] = {{"x|y", LINEAR, 2 * D, D}, {"qkv", LINEAR, D + 512, D}, {"out", PLANES, D, D},
                            {"gate|up", GATED, F, D},  {"down", PLANES, D, F},      {"head", LOGITS, V, D}};
    for (const Shape& p : shapes) {
        const double floor = double(p.elements()) * 2 / BANDWIDTH * 1e6;
        double tiles[2];
        bench.tiles(p, tiles);
        std::printf("%s r%d %s: floor %.1f us; by tiles %.1f, PDL %.1f\n", name, R, p.name, floor, tiles[0], tiles[1]);
        std::vector<StreamSetting> settings;
        for (int room : {216, 183, 141, 100}) {
            settings.push_back({room << 10});
        }
        settings.push_back({216 << 10, 0, 0, CU_TENSOR_MAP_L2_PROMOTION_L2_128B});
        if (p.kind == PLANES) {
            for (int planes : {1, 2, 3, 4, 6, 8}) {
                settings.push_back({216 << 10, planes});
            }
        }
        for (const StreamSetting& s : settings) {
            const StreamLaunch l = stream_launch(R, p.units, p.pair(), p.I, p.planes(), s);
            if (l.tileRows == 0) {
                continue;
            }
            double us[2];
            bench.stream(p, l, s, us);
            const char* promotion = s.promotion == CU_TENSOR_MAP_L2_PROMOTION_L2_128B ? ", 128 B" : "";
            std::printf("  %3d KB%s: tile %3d, grid %3d, planes %d, stages %2d  %7.1f us  PDL %7.1f us  share %.2f  of tiles "
                        "%.2f\n",
                        s.room >> 10, promotion, l.tileRows, l.grid, l.planes, l.stages, us[0], us[1], floor / us[1],
                        us[1] / tiles[1]);
            std::fflush(stdout);
        }
    }
}

}  // namespace

void bench_stream() {
    const Device<bf16> pool = filled<bf16>(size_t(3) << 29, 0.02f, 0, 1);
    bench_model<8>("2B", 2560, pool);
    bench_model<32>("2B", 2560, pool);
    bench_model<32>("9B", 4096, pool);
}
