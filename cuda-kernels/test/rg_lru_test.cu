// rg_lru_scan: against the serial recurrence in float64; pieces, packing and repetition bit for bit.

#include "rg_lru_launch.cuh"

namespace {

double gelu_of(double v) {
    return 0.5 * v * (1 + std::tanh(std::sqrt(2 / 3.141592653589793) * (v + 0.044715 * v * v * v)));
}

template <class T> void expect(const TestStep& t, const ScanData<T>& d, std::vector<double>& h, std::vector<double>& out, bool gelu) {
    auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
    out.assign((size_t) t.rows() * d.width, 0);
    h.assign(d.h.host.begin(), d.h.host.end());
    for (size_t q = 0; q < t.sequences.size(); q++) {
        for (int e = 0; e < d.width; e++) {
            double& carry = h[(size_t) t.sequences[q].slot * d.width + e];
            for (int row = t.rowStarts[q]; row < t.rowStarts[q + 1]; row++) {
                size_t at = (size_t) row * d.stride + e;
                double i = sigmoid((double) d.gates.at(at) + d.bias.host[e]);
                double r = sigmoid((double) d.gates.at(d.plane() + at) + d.bias.host[d.width + e]);
                double logA = d.decay.host[e] * r;
                bool reset = t.sequences[q].positions[row - t.rowStarts[q]] == 0;
                carry = reset ? i * d.x.at(at) : std::exp(logA) * carry + std::sqrt(-std::expm1(2 * logA)) * i * d.x.at(at);
                out[(size_t) row * d.width + e] = carry * (gelu ? gelu_of(d.y.at(at)) : 1);
            }
        }
    }
}

template <class T> std::vector<float> dense(const Array<T>& a, int rows, int width, int stride) {
    std::vector<float> v((size_t) rows * width);
    for (int row = 0; row < rows; row++) {
        for (int e = 0; e < width; e++) {
            v[(size_t) row * width + e] = a.at((size_t) row * stride + e);
        }
    }
    return v;
}

template <class T> void against_loop(const std::vector<Sequence>& sequences, int width, int pad, bool gelu) {
    TestStep t(sequences);
    ScanData<T> d(t.step.maxRows, width, 6, pad, 100 + width);
    std::vector<double> h, out;
    expect(t, d, h, out, gelu);
    scan(t, d, 0, gelu);
    d.out.download();
    d.h.download();
    std::string name = "scan of " + std::to_string(t.rows()) + " rows of width " + std::to_string(width) + (sizeof(T) == 2 ? " bf16"
            : " f32");
    close(name, dense(d.out, t.rows(), width, d.stride), out, sizeof(T) == 2 ? 1e-4 : 5e-5, sizeof(T) == 2 ? 0.005 : 5e-5);
    close(name + ", state", d.h.host, h, 5e-5, sizeof(T) == 2 ? 1e-4 : 5e-5);
}

template <class T> void all_shapes() {
    std::vector<std::vector<Sequence>> steps = {
            {{0, positions(0, 1)}},
            {{2, positions(7, 1)}},
            {{1, positions(0, 128)}},
            {{1, positions(40, 129)}},
            {{4, positions(0, 5)}, {0, positions(9, 128)}, {3, positions(0, 257)}, {1, positions(3, 1)}},
            {{0, documents(50, 300, {77, 78, 200})}, {5, documents(0, 140, {16, 127, 128})}},
            {{3, positions(1000, 2000)}},
    };
    for (const auto& step : steps) {
        for (int width : {1, 2, 16, 31, 33, 40, 64, 207, 256}) {
            against_loop<T>(step, width, width % 3, width % 2 == 0);
        }
    }
}

PREFILL_TEST(scan_equals_loop_bf16) { all_shapes<bf16>(); }
PREFILL_TEST(scan_equals_loop_f32) { all_shapes<float>(); }

PREFILL_TEST(scan_without_rows_leaves_everything) {
    TestStep t({});
    ScanData<bf16> d(t.step.maxRows, 70, 1, 0, 1);
    std::vector<float> before = d.h.host;
    scan(t, d, 0, true);
    d.h.download();
    check(same_bits(before, d.h.host), "a step without rows changes no state");
}

/** Cuts 700 rows into pieces; at multiples of the tile the bits must not change. */
template <class T> void pieces(std::vector<int> lengths, bool bits) {
    std::vector<int> all = documents(11, 700, {333});
    ScanData<T> whole(700, 130, 1, 0, 5), cut(700, 130, 1, 0, 5);
    scan(TestStep({{0, all}}), whole, 0, true);
    int from = 0;
    for (int n : lengths) {
        scan(TestStep({{0, std::vector<int>(all.begin() + from, all.begin() + from + n)}}), cut, from, true);
        from += n;
    }
    check(from == 700, "the pieces are the whole");
    for (ScanData<T>* d : {&whole, &cut}) {
        d->out.download();
        d->h.download();
    }
    if (bits) {
        check(same_bits(whole.out.host, cut.out.host) && same_bits(whole.h.host, cut.h.host),
                "pieces of whole tiles have the bits of one shot");
    }
    std::vector<double> out;
    for (float v : dense(whole.out, 700, 130, 130)) {
        out.push_back(v);
    }
    close("pieces, out", dense(cut.out, 700, 130, 130), out, 2e-5, sizeof(T) == 2 ? 0.008 : 2e-5);
    close("pieces, state", cut.h.host, std::vector<double>(whole.h.host.begin(), whole.h.host.end()), 1e-5, 1e-5);
}

PREFILL_TEST(scan_in_pieces_equals_one_shot) {
    pieces<bf16>({128, 256, 128, 188}, true);
    pieces<float>({128, 256, 128, 188}, true);
    pieces<bf16>({1, 99, 250, 350}, false);
    pieces<float>({1, 99, 250, 350}, false);
}

PREFILL_TEST(packed_scans_equal_separate_ones) {
    std::vector<int> lengths = {200, 1, 129, 640};
    ScanData<bf16> packed(970, 96, 4, 0, 8), apart(970, 96, 4, 0, 8);
    std::vector<Sequence> sequences;
    int from = 0;
    for (int q = 0; q < 4; q++) {
        sequences.push_back({3 - q, positions(q % 2 * 17, lengths[q])});
        scan(TestStep({sequences.back()}), apart, from, true);
        from += lengths[q];
    }
    scan(TestStep(sequences), packed, 0, true);
    for (ScanData<bf16>* d : {&packed, &apart}) {
        d->out.download();
        d->h.download();
    }
    check(same_bits(packed.out.host, apart.out.host) && same_bits(packed.h.host, apart.h.host),
            "packed sequences have the bits of separate ones");
}

/** One shape under every geometry: bits of the first, which is compared with the loop; the output in place of an operand, too. */
template <class T> void geometries(const std::vector<Sequence>& sequences, int width, int pad, bool gelu) {
    TestStep t(sequences);
    int slots = 0;
    for (const Sequence& s : sequences) {
        slots = std::max(slots, s.slot + 1);
    }
    ScanData<T> d(t.step.maxRows, width, slots, pad, 300 + width);
    std::string name = std::to_string(sequences.size()) + " sequences of " + std::to_string(t.rows()) + " rows, width "
            + std::to_string(width) + (sizeof(T) == 2 ? " bf16" : " f32");
    std::vector<double> h, out;
    expect(t, d, h, out, gelu);
    std::vector<float> before = d.h.host;
    std::vector<T> firstOut;
    std::vector<float> firstState;
    std::vector<Geometry> launches = {{}};
    for (int blocks : {1, 3, 2, 4, 8}) {
        if (blocks > most_blocks() || (brief() && blocks > 3)) {
            continue;
        }
        for (int clusters : {0, 1, 3, 7}) {
            for (int stages = most_stages(); stages >= 1; stages--) {
                launches.push_back({blocks, clusters, stages, 0});
            }
            launches.push_back({blocks, clusters, most_stages(), 1});
        }
    }
    for (const Geometry& geometry : launches) {
        d.h.host = before;
        d.h.upload();
        scan(t, d, 0, gelu, geometry);
        d.out.download();
        d.h.download();
        if (firstOut.empty()) {
            firstOut = d.out.host;
            firstState = d.h.host;
            close(name, dense(d.out, t.rows(), width, d.stride), out, sizeof(T) == 2 ? 1e-4 : 5e-5, sizeof(T) == 2 ? 0.005 : 5e-5);
            close(name + ", state", d.h.host, h, 5e-5, sizeof(T) == 2 ? 1e-4 : 5e-5);
        }
        check(same_bits(firstOut, d.out.host) && same_bits(firstState, d.h.host),
                name + ": " + std::to_string(geometry.clusters) + " clusters of " + std::to_string(geometry.blocks) + " blocks of "
                        + std::to_string(geometry.stages) + " stages and " + std::to_string(geometry.groups)
                        + " groups have the bits of the first");
    }
    for (bool overX : {true, false}) {   // last, for it spoils the operands
        if (!overX && !gelu) {
            continue;
        }
        ScanData<T> again(t.step.maxRows, width, slots, pad, 300 + width);
        launch({}, t.step, again, 0, gelu ? again.y.device : nullptr, overX ? again.x.device : again.y.device);
        finish();
        again.x.download();
        again.y.download();
        check(same_bits(dense(d.out, t.rows(), width, d.stride), dense(overX ? again.x : again.y, t.rows(), width, d.stride)),
                name + ": the same bits over " + (overX ? "x" : "the gelu branch"));
    }
}

template <class T> void all_geometries() {
    std::vector<Sequence> mixed, tiny;
    Random random(77);
    for (int q = 0; q < 40; q++) {
        int lengths[] = {1, 1, 127, 128, 129, 255, 256, 257, 1 + int(random.uniform() * 400)};
        mixed.push_back({39 - q, positions(q % 3 * 5, lengths[random.bits() % 9])});
    }
    for (int q = 0; q < 33; q++) {
        tiny.push_back({q, positions(9, q == 20 ? 700 : q % 4 == 3 ? 0 : 1)});   // some without rows
    }
    for (int width : {16, 24, 40, 33}) {
        geometries<T>(mixed, width, width % 8, width != 24);
        geometries<T>(tiny, width, 0, true);
        geometries<T>({{0, documents(50, 1300, {77, 78, 200, 256, 511, 1299})}, {1, documents(0, 140, {16, 127, 128})}}, width, 8, true);
    }
    geometries<T>({{0, positions(3, 900)}, {1, positions(0, 1)}}, brief() ? 160 : 2560, 0, true);   // more tiles than blocks
    geometries<T>({{2, {}}, {0, positions(3, 130)}, {3, {}}, {4, {}}, {1, positions(0, 128)}, {5, {}}}, 200, 8, true);   // none at the ends
    std::vector<Sequence> pairs;
    for (int q = 0; q < 60; q++) {   // of two chunks, the first of which need no others: a block has nothing but first ones
        pairs.push_back({q, positions(4, 129 + q)});
    }
    geometries<T>(pairs, 72, 0, true);
    std::vector<Sequence> many;
    for (int q = 0; q < 700; q++) {   // more sequences than a block has threads
        many.push_back({q, positions(2, q % 50 == 7 ? 130 : 1)});
    }
    geometries<T>(many, 16, 0, true);
    handover().download();
    check(std::count(handover().host.begin(), handover().host.end(), 0) == (long) handover().host.size(), "nothing is left to be handed over");
}

PREFILL_TEST(scan_does_not_depend_on_its_geometry_bf16) { all_geometries<bf16>(); }
PREFILL_TEST(scan_does_not_depend_on_its_geometry_f32) { all_geometries<float>(); }

PREFILL_TEST(scan_always_has_the_same_bits) {
    TestStep t({{0, positions(5, brief() ? 512 : 8192)}});
    ScanData<bf16> d(t.step.maxRows, 2560, 1, 0, 9);
    Array<float> state(d.h.host.size());
    state.host = d.h.host;
    std::vector<bf16> out;
    std::vector<float> h;
    for (int run = 0; run < 30; run++) {
        d.h.host = state.host;
        d.h.upload();
        scan(t, d, 0, true);
        d.out.download();
        d.h.download();
        if (run == 0) {
            out = d.out.host;
            h = d.h.host;
        }
        check(same_bits(out, d.out.host) && same_bits(h, d.h.host), "run " + std::to_string(run) + " has the bits of the first");
    }
}

/** Launches one right behind the other: the second goes on from the states that the first leaves. */
PREFILL_TEST(scans_follow_one_another) {
    for (int width : {64, 2560, 4096}) {
        TestStep t({{2, positions(0, 700)}, {0, positions(9, 1)}, {3, positions(5, brief() ? 200 : 3000)}, {1, positions(0, 129)}});
        ScanData<bf16> queued(t.step.maxRows, width, 4, 0, 20), apart(t.step.maxRows, width, 4, 0, 20);
        for (int run = 0; run < 5; run++) {
            scan_rows(t.step, queued, 0, true);
        }
        finish();
        for (int run = 0; run < 5; run++) {
            scan(t, apart, 0, true, {1, 2});
        }
        for (ScanData<bf16>* d : {&queued, &apart}) {
            d->out.download();
            d->h.download();
        }
        check(same_bits(queued.out.host, apart.out.host) && same_bits(queued.h.host, apart.h.host),
                "scans in a row of width " + std::to_string(width) + " have the bits of separate ones");
    }
}

PREFILL_BENCH(scan) {
    for (int width : {2560, 4096}) {
        for (int rows : {2048, 8192, 16384}) {
            TestStep t({{0, positions(0, rows)}});
            ScanData<bf16> d(t.step.maxRows, width, 1, 0, 10);
            for (int blocks : {0, 2, 3, 4}) {   // 0: what the runtime would choose
                Geometry g = complete({blocks}, ceil_div(width, TILE_CHANNELS<bf16>), ceil_div(rows, TILE_ROWS));
                double time = seconds([&] { scan_rows(t.step, d, 0, true, g); });
                report_bytes("rg_lru_scan T " + std::to_string(rows) + " E " + std::to_string(width) + ", " + std::to_string(g.clusters) + " x "
                        + std::to_string(g.blocks) + " blocks", 10.0 * rows * width, time);
            }
        }
    }
}

} // namespace
