// How the launcher launches the products of linear.cuh: the rules of griffin.backend.cuda.MatVec and TileProduct.
#pragma once

#include <algorithm>
#include <tuple>

#include "harness.cuh"

namespace harness {

/** The other choice of ring: two mat-vecs and a small kernel share a multiprocessor of an H100. */
constexpr int PAIRED_ROOM = 107776;

struct LinearLaunch {
    int grid, warps; // 0 warps: the rows do not fit
    size_t shared;

    dim3 block() const { return dim3(unsigned(warps * WARP)); }
};

inline int shared_per_block() {
    static int bytes = [] {
        int device = 0, n = 0;
        CHECK_CUDA(cudaGetDevice(&device));
        CHECK_CUDA(cudaDeviceGetAttribute(&n, cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
        return n;
    }();
    return bytes;
}

/**
 * @param rows      the kernel's suffix: 1, for float 2, 4 or 8, too
 * @param units     outputs of a row of x (F for the gated product)
 * @param elementBytes sizeof(T)
 * @param xStride   elements between rows of x; rows that are not 16-byte aligned are staged, however large
 * @param room      dynamic shared memory that the kernel should use; 0: what was measured to be best
 * @param warps     0: the number of 8 to 12 that leaves the fewest idle in the last round
 */
inline LinearLaunch linear_launch(int rows, int units, int I, int elementBytes, bool normalised, int xStride, int room = 0, int warps = 0) {
    constexpr int STAGED_LIMIT = 80 * 1024, RING_OF_WARP = 5632, STATIC = 15 * 1024, SMALL_KERNEL = 32 * 1024, MOST = 12, GOOD = 8;
    LinearLaunch launch{multiprocessors(), warps, 0};
    const int rowBytes = I * elementBytes;
    const int work = std::max(1, (units + launch.grid - 1) / launch.grid);
    int x = rows * (rowBytes + 128);
    x = normalised || rows == 1 || x <= STAGED_LIMIT || rowBytes % 16 != 0 || xStride * elementBytes % 16 != 0 ? (x + 127) / 128 * 128 : 0;
    const int most = shared_per_block() - STATIC;
    const int best = rows == 1 ? int(shared_per_block() * 17LL / 32) : shared_per_block() - SMALL_KERNEL;
    room = std::min(std::max(room > 0 ? room : best, x + GOOD * RING_OF_WARP), most);
    int leastIdle = work + MOST;
    for (int w = MOST; w >= GOOD && warps == 0; w--) {
        const int idle = (work + w - 1) / w * w - work;
        if (x + w * RING_OF_WARP <= room && idle < leastIdle) {
            launch.warps = w;
            leastIdle = idle;
        }
    }
    if (launch.warps == 0) {
        launch.warps = std::max(0, std::min(GOOD - 1, (most - x) / RING_OF_WARP));
    }
    launch.shared = size_t(std::max(std::min(room, x + 8 * launch.warps * RING_OF_WARP), x + launch.warps * RING_OF_WARP));
    return launch;
}

/** Threads of a block: eight warps multiply, four fetch. */
constexpr int TILE_BLOCK = 384;

struct TileLaunch {
    int planes, grid;
    size_t shared;
};

/** Dynamic shared memory that a product by tiles aims at: with so much, no two blocks share a multiprocessor of an H200. */
constexpr int TILE_ROOM = 136 * 1024;

/**
 * @param rows   the kernel's suffix: 8, 16 or 32
 * @param pair   2 for the gated product
 * @param planes 0: as many of at most `most` as cost the fewest bytes
 * @param limit  weight rows of a tile at most: 256, or 128 as on cards with less shared memory (then with the least `room`, or it is not seen)
 */
inline TileLaunch tile_launch(int rows, int units, int pair, int I, int most, int room = 0, int planes = 0, int limit = 256) {
    const int processors = multiprocessors(), chunks = (I + 127) / 128;
    auto up = [](long long a, long long b) { return int((a + b - 1) / b); };
    auto shape = [&](int p, int most_rows) {
        const int units_of_block = up(units, processors / p), tiles = up(units_of_block * pair, most_rows);
        const int tileRows = up(up(units_of_block, tiles) * pair, 16) * 16, stage = 272 * (tileRows + rows);
        const int parts = tileRows <= 64 ? 384 * rows : 0, least = parts + 2 * stage;
        const int largest = std::min(parts + 8 * stage, shared_per_block() - 1024);
        const double bytes = 256.0 * up(chunks, p) * (units_of_block * pair + tiles * rows);
        return std::make_tuple(least <= largest, std::clamp(room > 0 ? room : TILE_ROOM, std::min(least, largest), largest),
                               bytes + (p == 1 ? 0.0 : 8.0 * p * rows * units / processors));
    };
    auto best_of = [&](int p) {
        const auto large = shape(p, limit);
        return std::get<0>(large) ? large : shape(p, 128);
    };
    planes = std::min({planes, processors, chunks});
    if (planes == 0) {
        planes = 1;
        for (int p = 2; p <= std::min({most, processors, chunks}); p++) {
            planes = std::get<2>(best_of(p)) < std::get<2>(best_of(planes)) ? p : planes;
        }
    }
    return {planes, planes * (processors / planes), size_t(std::get<1>(best_of(planes)))};
}

}  // namespace harness
