// recurrence_decode against plain loops.
#include "../src/recurrence.cu"
#include "harness.cuh"

using namespace harness;

namespace {

template <class T> struct RecurrenceCase {
    int sequences, heads, C, G, E, slots, pad;
    std::vector<T> xy, state, gates;
    std::vector<float> taps, convBias, gateBias, decay, h;
    std::vector<int> position;
    HostStep step;

    RecurrenceCase(int sequences_, int heads_, int C_, int G_, int pad_)
        : sequences(sequences_), heads(heads_), C(C_), G(G_), E(heads_ * G_), slots(sequences_ + 2), pad(pad_),
          xy(random_values<T>(size_t(sequences_ + 1) * (2 * E + pad_), 1, 2)), state(random_values<T>(size_t(slots) * (C_ - 1) * E, 2)),
          gates(random_values<T>(size_t(2) * E * G_, 3, 2 / std::sqrt(float(G_)))), taps(random_values<float>(size_t(C_) * E, 4)),
          convBias(random_values<float>(E, 5)), gateBias(random_values<float>(2 * E, 6)), decay(random_values<float>(E, 7, 2, -2.001f)),
          h(random_values<float>(size_t(slots) * E, 8)), step(sequences_ + 1, sequences_ + 1, slots - 1) {
        const int positions[] = {0, 1, 2, 3, 5000, 17, 2};
        Random random(1);
        for (int q = 0; q < sequences; q++) {
            step.add((q * 3 + 1) % sequences, positions[q % 7], 1, true, random, 50); // slots in another order: no count here is a multiple of 3
        }
    }

    /** What the kernel must leave: out, h and the convolution state (exactly). */
    void expect(std::vector<double>& out, std::vector<double>& after, std::vector<T>& shifted) const {
        after.assign(h.begin(), h.end());
        shifted = state;
        const int history = C - 1, stride = 2 * E + pad;
        std::vector<double> c(E);
        for (int q = 0; q < sequences; q++) {
            const int slot = step.slots[q], position = step.positions[q];
            const T* row = &xy[size_t(q) * stride];
            for (int e = 0; e < E; e++) {
                double sum = convBias[e];
                for (int k = 0; k < C; k++) {
                    const int back = history - k;
                    T v = back == 0 ? row[e] : state[(size_t(slot) * history + k) * E + e];
                    sum += back > position ? 0.0 : double(taps[size_t(k) * E + e]) * host_to_float(v);
                }
                c[e] = host_round<T>(float(sum));
                for (int k = 0; k < history; k++) {
                    const int back = history - 1 - k;
                    T v = back == 0 ? row[e] : state[(size_t(slot) * history + k + 1) * E + e];
                    shifted[(size_t(slot) * history + k) * E + e] = back > position ? host_from_float<T>(0) : v;
                }
            }
            for (int e = 0; e < E; e++) {
                double sum[2];
                for (int gate = 0; gate < 2; gate++) {
                    sum[gate] = gateBias[size_t(gate) * E + e];
                    for (int i = 0; i < G; i++) {
                        sum[gate] += c[e / G * G + i] * host_to_float(gates[(size_t(gate) * E + e) * G + i]);
                    }
                }
                double logA = decay[e] * host_sigmoid(sum[1]);
                double a = position == 0 ? 0 : std::exp(logA), g = position == 0 ? 1 : std::sqrt(-std::expm1(2 * logA));
                double value = a * h[size_t(slot) * E + e] + g * host_sigmoid(sum[0]) * c[e];
                after[size_t(slot) * E + e] = value;
                out[size_t(q) * (E + pad) + e] = value * host_gelu(host_to_float(row[E + e]));
            }
        }
    }
};

/** @param tile sequences of a block: 8, 16 or 32 for the tensor-core forms, 0 for the general one */
template <class T> void check_form(const RecurrenceCase<T>& c, int tile) {
    DeviceStep step(c.step);
    Device<T> xy(c.xy), state(c.state), gates(c.gates), out(std::vector<T>(size_t(c.sequences + 1) * (c.E + c.pad), host_from_float<T>(5)));
    Device<float> taps(c.taps), convBias(c.convBias), gateBias(c.gateBias), decay(c.decay), h(c.h);
    Device<int> arrivals(size_t(c.sequences + 1) * c.heads, 0);
    auto run = [&](auto kernel, int perBlock, size_t shared) {
        launch(kernel, dim3(unsigned(c.heads * ((c.G + 15) / 16)), unsigned(c.sequences / perBlock + 1)), 256, shared, step.step, xy.data,
               2 * c.E + c.pad, taps.data, convBias.data, state.data, gates.data, gateBias.data, decay.data, h.data, out.data, c.E + c.pad,
               arrivals.data, c.E, c.C, c.G);
    };
    if constexpr (sizeof(T) == 4) {
        run(recurrence_decode_f32, 4, 4 * sizeof(float) * c.G);
    } else if (tile == 8) {
        run(recurrence_decode_bf16_s8, 8, TILES_SHARED<8>);
    } else if (tile == 16) {
        run(recurrence_decode_bf16_s16, 16, TILES_SHARED<16>);
    } else if (tile == 32) {
        run(recurrence_decode_bf16_s32, 32, TILES_SHARED<32>);
    } else {
        run(recurrence_decode_bf16, 4, 4 * sizeof(float) * c.G);
    }
    synchronize();
    std::vector<double> want(size_t(c.sequences + 1) * (c.E + c.pad), 5), after;
    std::vector<T> shifted;
    c.expect(want, after, shifted);
    char what[120];
    std::snprintf(what, sizeof what, "recurrence_decode_%s tile %d sequences %d heads %d taps %d block %d pad %d", type_name<T>(), tile,
                  c.sequences, c.heads, c.C, c.G, c.pad);
    // The convolution's bf16 result may round the other way now and then.
    const double absolute = sizeof(T) == 2 ? 1e-2 : 5e-5;
    compare(what, out.read(), want, absolute, sizeof(T) == 2 ? 0x1p-7 : 1e-4);
    compare(std::string(what) + " h", h.read(), after, absolute, 1e-4);
    compare_bits(std::string(what) + " convolution state", state.read(), shifted);
    compare_bits(std::string(what) + " arrivals", arrivals.read(), std::vector<int>(size_t(c.sequences + 1) * c.heads, 0));
}

template <class T> void check(int sequences, int heads, int C, int G, int pad) {
    const RecurrenceCase<T> c(sequences, heads, C, G, pad);
    check_form(c, 0);
    if (sizeof(T) == 2 && G == 256 && C == 4 && pad % 2 == 0) {
        for (int tile : {8, 16, 32}) {
            check_form(c, tile);
        }
    }
}

template <class T> void check_type() {
    for (int sequences : {0, 1, 2, 7, 20}) {
        check<T>(sequences, 10, 4, 256, 0);
        check<T>(sequences, 2, 4, 256, 3);
        check<T>(sequences, 3, 4, 33, 0);
        check<T>(sequences, 2, 3, 31, 1);
        check<T>(sequences, 1, 2, 1, 0);
        check<T>(sequences, 5, 1, 16, 0);
        check<T>(sequences, 1, 6, 207, 0);
    }
    check<T>(1, 16, 4, 256, 0);
    check<T>(34, 16, 4, 256, 2);
    check<T>(70, 2, 4, 256, 0);
}

}  // namespace

void test_recurrence() {
    check_type<bf16>();
    check_type<float>();
}
