// Sampling against sorting everything (the rules of griffin.backend.reference.ReferenceSampling), and Philox against its published vectors.
#include "../src/sample.cu"
#include "harness.cuh"

#include <algorithm>

using namespace harness;

namespace {

// ---- the oracle

uint32_t host_philox(uint64_t key, uint32_t c0, uint32_t c1, int word) {
    uint32_t k0 = uint32_t(key), k1 = uint32_t(key >> 32), c2 = 0, c3 = 0;
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = uint64_t(0xD2511F53u) * c0, p1 = uint64_t(0xCD9E8D57u) * c2;
        uint32_t n0 = uint32_t(p1 >> 32) ^ c1 ^ k0, n2 = uint32_t(p0 >> 32) ^ c3 ^ k1;
        c1 = uint32_t(p1);
        c3 = uint32_t(p0);
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return word == 0 ? c0 : word == 1 ? c1 : word == 2 ? c2 : c3;
}

float host_gumbel(uint64_t seed, int position, int token) {
    double u = ((host_philox(seed, uint32_t(token) >> 2, uint32_t(position), token & 3) >> 8) + 0.5) * 0x1p-24;
    return float(-std::log(-std::log(u)));
}

std::vector<int> sorted(const std::vector<float>& z) {
    std::vector<int> order(z.size());
    for (size_t i = 0; i < z.size(); i++) {
        order[i] = int(i);
    }
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return z[a] > z[b]; });
    return order;
}

struct Choice {
    int id = -1;
    double logProbability = NAN;
    std::vector<int> ids;
    std::vector<double> theirs;
};

Choice host_choose(std::vector<float> z, const SamplingRow& p, const std::vector<unsigned>& seen, size_t seenAt, int position) {
    const std::vector<float> raw = z;
    const int V = int(z.size());
    for (int id = 0; id < V && p.repetitionPenalty != 1; id++) {
        if (seen[seenAt + id / 32] >> (id % 32) & 1) {
            z[id] = z[id] > 0 ? z[id] / p.repetitionPenalty : z[id] * p.repetitionPenalty;
        }
    }
    Choice c;
    bool nan = false;
    float max = -INFINITY;
    for (float v : z) {
        nan = nan || std::isnan(v);
        max = std::max(max, v);
    }
    if (nan || std::isinf(max)) {
        c.id = NOT_FINITE;
        c.ids.assign(MAX_ALTERNATIVES, -1);
        c.theirs.assign(MAX_ALTERNATIVES, -INFINITY);
        return c;
    }
    const std::vector<int> order = sorted(z);
    if (p.temperature == 0 || p.topK == 1) {
        c.id = order[0];
    } else {
        const int count = p.topK == 0 ? V : std::min(p.topK, V);
        std::vector<double> weight(count);
        double total = 0, mass = 0;
        for (int i = 0; i < count; i++) {
            weight[i] = std::exp(double(z[order[i]] - z[order[0]]) / p.temperature);
            total += weight[i];
        }
        float highest = -INFINITY;
        for (int i = 0; i < count && (i == 0 || mass < p.topP * total) && weight[i] >= p.minP; i++) {
            mass += weight[i];
            float score = (z[order[i]] - z[order[0]]) / p.temperature + host_gumbel(p.seed, position, order[i]);
            if (score > highest || (score == highest && order[i] < c.id)) {
                highest = score;
                c.id = order[i];
            }
        }
    }
    if (p.logProbabilities >= 0) {
        const std::vector<int> likely = sorted(raw);
        double sum = 0;
        for (float v : raw) {
            sum += std::exp(double(v) - raw[likely[0]]);
        }
        const double log = raw[likely[0]] + std::log(sum);
        c.logProbability = raw[c.id] - log;
        for (int i = 0; i < p.logProbabilities; i++) {
            c.ids.push_back(i < V ? likely[i] : -1);
            c.theirs.push_back(i < V ? raw[likely[i]] - log : -INFINITY);
        }
    }
    return c;
}

// ---- the test

enum Kind { SPREAD, PEAKED, TIED, EQUAL, BROKEN };

