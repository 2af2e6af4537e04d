// rotate, window_attention_prefill and store_keys: against the loop, with the ring at every offset; pieces and packing.

#include "../src/window_attention.cu"
#include "../src/window_attention_wgmma.cu"

#include "window_attention_data.cuh"

namespace {

/** bf16: weights are rounded to bf16 (2^-9 of values of size 1), and so is the result. */
template <class T> constexpr double TOLERANCE = sizeof(T) == 2 ? 0.012 : 3e-5;

template <class T> void against_loop(Dims dims, const std::vector<Sequence>& sequences, int pad, Form form) {
    TestStep t(sequences);
    AttentionData<T> d(dims, t.step.maxRows, 5, pad, 3);
    for (const Sequence& s : sequences) {
        d.fill_ring(s.slot, s.positions[0]);
    }
    d.keys.upload();
    d.values.upload();
    d.run(t.step, 0, form);
    finish();
    close("attention H = " + std::to_string(dims.heads) + " K = " + std::to_string(dims.width) + " W = " + std::to_string(dims.window)
                    + " rows = " + std::to_string(t.rows()) + " from " + std::to_string(sequences[0].positions[0]),
            d.result(t.rows()), d.expected(t), TOLERANCE<T>, sizeof(T) == 2 ? 0.006 : 1e-5);
}

std::vector<std::vector<Sequence>> steps() {
    return {
            {{0, positions(0, 1)}},
            {{1, positions(0, 70)}},
            {{4, positions(25, 90)}},
            {{3, positions(3, 5)}, {0, documents(40, 60, {1, 17, 50})}, {2, positions(0, 33)}, {1, positions(12, 1)}},
    };
}

PREFILL_TEST(attention_equals_loop_f32) {
    for (const auto& step : steps()) {
        for (Dims d : {Dims{2, 16, 8}, Dims{1, 8, 1}, Dims{3, 33, 20}, Dims{1, 256, 40}, Dims{2, 300, 9}, Dims{10, 32, 2048}}) {
            against_loop<float>(d, step, d.heads == 3 ? 1 : 0, SMALL_TILES);
        }
    }
}

PREFILL_TEST(attention_equals_loop_bf16) {
    for (const auto& step : steps()) {
        for (Dims d : {Dims{2, 16, 8}, Dims{3, 33, 20}, Dims{10, 64, 50}, Dims{3, 128, 31}, Dims{1, 128, 2048}, Dims{10, 256, 40}, Dims{1,
                256, 7}}) {
            against_loop<bf16>(d, step, 0, SMALL_TILES);
            against_loop<bf16>(d, step, 1, SMALL_TILES);   // no 16-byte groups: the plain form
            against_loop<bf16>(d, step, 8, SMALL_TILES);
        }
    }
}

PREFILL_TEST(attention_with_large_tiles_equals_loop) {
    std::printf("%zu forms with large tiles on this device\n", large_forms().size());
    for (Form form : large_forms()) {
        for (const auto& step : steps()) {
            for (Dims d : {Dims{10, 256, 40}, Dims{16, 256, 100}, Dims{1, 256, 2048}}) {
                against_loop<bf16>(d, step, 0, form);
                against_loop<bf16>(d, step, 8, form);
            }
            if (form == LARGE_TILES) {
                against_loop<bf16>({2, 256, 20}, step, 1, form);
            }
        }
        against_loop<bf16>({10, 256, 128}, {{0, positions(77, 400)}}, 0, form);
    }
}

PREFILL_TEST(attention_sees_the_ring_at_every_offset) {
    for (int from = 0; from <= 15; from++) {
        against_loop<float>({2, 16, 7}, {{1, positions(from, 9)}}, 0, SMALL_TILES);
        against_loop<bf16>({2, 64, 7}, {{1, positions(from, 9)}}, 0, SMALL_TILES);
        for (Form form : large_forms()) {
            against_loop<bf16>({2, 256, 7}, {{1, positions(from, 9)}}, 0, form);
        }
    }
}

template <class T> void pieces(Dims dims, std::vector<int> lengths, Form form) {
    std::vector<int> all = documents(0, 150, {60});
    AttentionData<T> whole(dims, 150, 1, 0, 4), cut(dims, 150, 1, 0, 4);
    for (AttentionData<T>* d : {&whole, &cut}) {
        d->keys.upload();
        d->values.upload();
    }
    TestStep one({{0, all}}, 0);
    whole.run(one.step, 0, form);
    whole.store(one.step, 0);
    finish();
    int from = 0;
    for (int n : lengths) {
        TestStep t({{0, std::vector<int>(all.begin() + from, all.begin() + from + n)}}, 0);
        cut.run(t.step, from, form);
        cut.store(t.step, from);
        finish();
        from += n;
    }
    std::vector<float> expected = whole.result(150);
    close("attention in pieces", cut.result(from), std::vector<double>(expected.begin(), expected.end()), TOLERANCE<T>, 1e-2);
    whole.keys.download();
    cut.keys.download();
    size_t ring = (size_t) std::min(90, dims.window) * dims.width * sizeof(T);   // the second document has 90 rows
    check(std::memcmp((const void*) whole.keys.host.data(), (const void*) cut.keys.host.data(), ring) == 0,
            "pieces leave the ring of one shot");
}

PREFILL_TEST(attention_in_pieces_equals_one_shot) {
    for (int window : {1, 20, 89, 200}) {
        pieces<float>({2, 16, window}, {1, 30, 40, 2, 77}, SMALL_TILES);
        pieces<bf16>({3, 64, window}, {59, 1, 1, 89}, SMALL_TILES);
        for (Form form : large_forms()) {
            pieces<bf16>({10, 256, window}, {100, 3, 47}, form);
        }
    }
}

void packed_equals_separate(Form form) {
    Dims dims{10, 256, 50};
    AttentionData<bf16> packed(dims, 200, 3, 0, 6), apart(dims, 200, 3, 0, 6);
    std::vector<Sequence> sequences = {{2, positions(0, 100)}, {0, positions(20, 37)}, {1, positions(70, 63)}};
    for (AttentionData<bf16>* d : {&packed, &apart}) {
        for (const Sequence& s : sequences) {
            d->fill_ring(s.slot, s.positions[0]);
        }
        d->keys.upload();
        d->values.upload();
    }
    TestStep all(sequences, 0);
    packed.run(all.step, 0, form);
    int from = 0;
    for (const Sequence& s : sequences) {
        TestStep t({s}, 0);
        apart.run(t.step, from, form);
        finish();
        from += (int) s.positions.size();
    }
    finish();
    packed.out.download();
    apart.out.download();
    check(same_bits(packed.out.host, apart.out.host), "packed sequences have the bits of separate ones");
}

PREFILL_TEST(packed_attention_has_the_bits_of_separate) {
    packed_equals_separate(SMALL_TILES);
    for (Form form : large_forms()) {
        packed_equals_separate(form);
    }
}

template <class T> void stores(Dims dims, const std::vector<Sequence>& sequences, int pad) {
    TestStep t(sequences);
    AttentionData<T> d(dims, t.step.maxRows, 5, pad, 8);
    std::fill(d.keys.host.begin(), d.keys.host.end(), narrow<T>(9));
    std::fill(d.values.host.begin(), d.values.host.end(), narrow<T>(7));
    d.keys.upload();
    d.values.upload();
    std::vector<T> keys = d.keys.host, values = d.values.host;
    for (size_t q = 0; q < sequences.size(); q++) {
        int last = t.rowStarts[q + 1] - 1, position = sequences[q].positions.back();
        for (int row = std::max({t.rowStarts[q], last - position, last - dims.window + 1}); row <= last; row++) {
            int p = position - (last - row);
            for (int c = 0; c < dims.width; c++) {
                size_t to = ((size_t) sequences[q].slot * dims.window + p % dims.window) * dims.width + c;
                keys[to] = d.qkv.host[(size_t) row * d.stride + dims.heads * dims.width + c];
                values[to] = d.qkv.host[(size_t) row * d.stride + (dims.heads + 1) * dims.width + c];
            }
        }
    }
    d.store(t.step, 0);
    finish();
    d.keys.download();
    d.values.download();
    check(same_bits(keys, d.keys.host) && same_bits(values, d.values.host), "store_keys K = " + std::to_string(dims.width) + " W = "
            + std::to_string(dims.window));
}

PREFILL_TEST(store_keys_equals_loop) {
    for (const auto& step : steps()) {
        for (Dims d : {Dims{2, 16, 8}, Dims{3, 33, 20}, Dims{1, 256, 40}, Dims{1, 8, 1}}) {
            stores<bf16>(d, step, 0);
            stores<float>(d, step, 1);
        }
    }
}

template <class T> void rotates(Dims dims, int rotaryDims, int first) {
    TestStep t({{0, positions(first, 50)}, {1, documents(9, 21, {4})}});
    AttentionData<T> d(dims, t.step.maxRows, 2, 0, 9);
    std::vector<double> expected;
    for (size_t i = 0; i < d.qkv.host.size(); i++) {
        expected.push_back(d.qkv.at(i));
    }
    for (int row = 0; row < t.rows(); row++) {
        for (int i = 0; i < rotaryDims / 2; i++) {
            float angle = t.positionsOf.host[row] * (float) std::pow(10000.0, -2.0 * i / rotaryDims);
            for (int h = 0; h <= dims.heads; h++) {
                double& a = expected[(size_t) row * d.stride + h * dims.width + i];
                double& b = expected[(size_t) row * d.stride + h * dims.width + i + rotaryDims / 2];
                double turned = a * std::cos((double) angle) - b * std::sin((double) angle);
                b = b * std::cos((double) angle) + a * std::sin((double) angle);
                a = turned;
            }
        }
    }
    dim3 grid(ceil_div(t.step.maxRows, 4), ceil_div(rotaryDims, 128));
    if constexpr (sizeof(T) == 2) {
        start(rotate_bf16, grid, 256, 0, t.step, d.qkv.device, d.stride, dims.heads, dims.width, rotaryDims, 10000.0f);
    } else {
        start(rotate_f32, grid, 256, 0, t.step, d.qkv.device, d.stride, dims.heads, dims.width, rotaryDims, 10000.0f);
    }
    finish();
    d.qkv.download();
    std::vector<float> actual;
    for (size_t i = 0; i < d.qkv.host.size(); i++) {
        actual.push_back(d.qkv.at(i));
    }
    close("rotation of " + std::to_string(rotaryDims) + " of " + std::to_string(dims.width), actual, expected, 2e-6, sizeof(T) == 2
            ? 0.004 : 2e-6);
}

PREFILL_TEST(rotation_equals_loop) {
    for (int first : {0, 2047, 499000}) {
        rotates<float>({10, 256, 8}, 128, first);
        rotates<bf16>({10, 256, 8}, 128, first);
        rotates<float>({2, 16, 8}, 8, first);
        rotates<float>({1, 300, 8}, 300, first);
        rotates<bf16>({1, 33, 8}, 2, first);
        rotates<bf16>({3, 320, 8}, 272, first);
    }
}

PREFILL_BENCH(attention) {
    for (int heads : {10, 16}) {
        for (int rows : {2048, 8192}) {
            TestStep t({{0, positions(0, rows)}});
            Dims dims{heads, 256, 2048};
            AttentionData<bf16> d(dims, t.step.maxRows, 1, 0, 10);
            double pairs = 0;
            for (int r = 0; r < rows; r++) {
                pairs += std::min(r, dims.window) + 1;
            }
            std::vector<Form> forms = large_forms();
            forms.insert(forms.begin(), SMALL_TILES);
            for (Form form : forms) {
                if (splits_of(form) > 1) {
                    continue;
                }
                const char* name = form == WGMMA ? "window_attention_prefill_wgmma" : form == LARGE_TILES ? "window_attention_prefill"
                        : "the same, small tiles";
                report_flops(name + (" T = " + std::to_string(rows)) + " H = " + std::to_string(heads), 4 * pairs * heads * 256,
                        seconds([&] { d.run(t.step, 0, form); }));
            }
            double moved = 2.0 * rows * (heads + 1) * 128 * 2;
            report_bytes("rotate_bf16 T = " + std::to_string(rows) + " H = " + std::to_string(heads), moved, seconds([&] {
                start(rotate_bf16, dim3(ceil_div(t.step.maxRows, 4), 1), 256, 0, t.step, d.qkv.device, d.stride, heads, 256, 128,
                        10000.0f);
            }));
        }
    }
}

/** A prompt's next piece after a full window: few tiles, many keys. */
PREFILL_BENCH(attention_of_few_rows) {
    for (int rows : {1, 25, 128}) {
        TestStep t({{0, positions(6000, rows)}});
        AttentionData<bf16> d({10, 256, 2048}, t.step.maxRows, 1, 0, 10);
        d.fill_ring(0, 6000);
        d.keys.upload();
        d.values.upload();
        for (Form form : large_forms()) {
            report_flops("attention after 6000, rows " + std::to_string(rows) + ", splits " + std::to_string(splits_of(form)) + ", form "
                            + std::to_string(form), 4.0 * rows * 2049 * 10 * 256, seconds([&] { d.run(t.step, 0, form); }));
        }
    }
}

} // namespace
