// How the launcher launches attention_decode: the rule of griffin.backend.cuda.AttentionCalls.
#pragma once

#include <algorithm>

#include "harness.cuh"

namespace harness {

struct AttentionLaunch {
    int groups;
    size_t shared, scratch /* floats */, arrivals;
};

/** Splits for more than two sequences: at most those of a few, and one wave of two blocks a multiprocessor. */
inline int attention_splits(int sequences, int most) { return std::max(1, std::min(most, 2 * multiprocessors() / sequences)); }

inline AttentionLaunch attention_launch(int columns, int sequences, int heads, int K, int W, int rotaryDims, int splits) {
    const int groups = (K + columns - 1) / columns, most = (heads + groups - 1) / groups;
    const size_t plain = 4 * size_t(K * (most + 1) + (W + splits - 1) / splits + 3 + most) + 8 * size_t(rotaryDims / 2 + most * splits);
    const size_t tiles = columns == 256 ? 78848 : 29696;
    const size_t partial = (size_t(heads) * splits * (K + K % 2 + 2 * groups) + 3) / 4 * 4;
    return {groups, std::max(plain, tiles), sequences * partial, size_t(sequences) * (groups + 1)};
}

}  // namespace harness