std::vector<float> logits_of(Kind kind, size_t n, uint64_t seed) {
    std::vector<float> z = random_values<float>(n, seed, 1);
    for (size_t i = 0; i < n; i++) {
        const float u = z[i];
        z[i] = kind == SPREAD || kind == BROKEN ? 12 * u : kind == PEAKED ? 30 * u * u * u : kind == TIED ? std::floor(u * 20) / 2 : 1.25f;
        z[i] = kind == TIED && z[i] == 0 && i % 2 ? -0.0f : z[i];
    }
    return z;
}

/** By turns, a row with one token ruled out, a NaN of either sign, plus infinity, only minus infinity, only NaN. */
void break_row(float* z, int V, int row, Random& random) {
    const int at = random.below(V);
    switch (row % 6) {
        case 0: z[at] = -INFINITY; break;
        case 1: z[at] = NAN; break;
        case 2: z[at] = -NAN; break;
        case 3: z[at] = INFINITY; break;
        case 4: std::fill(z, z + V, -INFINITY); break;
        default: std::fill(z, z + V, NAN);
    }
}

size_t scratch_bytes(int V) {
    const size_t blocks = (size_t(V) + SLICE - 1) / SLICE;
    return sizeof(SampleHeader) + 8 * (5 * blocks + CANDIDATES + RAW_CANDIDATES) + 64 * blocks;
}

void check(int V, Kind kind, const std::vector<SamplingRow>& params, uint64_t seed) {
    const int S = int(params.size()), words = (V + 31) / 32, pad = V % 2;
    Random random(seed);
    HostStep h(S * 3 + 1, S + 1, S);
    for (int q = 0; q < S; q++) {
        h.add(S - 1 - q, 10 * q, 1 + q % 3, q % 5 != 4, random, V); // every fifth does not sample
        h.sampling[q] = params[q];
    }
    const int outputs = h.counts[2], stride = V + pad;
    std::vector<float> z = logits_of(kind, size_t(outputs + 1) * stride, seed);
    for (int row = 0; row < outputs && kind == BROKEN; row++) {
        break_row(&z[size_t(row) * stride], V, row, random);
    }
    std::vector<unsigned> seen(size_t(S + 1) * words);
    for (unsigned& word : seen) {
        word = unsigned(random.next()) & unsigned(random.next()) & unsigned(random.next());
    }
    DeviceStep step(h);
    Device<float> logits(z);
    const std::vector<unsigned> unmarked = seen;
    Device<unsigned> dSeen(seen);
    Device<unsigned char> scratch(scratch_bytes(V) * (S + 1), 0);
    auto run = [&](int slicesOfBlock) {
        const int each = SLICE * slicesOfBlock;
        const dim3 slices(unsigned((V + each - 1) / each), unsigned(S + 1));
        auto call = [&](auto kernel, dim3 grid, unsigned block) {
            launch(kernel, grid, block, 0, step.step, logits.data, stride, dSeen.data, words, V, scratch.data);
        };
        call(sample_scan, slices, SLICE_THREADS);
        call(sample_filter, slices, SLICE_THREADS);
        call(sample_choose, dim3(unsigned(S + 1)), CHOOSE_THREADS);
        call(sample_draw, slices, SLICE_THREADS);
        synchronize();
    };
    run(1);
    for (int q = 0; q < S; q++) {
        for (int m = h.rowStarts[q]; m < h.rowStarts[q + 1]; m++) {
            seen[size_t(h.slots[q]) * words + h.tokens[m] / 32] |= 1u << (h.tokens[m] % 32);
        }
    }
    std::vector<int> want(S + 1), wantIds(step.alternativeIds.size);
    std::vector<double> wantLog(S + 1), wantTheirs(step.alternativeIds.size);
    std::vector<float> gotLog = step.logProbabilities.read();
    bool nans = true;
    for (int q = 0; q < S; q++) {
        Choice c;
        if (h.sampledOutputs[q] >= 0) {
            auto row = z.begin() + size_t(h.sampledOutputs[q]) * stride;
            c = host_choose(std::vector<float>(row, row + V), params[q], seen, size_t(h.slots[q]) * words, h.positions[h.rowStarts[q + 1] - 1] + 1);
        }
        want[q] = c.id;
        const bool silent = std::isnan(c.logProbability);
        nans = nans && silent == std::isnan(gotLog[q]);
        wantLog[q] = silent ? 0 : c.logProbability;
        gotLog[q] = silent ? 0 : gotLog[q];
        for (size_t i = 0; i < c.ids.size(); i++) {
            wantIds[q * MAX_ALTERNATIVES + i] = c.ids[i];
            wantTheirs[q * MAX_ALTERNATIVES + i] = c.theirs[i];
        }
    }
    const char* kinds[] = {"spread", "peaked", "tied", "equal", "broken"};
    char text[80];
    std::snprintf(text, sizeof text, "sample V %d %s logits seed %llu", V, kinds[kind], static_cast<unsigned long long>(seed));
    const std::string what = text;
    std::vector<int> ids = step.ids.read();
    compare_bits(what + " ids", ids, want);
    compare_bits(what + " seen", dSeen.read(), seen);
    report(nans, what + " log-probabilities only where wanted");
    compare(what + " log-probabilities", gotLog, wantLog, 2e-5, 1e-6);
    compare_bits(what + " alternatives", step.alternativeIds.read(), wantIds);
    std::vector<float> theirs = step.alternativeLogProbabilities.read();
    for (size_t i = 0; i < theirs.size(); i++) { // minus infinity equals itself
        if (std::isinf(theirs[i]) && theirs[i] == wantTheirs[i]) {
            theirs[i] = 0;
            wantTheirs[i] = 0;
        }
    }
    compare(what + " their log-probabilities", theirs, wantTheirs, 2e-5, 1e-6);
    const std::vector<float> log = step.logProbabilities.read();
    for (int slicesOfBlock : {2, 3, 64}) {
        dSeen.write(unmarked);
        run(slicesOfBlock);
        compare_bits(what + " again, seen", dSeen.read(), seen);
        compare_bits(what + " again, alternatives", step.alternativeIds.read(), wantIds);
        compare_bits(what + " again, " + std::to_string(slicesOfBlock) + " slices a block", step.ids.read(), ids);
        compare_bits(what + " again, log-probabilities", step.logProbabilities.read(), log);
    }
}

