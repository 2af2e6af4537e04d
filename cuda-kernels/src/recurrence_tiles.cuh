// The recurrent block of a decode step for several sequences, bf16, G = 256, C = 4: see recurrence.cu.
//
// A block has sixteen channels of a head and N sequences. Both gates' products are m16n8k16: the channels are the rows, the sequences the
// columns. A warp has one gate and 32 STEPS of the head's inputs; its weights wait in registers before the input is there. Every block of
// the head does the convolution of all its 256 channels: sixteenfold work, but no exchange between blocks.
//
// A sum over the 256 inputs is eight sums of 32, added as a balanced tree in registers first, then over the warps. So the bits depend
// neither on N nor on the sequence's place.
//
// Within 32 inputs the k of both operands is permuted alike, so that a lane reads 16 contiguous bytes: lane (g, q) holds inputs
// 8 q .. 8 q + 7 of channels g and g + 8 and of sequence g.
#pragma once

#include "recurrence.cuh"

constexpr int GATES = 2;
constexpr int TILE_COLUMNS = 8;  // sequences of a tile
constexpr int STEP_INPUTS = 32;  // of two mma
constexpr int INPUT_STEPS = FAST_WIDTH / STEP_INPUTS;
constexpr int HISTORY = FAST_TAPS - 1;
/** Sequences of the convolution a thread takes, for two channels of each. */
constexpr int ROUNDS = 8;
constexpr int PAIRS = FAST_WIDTH / 2;
/** bf16 from one sequence's inputs to the next: 64 bytes apart modulo 128, so that the 16-byte reads of a tile meet no bank twice. */
constexpr int INPUT_PITCH = FAST_WIDTH + 32;
constexpr int SUMS = GATES * CHANNELS; // of a sequence

template <int N> struct Batch {
    static constexpr int THREADS = CHANNELS * N; // each finishes one channel of one sequence
    static constexpr int SLICES = THREADS / WARP / GATES; // of the inputs: one for every warp of a gate
    static constexpr int STEPS = INPUT_STEPS / SLICES;
    static constexpr int STRIDE = N / ROUNDS; // sequences between two rounds of a thread
    static constexpr int SHARED = N * (INPUT_PITCH * 2 + SLICES * SUMS * 4);
    static_assert(STRIDE * PAIRS == THREADS && STEPS * SLICES == INPUT_STEPS);
};

