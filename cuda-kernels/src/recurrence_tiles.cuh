// The decode recurrence of many sequences on tensor cores: bf16, G = 256, C = 4; see recurrence.cu for the mathematics.
//
// A block takes sixteen channels of a head and SEQUENCES = 8, 16 or 32 sequences. Both gates' weights (16 KiB) come into shared memory
// before the input is there, the head's convolution of all its sequences beside them. The channels are the rows of mma m16n8k16, the
// sequences its columns; a warp has one gate, eight sequences and a part of k. Within 32 elements the k of both operands is permuted alike,
// so that a lane reads 16 contiguous bytes; pieces lie 64 bytes apart modulo 128: no bank conflicts.
//
// Launch: grid (E / 16, ceil(S / SEQUENCES)), block 256, dynamic shared memory TILES_SHARED<SEQUENCES>. gates is aligned to 16 bytes, xy,
// taps, convBias and convState and their rows to pairs of elements.
// Floor, 32 sequences of 2B: 2 us on an H100. Prediction 6 us: launch, the state and the input from L2 (10 MB for 160 blocks), 16 mma, the
// state's way back. Outcome, H200: 8.0 us (8 sequences) and 12.5 us (32).
#pragma once

#include "recurrence.cuh"
#include "tensor_cores.cuh"

constexpr int GATE_PITCH = FAST_WIDTH + 32; // 64 bytes more: rows shift by half of the banks
constexpr int GATE_STEPS = FAST_WIDTH / 32; // of 32 elements, two mma each
constexpr int RECURRENCE_WARPS = RECURRENCE_THREADS / WARP;
constexpr int PAIRS = FAST_WIDTH / 2;

template <int SEQUENCES>
constexpr int TILES_SHARED = (2 * CHANNELS + SEQUENCES) * GATE_PITCH * 2 + RECURRENCE_WARPS * 8 * CHANNELS * 4;
static_assert(TILES_SHARED<8> == 32 * 576 + 4096 + 8 * 576 && TILES_SHARED<32> == 32 * 576 + 4096 + 32 * 576, "the host asks for these");

/** A block's place: sixteen channels from `channel` on, of head `head`; `live` sequences from `first` on. */
template <int SEQUENCES> struct RecurrenceTile {
    bf16* weights; // [2 gates, 16 channels, GATE_PITCH]
    bf16* conv;    // [SEQUENCES, GATE_PITCH]
    float* part;   // [SPLITS, 2 gates, SEQUENCES, 16 channels]
    int *slots, *positions;
    int head, slice, first, live;

    static constexpr int SPLITS = RECURRENCE_WARPS * 8 / 2 / SEQUENCES;

    __device__ __forceinline__ int channel() const { return head * FAST_WIDTH + slice * CHANNELS; }
};

/** The weights' way to shared memory; it needs nothing but them. */
template <int SEQUENCES> __device__ __forceinline__ void fetch_gates(const Recurrence<bf16>& a, const RecurrenceTile<SEQUENCES>& t) {
    const int heads = a.E / FAST_WIDTH;
    for (int i = threadIdx.x; i < 2 * CHANNELS * FAST_WIDTH / 8; i += RECURRENCE_THREADS) {
        const int row = i / (FAST_WIDTH / 8), k = i % (FAST_WIDTH / 8) * 8, gate = row / CHANNELS;
        copy_async(t.weights + row * GATE_PITCH + k,
                   a.gates + (size_t(gate * heads + t.head) * FAST_WIDTH + t.slice * CHANNELS + row % CHANNELS) * FAST_WIDTH + k);
    }
    commit_copies();
}

