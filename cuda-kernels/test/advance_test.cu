// advance and publish_result against the rules of griffin.backend.host.HostAdvance.
#include "../src/advance.cu"
#include "harness.cuh"

using namespace harness;

namespace {

void host_advance(HostStep& h, const std::vector<int>& ids, std::vector<int>& status) {
    const int S = h.counts[1];
    for (int q = 0; q < S; q++) {
        const int position = h.positions[h.rowStarts[q + 1] - 1] + 1;
        status[q] = h.remaining[q] <= 1 ? LIMIT : RUNNING;
        status[q] = h.cancelled[q] ? CANCELLED : status[q];
        for (int i = 0; i < MAX_END_IDS; i++) {
            if (h.endIds[q * MAX_END_IDS + i] >= 0 && h.endIds[q * MAX_END_IDS + i] == ids[q]) {
                status[q] = ENDED;
            }
        }
        status[q] = ids[q] == NOT_FINITE ? FAILED : status[q];
        status[q] = h.sampledOutputs[q] < 0 ? PARKED : status[q];
        const bool runs = status[q] == RUNNING;
        h.tokens[q] = runs ? ids[q] : 0;
        h.positions[q] = runs ? position : 0;
        h.slots[q] = runs ? h.slots[q] : h.scrapSlot;
        h.sampledOutputs[q] = runs ? q : -1;
        h.remaining[q]--;
    }
    for (int q = 0; q < S; q++) {
        h.rowStarts[q] = h.rowSequence[q] = h.outputRows[q] = q;
    }
    h.rowStarts[S] = S;
    h.counts[0] = h.counts[2] = S;
}

void check(int S, int rowsEach, uint64_t seed) {
    Random random(seed);
    HostStep h(S * rowsEach + 2, S + 1, S);
    std::vector<int> ids(S + 1, -1), status(S + 1, 0);
    for (int q = 0; q < S; q++) {
        h.add(q, 3 * q, 1 + random.below(rowsEach), random.below(4) != 0, random, 100);
        ids[q] = random.below(6) == 0 ? NOT_FINITE : random.below(8);
        h.remaining[q] = random.below(3);
        h.cancelled[q] = random.below(5) == 0;
        h.endIds[q * MAX_END_IDS] = 3;
        h.endIds[q * MAX_END_IDS + 7] = random.below(8);
        h.endIds[q * MAX_END_IDS + 8] = NOT_FINITE; // ends nothing
        h.sampling[q].logProbabilities = q % 3 - 1;
    }
    h.counts[3] = 6;
    DeviceStep step(h);
    step.ids.write(ids);
    std::vector<float> logs = random_values<float>(S + 1, seed);
    step.logProbabilities.write(logs);
    std::string what = "advance sequences " + std::to_string(S) + " rows up to " + std::to_string(rowsEach) + " seed " + std::to_string(seed);
    for (int run = 0; run < 2; run++) {
        launch(advance, 1, 256, 0, step.step);
        launch(publish_result, 1, 256, 0, step.step);
        synchronize();
        host_advance(h, ids, status);
        h.counts[3]++;
        compare_bits(what + " counts", step.counts.read(), h.counts);
        compare_bits(what + " tokens", step.tokens.read(), h.tokens);
        compare_bits(what + " positions", step.positions.read(), h.positions);
        compare_bits(what + " slots", step.slots.read(), h.slots);
        compare_bits(what + " row starts", step.rowStarts.read(), h.rowStarts);
        compare_bits(what + " row sequences", step.rowSequence.read(), h.rowSequence);
        compare_bits(what + " output rows", step.outputRows.read(), h.outputRows);
        compare_bits(what + " sampled outputs", step.sampledOutputs.read(), h.sampledOutputs);
        compare_bits(what + " remaining", step.remaining.read(), h.remaining);
        compare_bits(what + " status", step.status.read(), status);
        const std::vector<int> ring = step.published.read();
        const size_t slot = size_t((h.counts[3] - 1) % RESULT_DEPTH) * h.published_stride(), capacity = size_t(S) + 1;
        bool published = ring[slot] == h.counts[3];
        for (int q = 0; q < S; q++) {
            int bits;
            std::memcpy(&bits, &logs[q], 4);
            published = published && ring[slot + 1 + q] == ids[q] && ring[slot + 1 + capacity + q] == status[q] &&
                        ring[slot + 1 + 2 * capacity + q] == bits;
        }
        report(published, what + " published");
    }
}

}  // namespace

void test_advance() {
    uint64_t seed = 1;
    for (int S : {0, 1, 2, 31, 64, 300}) {
        for (int rows : {1, 5}) {
            check(S, rows, seed++);
        }
    }
}
