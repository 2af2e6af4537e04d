// recurrence_decode against plain loops.
#include <algorithm>

#include "../src/recurrence.cu"
#include "harness.cuh"
#include "recurrence_launch.cuh"

using namespace harness;

namespace {

template <class T> struct RecurrenceCase {
    int sequences, heads, C, G, E, slots, pad;
    std::vector<T> xy, state, gates;
    std::vector<float> taps, convBias, gateBias, decay, h;
    std::vector<int> position;
    HostStep step;

    /** @param parked_ the first sequences, which share the scrap slot */
    RecurrenceCase(int sequences_, int heads_, int C_, int G_, int pad_, int parked_ = 0)
        : sequences(sequences_), heads(heads_), C(C_), G(G_), E(heads_ * G_), slots(sequences_ + 2), pad(pad_),
          xy(random_values<T>(size_t(sequences_ + 1) * (2 * E + pad_), 1, 2)), state(random_values<T>(size_t(slots) * (C_ - 1) * E, 2)),
          gates(random_values<T>(size_t(2) * E * G_, 3, 2 / std::sqrt(float(G_)))), taps(random_values<float>(size_t(C_) * E, 4)),
          convBias(random_values<float>(E, 5)), gateBias(random_values<float>(2 * E, 6)), decay(random_values<float>(E, 7, 2, -2.001f)),
          h(random_values<float>(size_t(slots) * E, 8)), step(sequences_ + 1, sequences_ + 1, slots - 1) {
        const int positions[] = {0, 1, 2, 3, 5000, 17, 2};
        Random random(1);
        for (int q = 0; q < sequences; q++) {
            const int slot = q < parked_ ? slots - 1 : sequences - 1 - q; // another order than the sequences'
            step.add(slot, positions[q % 7], 1, true, random, 50);
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

template <class T> using Kernel = void (*)(Step, const T*, int, const float*, const float*, T*, const T*, const float*, const float*,
                                           float*, T*, int, int*, int, int, int);

template <class T> Kernel<T> kernel_of(int most) {
    if constexpr (sizeof(T) == 2) {
        return most == 8 ? recurrence_decode_bf16_s8
            : most == 16 ? recurrence_decode_bf16_s16
            : most == 32 ? recurrence_decode_bf16_s32
                         : recurrence_decode_bf16;
    } else {
        return recurrence_decode_f32;
    }
}

/** What a launch left. */
template <class T> struct Left {
    std::vector<T> out, state;
    std::vector<float> h;
    std::vector<int> arrivals;
};

/** @param extent sequences the grid is for, at least those that live */
template <class T> Left<T> run(const RecurrenceCase<T>& c, int most, int extent) {
    DeviceStep step(c.step);
    const int stride = c.E + c.pad;
    Device<T> xy(c.xy), state(c.state), gates(c.gates), out(std::vector<T>(size_t(c.sequences + 1) * stride, host_from_float<T>(5)));
    Device<float> taps(c.taps), convBias(c.convBias), gateBias(c.gateBias), decay(c.decay), h(c.h);
    Device<int> arrivals(size_t(extent + 1) * c.heads, 0);
    const RecurrenceLaunch l = recurrence_launch(most, extent, c.E, c.G);
    launch(kernel_of<T>(most), l.grid, l.block, l.shared, step.step, xy.data, c.E + stride, taps.data, convBias.data, state.data,
           gates.data, gateBias.data, decay.data, h.data, out.data, stride, arrivals.data, c.E, c.C, c.G);
    synchronize();
    return {out.read(), state.read(), h.read(), arrivals.read()};
}

template <class T> void check(int sequences, int heads, int C, int G, int pad, int most = 0) {
    RecurrenceCase<T> c(sequences, heads, C, G, pad);
    int extent = 1;
    while (extent < sequences) { // a graph is for a power of two
        extent *= 2;
    }
    const Left<T> left = run(c, most, extent);
    std::vector<double> want(size_t(sequences + 1) * (c.E + pad), 5), after;
    std::vector<T> shifted;
    c.expect(want, after, shifted);
    char what[120];
    std::snprintf(what, sizeof what, "recurrence_decode_%s most %d sequences %d heads %d taps %d block %d pad %d", type_name<T>(), most,
                  sequences, heads, C, G, pad);
    // The convolution's bf16 result may round the other way now and then.
    const double absolute = sizeof(T) == 2 ? 1e-2 : 5e-5;
    compare(what, left.out, want, absolute, sizeof(T) == 2 ? 0x1p-7 : 1e-4);
    compare(std::string(what) + " h", left.h, after, absolute, 1e-4);
    compare_bits(std::string(what) + " convolution state", left.state, shifted);
    compare_bits(std::string(what) + " arrivals", left.arrivals, std::vector<int>(left.arrivals.size(), 0));
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
}

/** The bits of a sequence depend neither on the kernel nor on its place nor on others; the parked ones only share the scrap slot. */
void check_places(int heads) {
    constexpr int SEQUENCES = 39, PARKED = 5;
    const RecurrenceCase<bf16> c(SEQUENCES, heads, 4, 256, 0, PARKED);
    RecurrenceCase<bf16> reversed = c;
    const size_t row = size_t(2) * c.E;
    for (int q = 0; q < SEQUENCES; q++) {
        const int from = SEQUENCES - 1 - q;
        std::copy_n(c.xy.begin() + from * row, row, reversed.xy.begin() + q * row);
        reversed.step.slots[q] = c.step.slots[from];
        reversed.step.positions[q] = c.step.positions[from];
    }
    const Left<bf16> first = run(c, 32, 64);
    // Slots of sequences that are not parked: what the parked ones leave in theirs is nobody's.
    auto live = [&](const auto& v, size_t each) { return std::vector(v.begin(), v.begin() + (SEQUENCES - PARKED) * each); };
    for (int most : {8, 16, 32}) {
        const Left<bf16> again = run(c, most, 64), other = run(reversed, most, SEQUENCES);
        std::vector<bf16> want(first.out.begin() + size_t(PARKED) * c.E, first.out.begin() + size_t(SEQUENCES) * c.E), same, moved;
        same.assign(again.out.begin() + size_t(PARKED) * c.E, again.out.begin() + size_t(SEQUENCES) * c.E);
        for (int q = PARKED; q < SEQUENCES; q++) {
            const auto at = other.out.begin() + size_t(SEQUENCES - 1 - q) * c.E;
            moved.insert(moved.end(), at, at + c.E);
        }
        const std::string what = "recurrence_decode_bf16_s" + std::to_string(most) + " heads " + std::to_string(heads);
        compare_bits(what + ": the same bits for any most", same, want);
        compare_bits(what + ": the same bits at any place", moved, want);
        compare_bits(what + ": h at any place", live(other.h, c.E), live(first.h, c.E));
        compare_bits(what + ": convolution state at any place", live(other.state, size_t(3) * c.E), live(first.state, size_t(3) * c.E));
        compare_bits(what + ": arrivals", other.arrivals, std::vector<int>(other.arrivals.size(), 0));
    }
}

/** The kernels for several sequences. */
void check_batches() {
    const int most[] = {8, 16, 32};
    for (int sequences = 0; sequences <= 70; sequences += brief() ? 23 : 1) {
        check<bf16>(sequences, 1 + sequences % 3, 4, 256, sequences % 4, most[sequences % 3]);
    }
    for (int n : most) {
        for (int sequences : {1, 7, 8, 9, 32, 33, 64}) {
            check<bf16>(sequences, 2, 4, 256, sequences % 2 * 3, n);
        }
        check<bf16>(32, 10, 4, 256, 0, n);
    }
    check_places(1);
    check_places(3);
}

}  // namespace

void test_recurrence() {
    check_type<bf16>();
    check_type<float>();
    check_batches();
}
