// kernel_tests --bench: attention and sampling of decode steps, by the number of sequences.
#include "attention_launch.cuh"
#include "bench.cuh"
#include "prototypes.cuh"

using namespace harness;

namespace {

constexpr int V = 256000, W = 2048, K = 256, HEADS = 10, WIDTH = (HEADS + 2) * K, MOST_SPLITS = 16;

HostStep step_of(int sequences) {
    Random random(1);
    HostStep h(sequences, sequences, sequences);
    for (int q = 0; q < sequences; q++) {
        h.add(q, 8192 + 100 * q, 1, true, random, V);
        h.sampling[q] = SamplingRow{0.8f, 40, 1, 0, 1, -1, 42ull + unsigned(q)};
    }
    return h;
}

void print(const std::string& name, int sequences, bool dependent, double s, double bytes) {
    std::printf("%-28s %2d sequences%s %9.2f us  %7.1f GB/s\n", name.c_str(), sequences, dependent ? ", PDL" : "     ", s * 1e6,
                bytes / s * 1e-9);
}

/** Rings of several layers in turn, more than the L2 holds. */
void bench_attention(int sequences) {
    const bool few = sequences <= 2;
    const int splits = few ? MOST_SPLITS : attention_splits(sequences, MOST_SPLITS);
    const AttentionLaunch l = attention_launch(few ? 32 : 256, sequences, HEADS, K, W, 128, splits);
    const size_t ring = size_t(sequences + 1) * W * K; // with the scrap slot
    const int layers = std::max(4, 128 / sequences);
    DeviceStep step(step_of(sequences));
    Device<bf16> rings = filled<bf16>(size_t(layers) * 2 * ring, 1, 0, 1), qkv = filled<bf16>(size_t(sequences) * WIDTH, 1, 0, 2),
                 out(size_t(sequences) * HEADS * K, 0);
    Device<float> scratch(l.scratch, 0);
    Device<int> arrivals(l.arrivals, 0);
    for (bool dependent : {false, true}) {
        const double s = seconds(
            [&] {
                for (int i = 0; i < layers; i++) {
                    bf16* keys = rings.data + size_t(i) * 2 * ring;
                    launch(few ? attention_decode_bf16_c32 : attention_decode_bf16_c256,
                           dim3(unsigned(splits), unsigned(l.groups), unsigned(sequences)), 256, l.shared, step.step, qkv.data, WIDTH, keys,
                           keys + ring, out.data, HEADS * K, scratch.data, arrivals.data, HEADS, K, W, 128, 10000.0f, splits);
                }
            },
            dependent, 9, 2);
        print("attention, splits " + std::to_string(splits), sequences, dependent, s / layers, double(sequences) * 2 * W * K * 2);
    }
}

/** The four launches of sampling with top-k 40, and those that read the logits alone. */
void bench_sampling(int sequences) {
    DeviceStep step(step_of(sequences));
    Device<float> logits = filled<float>(size_t(sequences) * V, 20, 0, 3);
    Device<unsigned> seen(size_t(sequences + 1) * V / 32, 0);
    const int count = (V + 2047) / 2048, room = 4 * multiprocessors(), each = (count * sequences + room - 1) / room;
    Device<unsigned char> scratch(sequences * (48 + 8 * (5 * size_t(count) + 2048 + 512) + 64 * size_t(count)), 0);
    const dim3 slices = {unsigned((count + each - 1) / each), unsigned(sequences), 1}; // griffin.backend.cuda.SamplingCalls
    auto call = [&](auto kernel, dim3 grid, unsigned threads) {
        launch(kernel, grid, threads, 0, step.step, logits.data, V, seen.data, V / 32, V, scratch.data);
    };
    const double bytes = double(sequences) * V * 4;
    for (bool dependent : {false, true}) {
        constexpr int TIMES = 20;
        double s = seconds(
            [&] {
                for (int i = 0; i < TIMES; i++) {
                    call(sample_scan, slices, 256);
                    call(sample_filter, slices, 256);
                    call(sample_choose, dim3(unsigned(sequences)), 1024);
                    call(sample_draw, slices, 256);
                }
            },
            dependent, 9, 2);
        print("sampling", sequences, dependent, s / TIMES, 2 * bytes);
        s = seconds([&] { for (int i = 0; i < TIMES; i++) { call(sample_scan, slices, 256); } }, dependent, 9, 2);
        print("sample_scan", sequences, dependent, s / TIMES, bytes);
        s = seconds([&] { for (int i = 0; i < TIMES; i++) { call(sample_filter, slices, 256); } }, dependent, 9, 2);
        print("sample_filter", sequences, dependent, s / TIMES, bytes);
    }
}

}  // namespace

void bench_batches() {
    for (int sequences : {1, 2, 4, 8, 16, 32}) {
        bench_attention(sequences);
    }
    for (int sequences : {1, 8, 32}) {
        bench_sampling(sequences);
    }
}
