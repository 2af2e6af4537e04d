// A Step in device memory for the tests; included after the source of the kernels, which defines Step.
#pragma once

#include "prefill_frame.cuh"

namespace frame {

struct TestStep {
    std::vector<Sequence> sequences;
    std::vector<int> rowStarts{0};
    Array<int> counts{4}, positionsOf, rowSequence, slots, starts;
    Step step{};

    static int total(const std::vector<Sequence>& sequences) {
        int n = 0;
        for (const Sequence& s : sequences) {
            n += (int) s.positions.size();
        }
        return n;
    }

    /** spare: room beyond the live rows and sequences, as in a step whose bucket is larger. */
    explicit TestStep(std::vector<Sequence> list, int spare = 3)
        : sequences(std::move(list)), positionsOf(total(sequences) + spare), rowSequence(total(sequences) + spare),
          slots(sequences.size() + spare), starts(sequences.size() + spare + 1) {
        int row = 0;
        for (size_t q = 0; q < sequences.size(); q++) {
            slots.host[q] = sequences[q].slot;
            for (int p : sequences[q].positions) {
                positionsOf.host[row] = p;
                rowSequence.host[row++] = (int) q;
            }
            rowStarts.push_back(row);
            starts.host[q + 1] = row;
        }
        counts.host = {row, (int) sequences.size(), 0, 0};
        for (Array<int>* a : {&counts, &positionsOf, &rowSequence, &slots, &starts}) {
            a->upload();
        }
        step.counts = counts.device;
        step.positions = positionsOf.device;
        step.rowSequence = rowSequence.device;
        step.slots = slots.device;
        step.rowStarts = starts.device;
        step.maxRows = row + spare;
        step.maxSequences = (int) sequences.size() + spare;
    }

    int rows() const { return rowStarts.back(); }
};

} // namespace frame
