// How the launcher launches the mat-vecs of linear.cuh.
#pragma once

#include <algorithm>

#include "harness.cuh"

namespace harness {

/** Two mat-vecs and a small kernel share a multiprocessor of an H100. */
constexpr int STREAM_ROOM = 107776;

struct LinearLaunch {
    int grid, warps;
    size_t shared;

    dim3 block() const { return dim3(unsigned(warps * WARP)); }
};

/**
 * @param rows      the kernel's suffix: 1, 2, 4 or 8
 * @param units     outputs of a row of x (F for the gated product)
 * @param elementBytes sizeof(T)
 * @param xStride   elements between rows of x; rows that are not 16-byte aligned are staged, however large
 * @param room      dynamic shared memory that the kernel should use
 * @param warps     0: the number of 8 to 12 that the units of a block fill best
 */
inline LinearLaunch linear_launch(int rows, int units, int I, int elementBytes, bool normalised, int xStride, int room = STREAM_ROOM, int warps = 0) {
    constexpr int STAGED_LIMIT = 80 * 1024, STAGE = 5632;
    LinearLaunch launch{multiprocessors(), warps, 0};
    const int perBlock = (units + launch.grid - 1) / launch.grid;
    if (warps == 0) {
        double best = 0;
        for (int w = 8; w <= 12; w++) {
            const double filled = double(perBlock) / (double((perBlock + w - 1) / w) * w);
            if (filled >= best) {
                best = filled;
                launch.warps = w;
            }
        }
    }
    const size_t x = size_t(rows) * (size_t(I) * elementBytes + 128) + 128;
    const bool staged = normalised || rows == 1 || x - 128 <= STAGED_LIMIT || I * elementBytes % 16 != 0 || xStride * elementBytes % 16 != 0;
    const size_t least = (staged ? x : 0) + size_t(launch.warps) * STAGE * (rows == 1 ? 1 : 2);
    launch.shared = std::max(size_t(room), least);
    return launch;
}

}  // namespace harness
