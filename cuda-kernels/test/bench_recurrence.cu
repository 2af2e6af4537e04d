// kernel_tests --bench: the decode recurrences by batch, each launch with weights and states of its own, more than the L2 holds.
#include "bench.cuh"
#include "prototypes.cuh"
#include "recurrence_launch.cuh"

using namespace harness;

namespace {

constexpr int G = 256, C = 4, COPIES = 64;

void bench_batch(double bandwidth, const char* model, int E, int sequences, const Device<bf16>& gates) {
    Random random(1);
    HostStep host(sequences, sequences, sequences);
    for (int q = 0; q < sequences; q++) {
        host.add(q, 8192, 1, true, random, 256000);
    }
    DeviceStep step(host);
    const size_t convSize = size_t(sequences + 1) * (C - 1) * E, hSize = size_t(sequences + 1) * E;
    Device<float> taps = filled<float>(C * E, 0.5f, 0, 1), bias = filled<float>(2 * E, 0.1f, 0, 2),
                  decay = filled<float>(E, 0.4f, -0.5f, 3), h = filled<float>(COPIES * hSize, 1, 0, 4);
    Device<bf16> xy = filled<bf16>(size_t(sequences) * 2 * E, 1, 0, 5), state = filled<bf16>(COPIES * convSize, 1, 0, 6),
                 out(size_t(sequences) * E, 0);
    Device<int> arrivals(size_t(sequences) * (E / G), 0);
    // gates once; of every sequence x, y, out, the convolution's state read and written, h read and written
    const double bytes = 2.0 * E * G * 2 + double(sequences) * E * (3 * 2 + 2 * (C - 1) * 2 + 2 * 4);
    for (int most : {0, 8, 16, 32}) {
        auto* kernel = most == 0 ? recurrence_decode_bf16
            : most == 8          ? recurrence_decode_bf16_s8
            : most == 16         ? recurrence_decode_bf16_s16
                                 : recurrence_decode_bf16_s32;
        const RecurrenceLaunch l = recurrence_launch(most, sequences, E, G);
        for (bool dependent : {false, true}) {
            const double s = seconds(
                                 [&] {
                                     for (int i = 0; i < COPIES; i++) {
                                         launch(kernel, l.grid, l.block, l.shared, step.step, xy.data, 2 * E, taps.data, bias.data,
                                                state.data + i * convSize, gates.data + size_t(i) * 2 * E * G, bias.data, decay.data,
                                                h.data + i * hSize, out.data, E, arrivals.data, E, C, G);
                                     }
                                 },
                                 dependent, 9, 2)
                / COPIES;
            char name[80];
            std::snprintf(name, sizeof name, "%s recurrence, %d sequences, %s%s", model, sequences,
                          most == 0 ? "in turn" : (std::to_string(most) + " a block").c_str(), dependent ? ", PDL" : "");
            std::printf("%-58s %9.2f us  %7.1f GB/s  share %.3f\n", name, s * 1e6, bytes / s * 1e-9, bytes / s / bandwidth);
        }
    }
}

}  // namespace

void bench_recurrence() {
    const double bandwidth = read_bandwidth();
    for (int E : {2560, 4096}) {
        const Device<bf16> gates = filled<bf16>(size_t(COPIES) * 2 * E * G, 0.1f, 0, 7);
        for (int sequences : {1, 2, 4, 8, 16, 32, 64}) {
            bench_batch(bandwidth, E == 2560 ? "2B" : "9B", E, sequences, gates);
        }
    }
}