std::vector<SamplingRow> many_params(int V) {
    std::vector<SamplingRow> rows;
    const float temperatures[] = {0, 0.3f, 0.8f, 1, 2.5f};
    const int topKs[] = {0, 1, 40, 5, V / 3 + 2, V, 700};
    const float topPs[] = {1, 0.9f, 0.3f, 0.999f, 1e-6f};
    const float minPs[] = {0, 0.05f, 1};
    for (int i = 0; i < 36; i++) {
        SamplingRow p{temperatures[i % 5], topKs[i % 7], topPs[i / 2 % 5], minPs[i % 4 == 3 ? i / 4 % 3 : 0], i % 3 == 2 ? 1.3f : 1.0f,
                      i % 4 == 1 ? -1 : i % 21, 0x123456789abcull * unsigned(i + 1)};
        rows.push_back(p);
    }
    rows.push_back(SamplingRow{0.8f, 0, 1, 0, 1, 20, 5});
    rows.push_back(SamplingRow{1.5f, 0, 1, 0.1f, 0.7f, -1, 6});
    rows.push_back(SamplingRow{3.0f, 0, 0.95f, 0, 1, 0, 7});
    rows.push_back(SamplingRow{0.8f, 40, 1, 0, 1, -1, 8});
    rows.push_back(SamplingRow{0.8f, 40, 0.95f, 0, 1, 3, 9});
    rows.push_back(SamplingRow{100.0f, V / 2 + 1, 0.5f, 0, 1, -1, 10});
    return rows;
}

__global__ void philox_words(unsigned* out, u64 seed, int position, int token) {
    out[threadIdx.x] = philox(seed, position, token + int(threadIdx.x));
}

void check_philox() {
    // Random123's known answers for philox4x32-10, counter and key zero.
    Device<unsigned> out(4, 0);
    philox_words<<<1, 4, 0, stream>>>(out.data, 0, 0, 0);
    synchronize();
    compare_bits("philox known answer", out.read(), std::vector<unsigned>{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u});
}

}  // namespace

void test_sample() {
    check_philox();
    uint64_t seed = 1;
    for (Kind kind : {SPREAD, PEAKED, TIED, EQUAL, BROKEN}) {
        for (int V : {1, 2, 33, 97, 2048, 2049, 5000, 20011}) {
            check(V, kind, many_params(V), seed++);
        }
    }
    if (brief()) {
        return;
    }
    check(256000, SPREAD, many_params(256000), seed++);
    check(256000, PEAKED, many_params(256000), seed++);
    check(256000, TIED, many_params(256000), seed++);
}
