// What the forms of local attention share (mathematics in window_attention.cu): tiles of items, where keys lie, the band, the online
// softmax on accumulators of the tensor cores.
#pragma once

#include "prefill.cuh"

namespace {

/** A tile of items of one sequence. Row numbers are the step's; items from 0 at the sequence's first row. */
struct Tile {
    int start, end;       // rows of the sequence
    int firstItem, items; // items of the tile, of the sequence altogether
    int firstRow, lastRow;
    int slot, position;   // of the sequence's first row
};

__device__ Tile tile_of(const Step& step, int number, int tileItems, int heads) {
    Tile t;
    int q = sequence_of(step, number, tileItems, heads);
    t.start = step.rowStarts[q];
    t.end = step.rowStarts[q + 1];
    t.items = (t.end - t.start) * heads;
    t.firstItem = (number - first_tile(step, q, tileItems, heads)) * tileItems;
    t.firstRow = t.start + t.firstItem / heads;
    t.lastRow = t.start + (min(t.firstItem + tileItems, t.items) - 1) / heads;
    t.slot = step.slots[q];
    t.position = step.positions[t.start];
    return t;
}

/**
 * The block's tile: the last first. Blocks start in the order of their numbers, and the later a tile in its sequence, the more keys it
 * sees, until the window is full: so the longest start first, and the short ones fill what is left at the end.
 */
__device__ __forceinline__ int tile_number() { return gridDim.x - 1 - blockIdx.x; }

__device__ int lowest(const Step& step, int row, int window) {
    return row - min(step.positions[row], window);
}

template <typename T> struct Attention {
    const T* qkv;
    const T* keys;
    const T* values;
    T* out;
    int stride, outStride, heads, width, window;
};

/** Key (part 0) or value (part 1) of row j: of the step, or of the ring when it is before the sequence's first row. */
template <typename T> __device__ const T* key_row(const Attention<T>& a, const Tile& t, int j, int part) {
    if (j >= t.start) {
        return a.qkv + (size_t) j * a.stride + (a.heads + part) * a.width;
    }
    return (part == 0 ? a.keys : a.values) + ((size_t) t.slot * a.window + (t.position - (t.start - j)) % a.window) * a.width;
}

/** Which keys the lane's two items see, and which keys the tile needs. `item`: the first of the two, the other is 8 further. */
struct Band {
    int low[2], high[2];
    int from;              // the first key of the tile
    int allFrom, allTo;    // keys that every item of the tile sees

    template <class T> __device__ Band(const Step& step, const Attention<T>& a, const Tile& t, int item) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            high[half] = t.start + min(item + 8 * half, t.items - 1) / a.heads;
            low[half] = lowest(step, high[half], a.window);
        }
        from = lowest(step, t.firstRow, a.window);
        allFrom = lowest(step, t.lastRow, a.window);
        allTo = t.firstRow;
    }

    /** Whether some item does not see some of the keys. */
    __device__ bool cuts(int j0, int keys) const {
        return j0 < allFrom || j0 + keys - 1 > allTo;
    }
};

/** Scores s [16, KEYS] and sums [16, K] of a warp, as mma.sync and wgmma lay them out: lane l has rows l / 4 and l / 4 + 8. */
template <int K, int KEYS> struct OnlineSoftmax {
    /** Turns scores into weights relative to the running maximum; what was summed under the old one is to be scaled by `rescale`. */
    static __device__ void weigh(float (&s)[KEYS / 8][4], float (&highest)[2], float (&total)[2], float (&rescale)[2], float scale) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float top = highest[half];
#pragma unroll
            for (int n = 0; n < KEYS / 8; n++) {
                top = fmaxf(top, fmaxf(s[n][2 * half], s[n][2 * half + 1]));
            }
            top = fmaxf(top, __shfl_xor_sync(ALL_LANES, top, 1));
            top = fmaxf(top, __shfl_xor_sync(ALL_LANES, top, 2));
            float base = top == -INFINITY ? 0 : top * scale;
            rescale[half] = exp2_fast(highest[half] * scale - base);
            highest[half] = top;
            float added = 0;
#pragma unroll
            for (int n = 0; n < KEYS / 8; n++) {
#pragma unroll
                for (int i = 2 * half; i < 2 * half + 2; i++) {
                    s[n][i] = exp2_fast(fmaf(s[n][i], scale, -base));
                    added += s[n][i];
                }
            }
            total[half] = total[half] * rescale[half] + added;
        }
    }

    static __device__ void rescale_sums(float (&sum)[K / 8][4], const float (&rescale)[2]) {
        if (__any_sync(ALL_LANES, rescale[0] != 1 || rescale[1] != 1)) {
#pragma unroll
            for (int d = 0; d < K / 8; d++) {
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    sum[d][i] *= rescale[i / 2];
                }
            }
        }
    }

    static __device__ void mask(float (&s)[KEYS / 8][4], int j0, const Band& band, int lane) {
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                int j = j0 + n * 8 + lane % 4 * 2 + i % 2;
                if (j < band.low[i / 2] || j > band.high[i / 2]) {
                    s[n][i] = -INFINITY;
                }
            }
        }
    }

    static __device__ void store(const Attention<bf16>& a, const Tile& t, const float (&sum)[K / 8][4], const float (&total)[2],
            int firstItem, int lane) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float all = total[half];
            all += __shfl_xor_sync(ALL_LANES, all, 1);
            all += __shfl_xor_sync(ALL_LANES, all, 2);
            int item = firstItem + 8 * half;
            if (item < t.items) {
                bf16* out = a.out + (size_t) (t.start + item / a.heads) * a.outStride + item % a.heads * K + lane % 4 * 2;
#pragma unroll
                for (int d = 0; d < K / 8; d++) {
                    *(unsigned*) (out + d * 8) = pack_pair(sum[d][2 * half] / all, sum[d][2 * half + 1] / all);
                }
            }
        }
    }
};

} // namespace
