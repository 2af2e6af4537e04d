// How the launcher launches the decode recurrences: the rule of griffin.backend.cuda.RecurrenceCalls.
#pragma once

#include "harness.cuh"

namespace harness {

struct RecurrenceLaunch {
    dim3 grid;
    int block;
    size_t shared;
};

/** @param most sequences of a block (8, 16, 32: bf16, G = 256, C = 4); 0 for the kernel of any shape */
inline RecurrenceLaunch recurrence_launch(int most, int sequences, int E, int G) {
    constexpr int CHANNELS_OF_BLOCK = 16, SEQUENCES_IN_TURN = 4;
    if (most == 0) {
        return {dim3(unsigned(E / G * ((G + CHANNELS_OF_BLOCK - 1) / CHANNELS_OF_BLOCK)),
                     unsigned((sequences + SEQUENCES_IN_TURN - 1) / SEQUENCES_IN_TURN)),
                256, sizeof(float) * G};
    }
    return {dim3(unsigned(E / CHANNELS_OF_BLOCK), unsigned((sequences + most - 1) / most)), CHANNELS_OF_BLOCK * most,
            size_t(most) * (576 + 32 * most)};
}

}  // namespace harness
