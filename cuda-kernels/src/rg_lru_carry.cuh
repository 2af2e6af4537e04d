// The carrying warps of rg_lru.cu: each takes the carry into a tile of its group from the mail, or from the cluster before, sends the carry
// out on, and tells the group's warps theirs. Included by rg_lru.cu only.
#pragma once

#include "rg_lru_stage.cuh"

namespace {

/**
 * A group's carrying warp. Between the mail that comes and the mail that goes there is one fma: the tile's map is composed before.
 *
 * Tile n's mail is for the group that works on tile n, in the block that has it, and there is one for every tile but the first of the
 * cluster's walk: into a sequence's first tile it carries nothing, but it says that all before have come. So no mail is written over before
 * it is read: the next to the same group, tile m's, is sent by the carrying warp of m - 1, which had mail before, which was sent by that of
 * m - 2, which had mail before, and so on to n; and a lane reads its part of one mail before it sends its part of the next. Were a sequence's
 * first tile to send without having had its own, a block of nothing but first tiles would run far ahead of the others.
 */
template <typename T> __device__ __forceinline__ void carry(const Scan<T>& s, const Room<T>& room, int group) {
    constexpr int EACH = LANE_CHANNELS<T>, MAIL_BYTES = WARP * EACH * sizeof(float);
    using Values = typename Gate<T>::Values;
    int lane = threadIdx.x % WARP, at = lane * EACH, round = 0;
    Control<T>& control = *room.control;
    bool wraps = room.rank == room.blocks - 1;   // tile n + 1 is the next block's, or the first's and the next group's
    int nextRank = wraps ? 0 : room.rank + 1, nextGroup = wraps ? (group + 1) % room.groups : group;
    unsigned to = address_in(&control.mail[nextGroup][at], nextRank), toBarrier = address_in(&control.mailed[nextGroup], nextRank);
    int expected = room.rank == 0 && group == 0 ? 0 : MAIL_BYTES;
    Turn turn = {group, 0};
    for (;; turn.advance(room.groups, room.stageCount + 1), round ^= 1) {
        await(&control.full[turn.at], turn.parity);
        const Tile& tile = control.tiles[turn.at];
        if (tile.rows == 0) {
            return;
        }
        bool first = tile.first, last = tile.last, end = tile.end, taken = tile.taken, handed = tile.handed;
        int channel = tile.channel + at, live = min(s.width - channel, EACH);
        float* state = s.h + (size_t) tile.slot * s.width + channel;
        if (lane == 0) {
            expect_mail(&control.mailed[group], expected, room.blocks == 1);
        }
        __syncwarp(); // see barriers.cuh
        expected = MAIL_BYTES;
        float carry[EACH] = {}, product[EACH], local[EACH], after[EACH];
        if (first) {
#pragma unroll
            for (int c = 0; c < EACH; c++) {
                carry[c] = c < live ? load_fresh(state + c) : 0;
            }
        }
        await(&control.totalled[group], round);
        float a[WARPS][EACH], b[WARPS][EACH];
#pragma unroll
        for (int w = 0; w < WARPS; w++) {
            *(Values*) a[w] = *(const Values*) &control.a[group][w][at];
            *(Values*) b[w] = *(const Values*) &control.b[group][w][at];
        }
#pragma unroll
        for (int c = 0; c < EACH; c++) {
            product[c] = 1, local[c] = 0;
#pragma unroll
            for (int w = 0; w < WARPS; w++) {
                product[c] *= a[w][c];
                local[c] = fmaf(a[w][c], local[c], b[w][c]);
            }
        }
        await(&control.mailed[group], round);
        if (taken) {
#pragma unroll
            for (int c = 0; c < EACH; c++) {
                carry[c] = take_over(room.before() + at + c);
            }
        } else if (!first) {
            *(Values*) carry = *(const Values*) &control.mail[group][at];
        }
#pragma unroll
        for (int c = 0; c < EACH; c++) {
            after[c] = fmaf(product[c], carry[c], local[c]);
        }
        if (!end) {
            send_mail(to, toBarrier, &control.mailed[nextGroup], *(const Values*) after, room.blocks == 1);
        }
#pragma unroll
        for (int c = 0; c < EACH; c++) {
            if (last && c < live) {
                state[c] = after[c];
            }
            if (handed) {
                hand_over(room.after() + at + c, after[c]);
            }
        }
#pragma unroll
        for (int w = 0; w < WARPS; w++) {
            *(Values*) &control.carries[group][w][at] = *(const Values*) carry;
#pragma unroll
            for (int c = 0; c < EACH; c++) {
                carry[c] = fmaf(a[w][c], carry[c], b[w][c]);
            }
        }
        arrive_warp(&control.carried[group]);
    }
}

} // namespace