/** A thread's pair of channels of the head in half of the sequences: the even or the odd ones. */
template <int SEQUENCES> struct PairOfChannels {
    static constexpr int MINE = SEQUENCES / (RECURRENCE_THREADS / PAIRS), HISTORY = FAST_TAPS - 1;
    float2 tap[FAST_TAPS], bias;
    unsigned past[MINE][HISTORY], newest[MINE];
    int pair, half, channel;

    __device__ __forceinline__ int sequence(int i) const { return 2 * i + half; }

    /** Weights, and the state: what the program before left may be read before the wait. */
    __device__ __forceinline__ void load_state(const Recurrence<bf16>& a, const RecurrenceTile<SEQUENCES>& t) {
        pair = threadIdx.x % PAIRS, half = threadIdx.x / PAIRS, channel = t.head * FAST_WIDTH + 2 * pair;
#pragma unroll
        for (int k = 0; k < FAST_TAPS; k++) {
            tap[k] = __ldg(reinterpret_cast<const float2*>(a.taps + k * a.E + channel));
        }
        bias = __ldg(reinterpret_cast<const float2*>(a.convBias + channel));
#pragma unroll
        for (int i = 0; i < MINE; i++) {
            const int slot = t.slots[sequence(i)];
#pragma unroll
            for (int k = 0; k < HISTORY; k++) {
                const bf16* row = a.convState + (size_t(max(slot, 0)) * HISTORY + k) * a.E + channel;
                const bool there = slot >= 0 && HISTORY - k <= t.positions[sequence(i)];
                past[i][k] = there ? __ldcg(reinterpret_cast<const unsigned*>(row)) : 0u;
            }
        }
    }

    __device__ __forceinline__ void load_input(const Recurrence<bf16>& a, const RecurrenceTile<SEQUENCES>& t) {
#pragma unroll
        for (int i = 0; i < MINE; i++) {
            const bf16* row = a.xy + size_t(t.first + sequence(i)) * a.xyStride + channel;
            newest[i] = sequence(i) < t.live ? __ldcg(reinterpret_cast<const unsigned*>(row)) : 0u;
        }
    }

    __device__ __forceinline__ void convolve(const RecurrenceTile<SEQUENCES>& t) const {
#pragma unroll
        for (int i = 0; i < MINE; i++) {
            float2 c = bias;
#pragma unroll
            for (int k = 0; k < FAST_TAPS; k++) {
                const unsigned v = k < HISTORY ? past[i][k < HISTORY ? k : 0] : newest[i];
                c.x = fmaf(tap[k].x, low_half(v), c.x);
                c.y = fmaf(tap[k].y, high_half(v), c.y);
            }
            *reinterpret_cast<unsigned*>(t.conv + sequence(i) * GATE_PITCH + 2 * pair) = pack_pair(c.x, c.y);
        }
    }

    /** The state moves on by a row. */
    __device__ __forceinline__ void shift(const Recurrence<bf16>& a, const RecurrenceTile<SEQUENCES>& t) const {
#pragma unroll
        for (int i = 0; i < MINE; i++) {
            if (sequence(i) < t.live) {
                unsigned* state = reinterpret_cast<unsigned*>(a.convState + size_t(t.slots[sequence(i)]) * HISTORY * a.E + channel);
#pragma unroll
                for (int k = 0; k < HISTORY; k++) {
                    state[size_t(k) * a.E / 2] = k + 1 < HISTORY ? past[i][k + 1 < HISTORY ? k + 1 : 0] : newest[i];
                }
            }
        }
    }
};

/** This warp's sums over its part of k, for one gate and eight sequences. */
template <int SEQUENCES> __device__ __forceinline__ void multiply_gates(const RecurrenceTile<SEQUENCES>& t) {
    constexpr int SPLITS = RecurrenceTile<SEQUENCES>::SPLITS, GROUPS = SEQUENCES / 8;
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, g = lane / 4, q = lane % 4;
    const int gate = warp % 2, group = warp / 2 % GROUPS, split = warp / 2 / GROUPS;
    const bf16* weights = t.weights + (gate * CHANNELS + g) * GATE_PITCH + q * 8;
    const bf16* conv = t.conv + (group * 8 + g) * GATE_PITCH + q * 8;
    float even[4] = {}, odd[4] = {};
#pragma unroll
    for (int i = 0; i < GATE_STEPS / SPLITS; i++) {
        const int k = (split * (GATE_STEPS / SPLITS) + i) * 32;
        const uint4 a = *reinterpret_cast<const uint4*>(weights + k);
        const uint4 b = *reinterpret_cast<const uint4*>(weights + 8 * GATE_PITCH + k);
        const uint4 x = *reinterpret_cast<const uint4*>(conv + k);
        mma_bf16(even, a.x, b.x, a.y, b.y, x.x, x.y);
        mma_bf16(odd, a.z, b.z, a.w, b.w, x.z, x.w);
    }
    float* part = t.part + ((split * 2 + gate) * SEQUENCES + group * 8 + 2 * q) * CHANNELS + g;
    part[0] = even[0] + odd[0];
    part[CHANNELS] = even[1] + odd[1];
    part[8] = even[2] + odd[2];
    part[CHANNELS + 8] = even[3] + odd[3];
}

