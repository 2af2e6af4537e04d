// How the launcher launches the products of linear_stream.cuh: geometry and tensor maps.
#pragma once

#include <cuda.h>

#include <algorithm>

#include "harness.cuh"
#include "linear_launch.cuh"

namespace harness {

struct StreamLaunch {
    int planes, grid, tileRows, stages; // no tileRows: the shape does not fit
    size_t shared;

    int groups() const { return (tileRows + 63) / 64; }
    dim3 block() const { return dim3(unsigned(groups() * (groups() <= 2 ? 2 : 1) * 128 + 64)); }
};

/** What overrides the rules. */
struct StreamSetting {
    int room;       // dynamic shared memory at most
    int planes = 0; // 0: as many as cost the fewest bytes
    int blocks = 0; // 0: one a multiprocessor
    CUtensorMapL2promotion promotion = CU_TENSOR_MAP_L2_PROMOTION_L2_256B;
};

/**
 * @param rows the kernel's suffix
 * @param pair 2 for the gated product
 * @param most planes at most
 */
inline StreamLaunch stream_launch(int rows, int units, int pair, int I, int most, const StreamSetting& s) {
    constexpr int PANEL = 64, PANEL_ROW = 128, TILE_ROWS = 256, STAGES = 32, ALIGNMENT = 1024;
    auto up = [](long long a, long long b) { return int((a + b - 1) / b); };
    const int panels = up(I, PANEL), weightRows = units * pair, room = std::min(s.room, shared_per_block() - 1024);
    const int blocks = s.blocks > 0 ? s.blocks : multiprocessors();
    StreamLaunch best = {};
    double fewest = 0;
    for (int planes = s.planes > 0 ? s.planes : 1; planes <= std::min(s.planes > 0 ? s.planes : most, panels); planes++) {
        const int side = blocks / planes; // blocks of a plane at most
        if (side == 0) {
            continue;
        }
        const int least = up(weightRows, (long long) side * TILE_ROWS);
        for (int rounds = least; rounds < least + 4; rounds++) { // tiles of a block
            const int tileRows = up(up(weightRows, (long long) side * rounds), 8) * 8, groups = up(tileRows, 64);
            const int sums = groups <= 2 ? groups * 256 * rows : 0;
            const int fixed = ALIGNMENT + (groups * 64 - tileRows) * PANEL_ROW + sums, stage = 2 * (tileRows + rows) * PANEL_ROW;
            const int fewestStages = groups <= 2 ? 4 : 2; // two a set
            int stages = std::min({STAGES, (room - fixed) / stage, std::max(fewestStages, rounds * up(up(panels, planes), 2))});
            stages -= groups <= 2 ? stages % 2 : 0;
            const double bytes = double(PANEL_ROW) * up(panels, planes) * rounds * (double(tileRows) + rows) +
                                 (planes == 1 ? 0.0 : 8.0 * planes * rows * units / multiprocessors());
            if (tileRows <= TILE_ROWS && stages >= fewestStages && (best.tileRows == 0 || bytes < fewest)) {
                const int used = std::min(side, up(up(weightRows, tileRows), rounds));
                best = {planes, planes * used, tileRows, stages, size_t(fixed) + size_t(stages) * stage};
                fewest = bytes;
            }
        }
    }
    return best;
}

/** What cuTensorMapEncodeTiled makes of bf16 with the 128-byte swizzle and zeros outside. Strides in bytes, of all dimensions but the first. */
template <int RANK>
CUtensorMap tensor_map(const void* base, const cuuint64_t (&dimensions)[RANK], const cuuint64_t (&strides)[RANK - 1], const cuuint32_t (&box)[RANK],
                       CUtensorMapL2promotion promotion) {
    static const auto encode = [] {
        void* function = nullptr;
        cudaDriverEntryPointQueryResult found;
        CHECK_CUDA(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &found));
        return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
    }();
    cuuint32_t ones[RANK];
    std::fill(ones, ones + RANK, 1u);
    CUtensorMap map;
    const CUresult result = encode(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, RANK, const_cast<void*>(base), dimensions, strides, box, ones,
                                   CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, promotion, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    if (result != CUDA_SUCCESS) {
        std::fprintf(stderr, "cuTensorMapEncodeTiled: error %d\n", int(result));
        std::exit(2);
    }
    return map;
}

/** x [bufferRows, I], stride elements apart, for a kernel of `rows`. */
inline CUtensorMap map_of_x(const bf16* x, int bufferRows, int I, int stride, int rows) {
    return tensor_map<2>(x, {cuuint64_t(I), cuuint64_t(bufferRows)}, {cuuint64_t(stride) * 2}, {64, cuuint32_t(rows)},
                         CU_TENSOR_MAP_L2_PROMOTION_L2_256B);
}

/** w [units * pair, I]. */
inline CUtensorMap map_of_w(const bf16* w, int units, int pair, int I, const StreamLaunch& l, CUtensorMapL2promotion promotion) {
    const cuuint64_t row = cuuint64_t(I) * 2;
    if (pair == 1) {
        return tensor_map<2>(w, {cuuint64_t(I), cuuint64_t(units)}, {row}, {64, cuuint32_t(l.tileRows)}, promotion);
    }
    return tensor_map<4>(w, {cuuint64_t(I), 4, 2, cuuint64_t(units) / 4}, {row, row * cuuint64_t(units), row * 4},
                         {64, 4, 2, cuuint32_t(l.tileRows) / 8}, promotion);
}

}  // namespace harness
