// The decode recurrence of many sequences on tensor cores: bf16, G = 256, C = 4; see recurrence.cu for the mathematics.
//
// A block takes sixteen channels of a head and 8 TILES sequences. Both gates' weights (16 KiB) come into shared memory before the input
// is there, the head's convolution of all its sequences beside them. The channels are the rows of mma m16n8k16, the sequences its columns;
// a warp has one gate, one tile of eight sequences and a part of k. Within 32 elements the k of both operands is permuted alike, so
// that a lane reads 16 contiguous bytes; pieces lie 64 bytes apart modulo 128: no bank conflicts.
//
// Launch: grid (E / 16, ceil(S / (8 TILES))), block 256, dynamic shared memory TILES_SHARED<TILES>. xy, xyStride, convState, gates and E
// are such that rows can be read by 16 bytes (gates) and by pairs (the others).
// Floor, 32 sequences on an H100, 2B: 2 us. Prediction 6 us: launch, the state and the input from L2 (10 MB for 160 blocks), 16 mma, the
// state's way back.
#pragma once

#include "recurrence.cuh"

constexpr int TILE_SEQUENCES = 8;
constexpr int TILE_PITCH = FAST_WIDTH + 32; // 64 bytes more: rows shift by half of the banks
constexpr int TILE_STEPS = FAST_WIDTH / 32; // of 32 elements, two mma each
constexpr int TILE_WARPS = RECURRENCE_THREADS / WARP;

template <int TILES>
constexpr int TILES_SHARED = (2 * CHANNELS + TILES * TILE_SEQUENCES) * TILE_PITCH * 2 + TILE_WARPS * TILE_SEQUENCES * CHANNELS * 4;

__device__ __forceinline__ void copy16_async(bf16* to, const bf16* from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(unsigned(__cvta_generic_to_shared(to))), "l"(from));
}