/** A thread's channel of the block's sixteen in some of the sequences: what comes after the gates. */
template <int SEQUENCES> struct OwnChannel {
    static constexpr int STEP = RECURRENCE_THREADS / CHANNELS, MINE = (SEQUENCES + STEP - 1) / STEP;
    GateConstants constants;
    float before[MINE], y[MINE];
    int mine, start;

    __device__ __forceinline__ void load_state(const Recurrence<bf16>& a, const RecurrenceTile<SEQUENCES>& t) {
        mine = threadIdx.x % CHANNELS, start = threadIdx.x / CHANNELS;
        constants = gate_constants(a, t.channel() + mine);
#pragma unroll
        for (int i = 0; i < MINE; i++) {
            const int s = start + i * STEP;
            before[i] = s < t.live ? __ldcg(a.h + size_t(t.slots[s]) * a.E + t.channel() + mine) : 0.0f;
        }
    }

    __device__ __forceinline__ void load_input(const Recurrence<bf16>& a, const RecurrenceTile<SEQUENCES>& t) {
#pragma unroll
        for (int i = 0; i < MINE; i++) {
            const int s = start + i * STEP;
            y[i] = s < t.live ? load_fresh(a.xy + size_t(t.first + s) * a.xyStride + a.E + t.channel() + mine) : 0.0f;
        }
    }

    __device__ __forceinline__ void finish(const Recurrence<bf16>& a, const RecurrenceTile<SEQUENCES>& t) const {
        constexpr int SPLITS = RecurrenceTile<SEQUENCES>::SPLITS, GATE = SEQUENCES * CHANNELS;
#pragma unroll
        for (int i = 0; i < MINE; i++) {
            const int s = start + i * STEP;
            if (s < t.live) {
                float inputSum = 0, decaySum = 0;
#pragma unroll
                for (int j = 0; j < SPLITS; j++) {
                    inputSum += t.part[2 * j * GATE + s * CHANNELS + mine];
                    decaySum += t.part[(2 * j + 1) * GATE + s * CHANNELS + mine];
                }
                recur(a, t.first + s, t.slots[s], t.positions[s] == 0, t.channel() + mine,
                      to_float(t.conv[s * GATE_PITCH + t.slice * CHANNELS + mine]), inputSum, decaySum, constants, before[i], y[i]);
            }
        }
    }
};

template <int SEQUENCES> __device__ __forceinline__ void recurrence_tiles(const Recurrence<bf16>& a) {
    extern __shared__ __align__(16) unsigned char tileShared[];
    __shared__ int slots[SEQUENCES], positions[SEQUENCES];
    __shared__ bool last;
    bf16* weights = reinterpret_cast<bf16*>(tileShared);
    bf16* conv = weights + 2 * CHANNELS * GATE_PITCH;
    const int first = int(blockIdx.y) * SEQUENCES;
    const RecurrenceTile<SEQUENCES> t{weights, conv, reinterpret_cast<float*>(conv + SEQUENCES * GATE_PITCH), slots, positions,
                                      int(blockIdx.x) / SLICES, int(blockIdx.x) % SLICES, first, min(a.step.sequences() - first, SEQUENCES)};
    if (t.live <= 0) {
        pdl_wait();
        return;
    }
    fetch_gates(a, t);
    if (int(threadIdx.x) < SEQUENCES) {
        const bool lives = int(threadIdx.x) < t.live;
        slots[threadIdx.x] = lives ? __ldcg(a.step.slots + first + threadIdx.x) : -1;
        positions[threadIdx.x] = lives ? __ldcg(a.step.positions + first + threadIdx.x) : 0;
    }
    __syncthreads();
    PairOfChannels<SEQUENCES> pair;
    OwnChannel<SEQUENCES> own;
    pair.load_state(a, t);
    own.load_state(a, t);
    pdl_wait();
    pair.load_input(a, t);
    own.load_input(a, t);
    pair.convolve(t);
    await_copies<0>();
    __syncthreads();

    // All of this block have read the head's state. One count serves its sequences, since all blocks of the head take the same; the answer
    // is not needed before the products are done.
    int* counter = a.arrivals + size_t(blockIdx.y) * (a.E / FAST_WIDTH) + t.head;
    int arrived = 0;
    if (threadIdx.x == 0) {
        arrived = atomicAdd(counter, 1);
    }
    multiply_gates(t);
    if (threadIdx.x == 0) {
        last = arrived == SLICES - 1;
        if (last) {
            *counter = 0;
        }
    }
    __syncthreads();
    own.finish(a, t);
    if (last) {
        pair.shift(a, t);
    }
}
