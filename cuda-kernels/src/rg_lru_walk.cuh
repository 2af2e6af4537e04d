// Which block of rg_lru.cu walks over which chunks. Included by rg_lru.cu only.
//
// A job is a sequence's strip: its chunks one after the other. All jobs are lined up, sequence by sequence, in a sequence strip by strip,
// and the line is cut into shares of equal length, at least as long as the longest job (McNaughton's wrap-around rule): block m takes the
// places [m share, (m + 1) share) from left to right. So a job is cut once at most, and then its places are rotated: those right of the
// cut, which block m + 1 takes first, are the job's first chunks; those left of the cut, which block m takes last, are its last ones. The
// first part therefore waits for nothing, and it is done before block m comes to the second, as a job is no longer than a share.
#pragma once

#include "prefill.cuh"

namespace {

constexpr int STRIP = 16;    // channels
constexpr int CHUNK = 128;   // rows
constexpr int MOST_WARPS = 16;

/** How the line is cut, and what this block has of it. */
struct Share {
    int strips, length;
    int items;   // of this block
};

/** Chunks of all sequences together, and of the longest. */
struct Chunks {
    int all, longest;
};

/** A place in the line: `offset` from the first place of the sequence's first strip. */
struct Place {
    int sequence, offset;
};

__device__ __forceinline__ int chunks_of(const Step& step, int sequence) {
    return (step.rowStarts[sequence + 1] - step.rowStarts[sequence] + CHUNK - 1) / CHUNK;
}

/**
 * Counts the chunks; finds the place of a number in the line, if it lies in it. For all threads of a block, a multiple of 32; `found` is
 * shared, and all may read it afterwards.
 */
__device__ __forceinline__ Chunks count_chunks(const Step& step, int strips, int number, Place* found) {
    __shared__ int sums[MOST_WARPS], most[MOST_WARPS];
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, warps = blockDim.x / WARP;
    Chunks chunks = {0, 0};
    for (int first = 0; first < step.counts[1]; first += blockDim.x) {
        int q = first + threadIdx.x;
        int mine = q < step.counts[1] ? chunks_of(step, q) : 0;
        int upTo = mine, longest = mine;
#pragma unroll
        for (int distance = 1; distance < WARP; distance *= 2) {
            int before = __shfl_up_sync(ALL_LANES, upTo, distance);
            upTo += lane >= distance ? before : 0;
            longest = max(longest, __shfl_xor_sync(ALL_LANES, longest, distance));
        }
        if (lane == WARP - 1) {
            sums[warp] = upTo;
            most[warp] = longest;
        }
        __syncthreads();
        upTo += chunks.all;
        for (int w = 0; w < warps; w++) {
            upTo += w < warp ? sums[w] : 0;
            chunks.all += sums[w];
            chunks.longest = max(chunks.longest, most[w]);
        }
        int from = (upTo - mine) * strips;
        if (from <= number && number < upTo * strips) {
            *found = {q, number - from};
        }
        __syncthreads();
    }
    return chunks;
}

/** Where the carry into an item comes from and where the carry out of it goes to, other than the items beside it in the walk. */
enum Ends {
    BEGINS = 1,       // in from the sequence's state
    TAKES_OVER = 2,   // in from the next block
    FINISHES = 4,     // out to the sequence's state
    HANDS_OVER = 8    // out to the block before
};

/** A chunk of a strip. */
struct alignas(16) Item {
    int sequence, channel;   // the strip's first
    int from, rows;
    int number;              // in the walk
    int ends;
};

/** A walk over a block's items. */
struct Walk {
    int number;
    int sequence, strip;
    int start, end;       // rows of the sequence
    int chunks, offset;   // of the job; places before the item
    int shift;            // from the offset to the chunk: not 0 in a job that is cut

    __device__ __forceinline__ Item item() const {
        int chunk = offset + shift, from = start + chunk * CHUNK;
        int ends = chunk == 0 ? BEGINS : offset == 0 ? TAKES_OVER : 0;
        ends |= chunk == chunks - 1 ? FINISHES : offset == chunks - 1 ? HANDS_OVER : 0;
        return {sequence, strip * STRIP, from, min(end - from, CHUNK), number, ends};
    }
};

__device__ __forceinline__ void enter_sequence(const Step& step, int sequence, Walk& w) {
    w.sequence = sequence;
    w.start = step.rowStarts[sequence];
    w.end = step.rowStarts[sequence + 1];
    w.chunks = (w.end - w.start + CHUNK - 1) / CHUNK;
}

/** Sets the shift of a job. */
__device__ __forceinline__ void turn(const Share& share, Walk& w) {
    int begin = w.number - w.offset;   // the job's first place, from the share's
    w.shift = begin < 0 ? begin : max(begin + w.chunks - share.length, 0);
}

/** Goes on by some items; behind the last item of the share only its number is right. */
__device__ __forceinline__ void advance_walk(const Step& step, const Share& share, int by, Walk& w) {
    w.number += by;
    w.offset += by;
    if (w.offset < w.chunks || w.number >= share.items) {
        return;
    }
    do {
        w.offset -= w.chunks;
        if (++w.strip == share.strips) {
            w.strip = 0;
            do {
                enter_sequence(step, w.sequence + 1, w);
            } while (w.chunks == 0);
        }
    } while (w.offset >= w.chunks);
    turn(share, w);
}

/** The walk at an item of a share that begins at `place`. */
__device__ __forceinline__ Walk start_walk(const Step& step, const Share& share, Place place, int item) {
    Walk w;
    w.number = 0;
    enter_sequence(step, place.sequence, w);
    w.strip = place.offset / w.chunks;
    w.offset = place.offset % w.chunks;
    turn(share, w);
    advance_walk(step, share, item, w);
    return w;
}

} // namespace
