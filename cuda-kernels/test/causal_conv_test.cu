// causal_conv: against the loop; pieces bit for bit.

#include "../src/causal_conv.cu"

#include "prefill_step.cuh"

using namespace frame;

namespace {

template <class T> struct ConvData {
    int width, count, stride;
    Array<T> x, state, out;
    Array<float> taps, bias;

    ConvData(int rows, int slots, int width, int count, int pad, unsigned long long seed)
        : width(width), count(count), stride(width + pad), x((size_t) rows * stride), state((size_t) slots * (count - 1) * width),
          out((size_t) rows * width), taps((size_t) count * width), bias(width) {
        Random random(seed);
        x.normal(random);
        state.normal(random);
        taps.normal(random);
        bias.normal(random);
    }
};

void launch(dim3 grid, const Step& s, const bf16* x, int xs, const float* t, const float* b, bf16* state, bf16* out, int E, int C) {
    start(causal_conv_bf16, grid, 128, 0, s, x, xs, t, b, state, out, E, E, C);
}

void launch(dim3 grid, const Step& s, const float* x, int xs, const float* t, const float* b, float* state, float* out, int E,
        int C) {
    start(causal_conv_f32, grid, 128, 0, s, x, xs, t, b, state, out, E, E, C);
}

template <class T> void convolve_rows(const Step& s, ConvData<T>& d, int first) {
    launch(dim3(ceil_div(d.width, 512), s.maxRows / 16 + s.maxSequences), s, d.x.device + (size_t) first * d.stride, d.stride,
            d.taps.device, d.bias.device, d.state.device, d.out.device + (size_t) first * d.width, d.width, d.count);
}

template <class T> void against_loop(const std::vector<Sequence>& sequences, int width, int count, int pad) {
    TestStep t(sequences);
    ConvData<T> d(t.step.maxRows, 6, width, count, pad, 7 + width);
    int history = count - 1;
    auto past = [&](size_t q, int row, int back, int e) -> double {
        int start = t.rowStarts[q];
        if (back > t.sequences[q].positions[row - start]) {
            return 0;
        }
        int from = row - back;
        return from >= start ? d.x.at((size_t) from * d.stride + e)
                             : d.state.at(((size_t) t.sequences[q].slot * history + history - (start - from)) * width + e);
    };
    std::vector<double> out((size_t) t.rows() * width), state;
    for (size_t i = 0; i < d.state.host.size(); i++) {
        state.push_back(d.state.at(i));
    }
    for (size_t q = 0; q < sequences.size(); q++) {
        int last = t.rowStarts[q + 1] - 1;
        for (int e = 0; e < width; e++) {
            for (int row = t.rowStarts[q]; row <= last; row++) {
                double sum = d.bias.host[e];
                for (int k = 0; k < count; k++) {
                    sum += (double) d.taps.host[(size_t) k * width + e] * past(q, row, history - k, e);
                }
                out[(size_t) row * width + e] = sum;
            }
            for (int k = 0; k < history; k++) {
                state[((size_t) sequences[q].slot * history + k) * width + e] = past(q, last, history - 1 - k, e);
            }
        }
    }
    convolve_rows(t.step, d, 0);
    finish();
    d.out.download();
    d.state.download();
    std::string name = "convolution of width " + std::to_string(width) + ", " + std::to_string(count) + " taps";
    std::vector<float> actual, after;
    for (size_t i = 0; i < out.size(); i++) {
        actual.push_back(d.out.at(i));
    }
    for (size_t i = 0; i < state.size(); i++) {
        after.push_back(d.state.at(i));
    }
    close(name, actual, out, 1e-5, sizeof(T) == 2 ? 0.004 : 1e-6);
    if (!state.empty()) {
        close(name + ", state", after, state, 1e-30, 1e-12);
    }
}

template <class T> void all_shapes() {
    std::vector<std::vector<Sequence>> steps = {
            {{0, positions(0, 1)}},
            {{0, positions(1, 1)}},
            {{5, positions(9, 2)}},
            {{1, positions(2, 70)}},
            {{4, positions(0, 5)}, {0, positions(9, 16)}, {3, positions(1, 2)}, {1, documents(3, 50, {1, 3, 16, 49})}},
    };
    for (const auto& step : steps) {
        for (int width : {1, 4, 31, 207, 520}) {
            for (int count : {1, 2, 4, 5, 17, 19}) {
                against_loop<T>(step, width, count, width == 4 ? 4 : width % 2);
            }
        }
    }
}

PREFILL_TEST(convolution_equals_loop_bf16) { all_shapes<bf16>(); }
PREFILL_TEST(convolution_equals_loop_f32) { all_shapes<float>(); }

PREFILL_TEST(convolution_in_pieces_has_the_bits_of_one_shot) {
    ConvData<bf16> whole(100, 1, 64, 4, 0, 3), cut(100, 1, 64, 4, 0, 3);
    std::vector<int> all = documents(2, 100, {40});
    TestStep one({{0, all}}, 0);
    convolve_rows(one.step, whole, 0);
    finish();
    int from = 0;
    for (int n : {1, 2, 1, 30, 7, 59}) {
        TestStep t({{0, std::vector<int>(all.begin() + from, all.begin() + from + n)}}, 0);
        convolve_rows(t.step, cut, from);
        finish();
        from += n;
    }
    for (ConvData<bf16>* d : {&whole, &cut}) {
        d->out.download();
        d->state.download();
    }
    check(from == 100 && same_bits(whole.out.host, cut.out.host) && same_bits(whole.state.host, cut.state.host),
            "pieces of a convolution have the bits of one shot");
}

PREFILL_BENCH(convolution) {
    for (int width : {2560, 4096}) {
        for (int rows : {2048, 8192}) {
            TestStep t({{0, positions(0, rows)}});
            ConvData<bf16> d(t.step.maxRows, 1, width, 4, width, 4);
            double time = seconds([&] { convolve_rows(t.step, d, 0); });
            report_bytes("causal_conv_bf16 T = " + std::to_string(rows) + " E = " + std::to_string(width), 4.0 * rows * width, time);
        }
    }
}

} // namespace