__device__ __forceinline__ void mma(float (&c)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0, unsigned b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

/** The sum as a balanced tree. */
template <int COUNT> __device__ __forceinline__ float tree_sum(float (&v)[COUNT]) {
#pragma unroll
    for (int apart = 1; apart < COUNT; apart *= 2) {
#pragma unroll
        for (int i = 0; i + apart < COUNT; i += 2 * apart) {
            v[i] += v[i + apart];
        }
    }
    return v[0];
}

/** Where a sequence's sum of a channel is: neither the lanes of a tile (channel, sequence) nor those that finish meet a bank twice. */
__device__ __forceinline__ int sum_index(int sequence, int gate, int channel) {
    const int swizzle = sequence / 2 % 4 * 8 + sequence % 2 * 16;
    return sequence * SUMS + ((gate * CHANNELS + channel) ^ swizzle);
}

/** Two neighbours that another kernel wrote; `pairs`: they are aligned. */
__device__ __forceinline__ unsigned load_pair(const bf16* p, bool pairs) {
    if (pairs) {
        return __ldcg(reinterpret_cast<const unsigned*>(p));
    }
    const unsigned short* half = reinterpret_cast<const unsigned short*>(p);
    return __ldcg(half) | unsigned(__ldcg(half + 1)) << 16;
}

/** Counts one more; what was before. Reads before it are over, writes after it not begun. */
__device__ __forceinline__ int arrive(int* counter) {
    int before;
    asm volatile("atom.acq_rel.gpu.global.add.s32 %0, [%1], 1;" : "=r"(before) : "l"(counter) : "memory");
    return before;
}

/** The sums of this warp's gate and inputs, for all live sequences. */
template <int N>
__device__ __forceinline__ void multiply_gates(const uint4 (&low)[Batch<N>::STEPS], const uint4 (&high)[Batch<N>::STEPS],
                                               const bf16* inputs, float* sums, int live) {
    constexpr int STEPS = Batch<N>::STEPS;
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, g = lane / 4, q = lane % 4;
    const int gate = warp % GATES, slice = warp / GATES;
#pragma unroll
    for (int tile = 0; tile < N; tile += TILE_COLUMNS) {
        if (tile < live) {
            const bf16* x = inputs + (tile + g) * INPUT_PITCH + slice * STEPS * STEP_INPUTS + q * 8;
            float c[STEPS][4];
#pragma unroll
            for (int i = 0; i < STEPS; i++) {
                const uint4 v = *reinterpret_cast<const uint4*>(x + i * STEP_INPUTS);
                c[i][0] = c[i][1] = c[i][2] = c[i][3] = 0.0f;
                mma(c[i], low[i].x, high[i].x, low[i].y, high[i].y, v.x, v.y);
                mma(c[i], low[i].z, high[i].z, low[i].w, high[i].w, v.z, v.w);
            }
#pragma unroll
            for (int i = 0; i < 4; i++) {
                float parts[STEPS];
#pragma unroll
                for (int k = 0; k < STEPS; k++) {
                    parts[k] = c[k][i];
                }
                sums[slice * N * SUMS + sum_index(tile + 2 * q + i % 2, gate, g + i / 2 * 8)] = tree_sum(parts);
            }
        }
    }
}

/** Both products of one channel of one sequence. */
template <int N> __device__ __forceinline__ float gate_sum(const float* sums, int sequence, int gate, int channel) {
    float parts[Batch<N>::SLICES];
#pragma unroll
    for (int slice = 0; slice < Batch<N>::SLICES; slice++) {
        parts[slice] = sums[slice * N * SUMS + sum_index(sequence, gate, channel)];
    }
    return tree_sum(parts);
}

template <int N> __device__ __forceinline__ void recurrence_tiles(const Recurrence<bf16>& a) {
    constexpr int HEAD_BLOCKS = FAST_WIDTH / CHANNELS, STEPS = Batch<N>::STEPS, STRIDE = Batch<N>::STRIDE;
    extern __shared__ __align__(16) unsigned char batch[];
    bf16* inputs = reinterpret_cast<bf16*>(batch);                         // [N][INPUT_PITCH] what the convolution gives
    float* sums = reinterpret_cast<float*>(batch + N * INPUT_PITCH * 2); // [SLICES][N][SUMS]
    __shared__ bool last;
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    const int head = blockIdx.x / HEAD_BLOCKS, block = blockIdx.x % HEAD_BLOCKS, heads = a.E / FAST_WIDTH;

    // In the convolution: two channels of the head, of every STRIDE-th sequence from `first` on.
    const int channel = head * FAST_WIDTH + int(threadIdx.x) % PAIRS * 2, first = threadIdx.x / PAIRS;
    // In the recurrence: one channel of one sequence.
    const int mine = block * CHANNELS + int(threadIdx.x) % CHANNELS, e = head * FAST_WIDTH + mine, sequence = threadIdx.x / CHANNELS;

    uint4 low[STEPS], high[STEPS]; // weights of channels g and g + 8
    const bf16* weights = a.gates + (size_t(warp % GATES * heads + head) * FAST_WIDTH + block * CHANNELS + lane / 4) * FAST_WIDTH
        + warp / GATES * STEPS * STEP_INPUTS + lane % 4 * 8;
#pragma unroll
    for (int i = 0; i < STEPS; i++) {
        low[i] = stream16(weights + i * STEP_INPUTS);
        high[i] = stream16(weights + CHANNELS / 2 * FAST_WIDTH + i * STEP_INPUTS);
    }
    const int from = blockIdx.y * N, live = min(N, a.step.sequences() - from);
    if (live <= 0) {
        pdl_wait();
        return;
    }
    // The state is what the program before left: it may be read before the wait. Lane i knows the slot of round i, and how many of its
    // rows count.
    const int own = min(from + first + lane % ROUNDS * STRIDE, a.step.maxSequences - 1);
    const int toFinish = min(from + sequence, a.step.maxSequences - 1);
    const unsigned slots = __ldcg(a.step.slots + own) * FAST_TAPS + min(__ldcg(a.step.positions + own), HISTORY);
    const unsigned slot = __ldcg(a.step.slots + toFinish) * FAST_TAPS + min(__ldcg(a.step.positions + toFinish), HISTORY);
    unsigned past[ROUNDS][HISTORY];
#pragma unroll
    for (int i = 0; i < ROUNDS; i++) {
        const unsigned at = __shfl_sync(ALL_LANES, slots, i);
        const unsigned* state = reinterpret_cast<const unsigned*>(a.convState + size_t(at / FAST_TAPS) * HISTORY * a.E + channel);
#pragma unroll
        for (int k = 0; k < HISTORY; k++) {
            past[i][k] = first + i * STRIDE < live && unsigned(HISTORY - k) <= at % FAST_TAPS ? __ldcg(state + k * (a.E / 2)) : 0;
        }
    }
    const float before = sequence < live ? __ldcg(a.h + size_t(slot / FAST_TAPS) * a.E + e) : 0.0f;
    float tap[FAST_TAPS][2];
#pragma unroll
    for (int k = 0; k < FAST_TAPS; k++) {
        tap[k][0] = __ldg(a.taps + k * a.E + channel);
        tap[k][1] = __ldg(a.taps + k * a.E + channel + 1);
    }
    const float bias[] = {__ldg(a.convBias + channel), __ldg(a.convBias + channel + 1)};
    pdl_wait();

    const bool pairs = ((reinterpret_cast<unsigned long long>(a.xy) | unsigned(a.xyStride) * 2) & 3) == 0;
    unsigned newest[ROUNDS];
#pragma unroll
    for (int i = 0; i < ROUNDS; i++) {
        const int s = first + i * STRIDE;
        newest[i] = s < live ? load_pair(a.xy + size_t(from + s) * a.xyStride + channel, pairs) : 0;
    }
    const float y = sequence < live ? load_fresh(a.xy + size_t(from + sequence) * a.xyStride + a.E + e) : 0.0f;
#pragma unroll
    for (int i = 0; i < ROUNDS; i++) {
        float c0 = bias[0], c1 = bias[1];
#pragma unroll
        for (int k = 0; k < FAST_TAPS; k++) {
            const unsigned x = k < HISTORY ? past[i][k] : newest[i];
            c0 = fmaf(tap[k][0], low_half(x), c0);
            c1 = fmaf(tap[k][1], high_half(x), c1);
        }
        *reinterpret_cast<unsigned*>(inputs + (first + i * STRIDE) * INPUT_PITCH + int(threadIdx.x) % PAIRS * 2) = pack_pair(c0, c1);
    }
    __syncthreads();
    // All of the block have read the state: the count is under way during the products, and after them says whether all of the head have.
    int* counter = a.arrivals + size_t(blockIdx.y) * heads + head;
    const int arrived = threadIdx.x == 0 ? arrive(counter) : 0;
    multiply_gates<N>(low, high, inputs, sums, live);
    __syncthreads();
    if (sequence < live) {
        const float c = to_float(inputs[sequence * INPUT_PITCH + mine]);
        recur(a, from + sequence, slot / FAST_TAPS, slot % FAST_TAPS == 0, e, c, gate_sum<N>(sums, sequence, 0, mine % CHANNELS),
              gate_sum<N>(sums, sequence, 1, mine % CHANNELS), before, y);
    }
    if (threadIdx.x == 0) {
        last = arrived == HEAD_BLOCKS - 1;
        if (last) {
            *counter = 0;
        }
    }
    __syncthreads();
    if (last) {
#pragma unroll
        for (int i = 0; i < ROUNDS; i++) {
            const unsigned at = __shfl_sync(ALL_LANES, slots, i);
            unsigned* state = reinterpret_cast<unsigned*>(a.convState + size_t(at / FAST_TAPS) * HISTORY * a.E + channel);
            if (first + i * STRIDE < live) {
#pragma unroll
                for (int k = 0; k < HISTORY; k++) {
                    state[k * (a.E / 2)] = k + 1 < HISTORY ? past[i][k + 1] : newest[i];
                }
            }
        }
    }
}