__device__ __forceinline__ void mma_gates(float (&c)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0, unsigned b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

/** This warp's sums into its part [8 sequences][16 channels]. */
template <int SPLITS>
__device__ __forceinline__ void multiply_gates(const bf16* weights, const bf16* conv, int split, float* part) {
    const int lane = threadIdx.x % WARP, g = lane / 4, q = lane % 4;
    float even[4] = {}, odd[4] = {};
#pragma unroll
    for (int i = 0; i < TILE_STEPS / SPLITS; i++) {
        const int k = (split * (TILE_STEPS / SPLITS) + i) * 32 + q * 8;
        const uint4 a = *reinterpret_cast<const uint4*>(weights + g * TILE_PITCH + k);
        const uint4 b = *reinterpret_cast<const uint4*>(weights + (g + 8) * TILE_PITCH + k);
        const uint4 x = *reinterpret_cast<const uint4*>(conv + g * TILE_PITCH + k);
        mma_gates(even, a.x, b.x, a.y, b.y, x.x, x.y);
        mma_gates(odd, a.z, b.z, a.w, b.w, x.z, x.w);
    }
    float* first = part + 2 * q * CHANNELS + g;
    first[0] = even[0] + odd[0];
    first[CHANNELS] = even[1] + odd[1];
    first[8] = even[2] + odd[2];
    first[CHANNELS + 8] = even[3] + odd[3];
}

/** A pair of channels' past rows and newest row of one sequence. */
struct PairHistory {
    unsigned past[FAST_TAPS - 1], newest;
};

template <int TILES> __device__ __forceinline__ void recurrence_tiles(const Recurrence<bf16>& a) {
    constexpr int SEQUENCES = TILES * TILE_SEQUENCES, SPLITS = TILE_WARPS / 2 / TILES, HISTORY = FAST_TAPS - 1;
    constexpr int SLICES = FAST_WIDTH / CHANNELS, PAIRS = FAST_WIDTH / 2, MINE = SEQUENCES / (RECURRENCE_THREADS / PAIRS);
    constexpr int FINISHED = (SEQUENCES * CHANNELS + RECURRENCE_THREADS - 1) / RECURRENCE_THREADS;
    extern __shared__ __align__(16) unsigned char tileShared[];
    bf16* weights = reinterpret_cast<bf16*>(tileShared);       // [2 gates, 16 channels, TILE_PITCH]
    bf16* conv = weights + 2 * CHANNELS * TILE_PITCH;          // [SEQUENCES, TILE_PITCH]
    float* part = reinterpret_cast<float*>(conv + SEQUENCES * TILE_PITCH); // [SPLITS, 2 gates, SEQUENCES, 16 channels]
    __shared__ int slots[SEQUENCES], positions[SEQUENCES];

    const int head = blockIdx.x / SLICES, slice = blockIdx.x % SLICES, heads = a.E / FAST_WIDTH;
    for (int i = threadIdx.x; i < 2 * CHANNELS * FAST_WIDTH / 8; i += RECURRENCE_THREADS) {
        const int row = i / (FAST_WIDTH / 8), k = i % (FAST_WIDTH / 8) * 8, gate = row / CHANNELS;
        copy16_async(weights + row * TILE_PITCH + k,
                     a.gates + (size_t(gate * heads + head) * FAST_WIDTH + slice * CHANNELS + row % CHANNELS) * FAST_WIDTH + k);
    }
    asm volatile("cp.async.commit_group;");

    const int first = int(blockIdx.y) * SEQUENCES, live = min(a.step.sequences() - first, SEQUENCES);
    if (live <= 0) {
        asm volatile("cp.async.wait_all;");
        pdl_wait();
        return;
    }
    if (int(threadIdx.x) < SEQUENCES) {
        const bool lives = int(threadIdx.x) < live;
        slots[threadIdx.x] = lives ? __ldcg(a.step.slots + first + threadIdx.x) : -1;
        positions[threadIdx.x] = lives ? __ldcg(a.step.positions + first + threadIdx.x) : 0;
    }
    __syncthreads();

    // Half of the threads take the even sequences, half the odd ones; each a pair of channels.
    const int pair = threadIdx.x % PAIRS, half = threadIdx.x / PAIRS, channel = head * FAST_WIDTH + 2 * pair;
    float2 tap[FAST_TAPS];
#pragma unroll
    for (int k = 0; k < FAST_TAPS; k++) {
        tap[k] = __ldg(reinterpret_cast<const float2*>(a.taps + k * a.E + channel));
    }
    const float2 bias = __ldg(reinterpret_cast<const float2*>(a.convBias + channel));
    // The state is what the program before left: it may be read before the wait.
    PairHistory x[MINE];
#pragma unroll
    for (int i = 0; i < MINE; i++) {
        const int s = 2 * i + half, slot = slots[s];
#pragma unroll
        for (int k = 0; k < HISTORY; k++) {
            const bf16* row = a.convState + (size_t(max(slot, 0)) * HISTORY + k) * a.E + channel;
            x[i].past[k] = slot < 0 || HISTORY - k > positions[s] ? 0u : __ldcg(reinterpret_cast<const unsigned*>(row));
        }
    }
    float before[FINISHED], y[FINISHED];
#pragma unroll
    for (int i = 0; i < FINISHED; i++) {
        const int at = i * RECURRENCE_THREADS + threadIdx.x, s = at / CHANNELS;
        const bool lives = s < live;
        before[i] = lives ? __ldcg(a.h + size_t(slots[s]) * a.E + head * FAST_WIDTH + slice * CHANNELS + at % CHANNELS) : 0.0f;
    }
    pdl_wait();
#pragma unroll
    for (int i = 0; i < MINE; i++) {
        const int s = 2 * i + half;
        x[i].newest = s < live ? __ldcg(reinterpret_cast<const unsigned*>(a.xy + size_t(first + s) * a.xyStride + channel)) : 0u;
    }
#pragma unroll
    for (int i = 0; i < FINISHED; i++) {
        const int at = i * RECURRENCE_THREADS + threadIdx.x, s = at / CHANNELS;
        y[i] = s < live ? load_fresh(a.xy + size_t(first + s) * a.xyStride + a.E + head * FAST_WIDTH + slice * CHANNELS + at % CHANNELS)
                        : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < MINE; i++) {
        float2 c = bias;
#pragma unroll
        for (int k = 0; k < FAST_TAPS; k++) {
            const unsigned v = k < HISTORY ? x[i].past[k < HISTORY ? k : 0] : x[i].newest;
            c.x = fmaf(tap[k].x, low_half(v), c.x);
            c.y = fmaf(tap[k].y, high_half(v), c.y);
        }
        *reinterpret_cast<unsigned*>(conv + (2 * i + half) * TILE_PITCH + 2 * pair) = pack_pair(c.x, c.y);
    }
    asm volatile("cp.async.wait_all;");
    __syncthreads();

    // One count serves all sequences of a block: all its head's blocks take the same.
    const bool last = last_to_arrive(a.arrivals + size_t(blockIdx.y) * heads + head, 0, SLICES) != 0;
    const int warp = threadIdx.x / WARP, gate = warp % 2, tile = warp / 2 % TILES, split = warp / 2 / TILES;
    multiply_gates<SPLITS>(weights + gate * CHANNELS * TILE_PITCH, conv + tile * TILE_SEQUENCES * TILE_PITCH, split,
                           part + ((split * 2 + gate) * SEQUENCES + tile * TILE_SEQUENCES) * CHANNELS);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < FINISHED; i++) {
        const int at = i * RECURRENCE_THREADS + threadIdx.x, s = at / CHANNELS, mine = slice * CHANNELS + at % CHANNELS;
        if (s < live) {
            float inputSum = 0, decaySum = 0;
#pragma unroll
            for (int j = 0; j < SPLITS; j++) {
                inputSum += part[2 * j * SEQUENCES * CHANNELS + at];
                decaySum += part[(2 * j + 1) * SEQUENCES * CHANNELS + at];
            }
            recur(a, first + s, slots[s], positions[s] == 0, head * FAST_WIDTH + mine, to_float(conv[s * TILE_PITCH + mine]), inputSum,
                  decaySum, before[i], y[i]);
        }
    }
    if (last) {
#pragma unroll
        for (int i = 0; i < MINE; i++) {
            const int s = 2 * i + half;
            if (s < live) {
                unsigned* state = reinterpret_cast<unsigned*>(a.convState + size_t(slots[s]) * HISTORY * a.E + channel);
#pragma unroll
                for (int k = 0; k < HISTORY; k++) {
                    state[size_t(k) * a.E / 2] = k + 1 < HISTORY ? x[i].past[k + 1 < HISTORY ? k + 1 : 0] : x[i].newest;
                }
            }
        }
    }
}
