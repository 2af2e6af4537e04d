// The recurrent block of a decode step in one launch: convolution, both gates, RG-LRU and the product with the gelu branch.
// Every sequence has exactly one row: row q of xy [M, 2E] (x | y) and of out [M, E] belongs to sequence q.
//
//   c = convBias + sum_k taps[k] * x(t - (C-1) + k)            rounded to T; rows before position 0 count as zero
//   i, r = sigmoid(gates c + gateBias)                         per block of G channels
//   log a = decay * r;  h = a h + sqrt(1 - a^2) i c            at position 0: h = i c
//   out = h * gelu(y)
// taps float [C, E], convState T [slots, C-1, E] (oldest first), gates T [2, H, G out, G in] (input gate, recurrence gate; H = E / G),
// gateBias float [2E], decay float [E], h float [slots, E].
//
// The blocks of one head all read the head's convolution state; the last to arrive shifts it. arrivals int [S, H], zero before the first
// launch, is zero again after every launch; layers may share it.
//
// recurrence_decode_*: any shape, any number of sequences; grid (E / G * ceil(G / 16), ceil(S / 4)), block 256, dynamic shared memory
// 16 G bytes. A block takes four sequences at a time (G = 256, C = 4), elsewhere every gridDim.y-th.
// recurrence_decode_bf16_s8, _s16, _s32 (recurrence_tiles.cuh): G = 256 and C = 4 on tensor cores, for more than one sequence.
//
// Bytes: 2 E G sizeof(T) once, per sequence E ((2 C + 1) sizeof(T) + 8). H100, 2B: floor at 3.09 TB/s 0.85 us; prediction 3 us, a launch and
// two trips to L2; outcome 3.3 us with dependent launch, 4.6 without; 9B (floor 1.4) 3.6 and 5.2. 32 sequences without tensor cores:
// 36 us (40 one after the other, 42 eight side by side), floor 2 us.
#include "recurrence.cuh"
#include "recurrence_tiles.cuh"

constexpr int GROUP = 4; // sequences side by side

/**
 * G = 256 and C = 4: a thread has one channel of the head, gate weights wait in registers before the input is there. SEQUENCES are taken
 * side by side, so that their trips to L2 overlap.
 */
template <class T, int SEQUENCES> __device__ __forceinline__ void recurrence_fast(const Recurrence<T>& a) {
    constexpr int N = PER16<T>, V = FAST_WIDTH * int(sizeof(T)) / (WARP * 16), HISTORY = FAST_TAPS - 1;
    extern __shared__ __align__(16) float conv[]; // [SEQUENCES, 256]
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    const int head = blockIdx.x / SLICES, slice = blockIdx.x % SLICES, heads = a.E / FAST_WIDTH;
    const int channel = head * FAST_WIDTH + threadIdx.x;
    const int mine = slice * CHANNELS + warp * 2 + lane % 2; // lanes 2 s and 2 s + 1 finish a channel each of the s-th sequence

    uint4 w[4][V]; // input gate of both channels, recurrence gate of both
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const T* row = a.gates + (size_t(i / 2 * heads + head) * FAST_WIDTH + slice * CHANNELS + warp * 2 + i % 2) * FAST_WIDTH;
#pragma unroll
        for (int v = 0; v < V; v++) {
            w[i][v] = stream16(row + (v * WARP + lane) * N);
        }
    }
    float tap[FAST_TAPS];
#pragma unroll
    for (int k = 0; k < FAST_TAPS; k++) {
        tap[k] = __ldg(a.taps + k * a.E + channel);
    }
    const float bias = __ldg(a.convBias + channel);
    const int sequences = a.step.sequences(), own = lane / 2; // which sequence this lane finishes
    // The state is what the program before left: it may be read before the wait.
    int slot[SEQUENCES], position = 0;
    float past[SEQUENCES][HISTORY], before = 0;
    auto load_state = [&](int first) {
#pragma unroll
        for (int s = 0; s < SEQUENCES; s++) {
            const bool lives = first + s < sequences;
            slot[s] = lives ? __ldcg(a.step.slots + first + s) : 0;
            const int at = lives ? __ldcg(a.step.positions + first + s) : 0;
#pragma unroll
            for (int k = 0; k < HISTORY; k++) {
                past[s][k] = HISTORY - k > at ? 0.0f : load_fresh(a.convState + (size_t(slot[s]) * HISTORY + k) * a.E + channel);
            }
            if (s == own) {
                position = at;
                before = lives ? __ldcg(a.h + size_t(slot[s]) * a.E + head * FAST_WIDTH + mine) : 0.0f;
            }
        }
    };
    const int start = int(blockIdx.y) * SEQUENCES, stride = int(gridDim.y) * SEQUENCES;
    if (start < sequences) {
        load_state(start);
    }
    pdl_wait();

    for (int first = start; first < sequences; first += stride) {
        if (first != start) {
            load_state(first);
        }
        const int live = min(SEQUENCES, sequences - first);
        T newest[SEQUENCES];
#pragma unroll
        for (int s = 0; s < SEQUENCES; s++) {
            newest[s] = from_float<T>(s < live ? load_fresh(a.xy + size_t(first + s) * a.xyStride + channel) : 0.0f);
        }
        const float y = own < live ? load_fresh(a.xy + size_t(first + own) * a.xyStride + a.E + head * FAST_WIDTH + mine) : 0.0f;
#pragma unroll
        for (int s = 0; s < SEQUENCES; s++) {
            float c = bias;
#pragma unroll
            for (int k = 0; k < HISTORY; k++) {
                c = fmaf(tap[k], past[s][k], c);
            }
            conv[s * FAST_WIDTH + threadIdx.x] = rounded<T>(fmaf(tap[HISTORY], to_float(newest[s]), c));
        }
        __syncthreads();
        const unsigned last = last_to_arrive<SEQUENCES>(a.arrivals + size_t(first) * heads + head, heads, SLICES, live);

        float inputSum = 0, decaySum = 0; // of this lane's channel and sequence
#pragma unroll
        for (int s = 0; s < SEQUENCES; s++) {
            float sum[4] = {};
#pragma unroll
            for (int v = 0; v < V; v++) {
                float cv[N];
#pragma unroll
                for (int j = 0; j < N; j += 4) {
                    float4 four = *reinterpret_cast<const float4*>(conv + s * FAST_WIDTH + (v * WARP + lane) * N + j);
                    cv[j] = four.x, cv[j + 1] = four.y, cv[j + 2] = four.z, cv[j + 3] = four.w;
                }
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    float wv[N];
                    unpack16<T>(w[i][v], wv);
#pragma unroll
                    for (int j = 0; j < N; j++) {
                        sum[i] = fmaf(wv[j], cv[j], sum[i]);
                    }
                }
            }
#pragma unroll
            for (int i = 0; i < 4; i++) {
                sum[i] = warp_sum(sum[i]);
            }
            if (own == s) {
                inputSum = lane % 2 == 0 ? sum[0] : sum[1];
                decaySum = lane % 2 == 0 ? sum[2] : sum[3];
            }
        }
        if (own < live) {
            const int ownSlot = __ldcg(a.step.slots + first + own);
            const int e = head * FAST_WIDTH + mine;
            recur(a, first + own, ownSlot, position == 0, e, conv[own * FAST_WIDTH + mine], inputSum, decaySum, gate_constants(a, e), before,
                  y);
        }
#pragma unroll
        for (int s = 0; s < SEQUENCES; s++) {
            if (last >> s & 1) {
                T* state = a.convState + size_t(slot[s]) * HISTORY * a.E + channel;
#pragma unroll
                for (int k = 0; k < HISTORY; k++) {
                    state[size_t(k) * a.E] = k + 1 < HISTORY ? from_float<T>(past[s][k + 1]) : newest[s];
                }
            }
        }
        __syncthreads(); // conv is written again
    }
}

/** Any width and number of taps. */
template <class T> __device__ __forceinline__ void recurrence_any(const Recurrence<T>& a) {
    extern __shared__ __align__(16) float conv[]; // [G]
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, history = a.C - 1;
    const int slices = (a.G + CHANNELS - 1) / CHANNELS, heads = a.E / a.G;
    const int head = blockIdx.x / slices, slice = blockIdx.x % slices, sequences = a.step.sequences();
    pdl_wait();
    for (int q = blockIdx.y; q < sequences; q += gridDim.y) {
        const int slot = __ldcg(a.step.slots + q), position = __ldcg(a.step.positions + q);
        const T* row = a.xy + size_t(q) * a.xyStride;
        T* state = a.convState + size_t(slot) * history * a.E;
        for (int i = threadIdx.x; i < a.G; i += blockDim.x) {
            const int e = head * a.G + i;
            float c = __ldg(a.convBias + e);
            for (int k = 0; k < history; k++) {
                float v = load_fresh(state + size_t(k) * a.E + e);
                c = fmaf(__ldg(a.taps + size_t(k) * a.E + e), history - k > position ? 0.0f : v, c);
            }
            conv[i] = rounded<T>(fmaf(__ldg(a.taps + size_t(history) * a.E + e), load_fresh(row + e), c));
        }
        __syncthreads();
        const bool last = last_to_arrive(a.arrivals + size_t(q) * heads + head, heads, slices) != 0;
        for (int j = slice * CHANNELS + warp; j < min(a.G, (slice + 1) * CHANNELS); j += RECURRENCE_THREADS / WARP) {
            float sum[2];
            for (int gate = 0; gate < 2; gate++) {
                const T* w = a.gates + (size_t(gate * heads + head) * a.G + j) * a.G;
                float acc = 0;
                for (int i = lane; i < a.G; i += WARP) {
                    acc = fmaf(to_float(w[i]), conv[i], acc);
                }
                sum[gate] = warp_sum(acc);
            }
            if (lane == 0) {
                const int e = head * a.G + j;
                recur(a, q, slot, position == 0, e, conv[j], sum[0], sum[1], gate_constants(a, e), __ldcg(a.h + size_t(slot) * a.E + e),
                      load_fresh(row + a.E + e));
            }
        }
        if (last) {
            for (int i = threadIdx.x; i < a.G && history > 0; i += blockDim.x) {
                const int e = head * a.G + i;
                for (int k = 0; k < history; k++) { // new row k is `back` rows before this one
                    const int back = history - 1 - k;
                    float v = back == 0 ? load_fresh(row + e) : load_fresh(state + size_t(k + 1) * a.E + e);
                    state[size_t(k) * a.E + e] = from_float<T>(back > position ? 0.0f : v);
                }
            }
        }
        __syncthreads();
    }
}

template <class T> __device__ __forceinline__ void recurrence(const Recurrence<T>& a) {
    if (a.G != FAST_WIDTH || a.C != FAST_TAPS || !aligned16(a.gates)) {
        recurrence_any(a);
    } else if (a.step.sequences() > 1) {
        recurrence_fast<T, GROUP>(a);
    } else {
        recurrence_fast<T, 1>(a);
    }
}

#define RECURRENCE(suffix, T)                                                                                                              \
    extern "C" __global__ void __launch_bounds__(RECURRENCE_THREADS, 3)                                                                    \
    recurrence_decode_##suffix(Step step, const T* xy, int xyStride, const float* taps, const float* convBias, T* convState,               \
                               const T* gates, const float* gateBias, const float* decay, float* h, T* out, int outStride, int* arrivals,  \
                               int E, int C, int G) {                                                                                      \
        pdl_launch_dependents();                                                                                                           \
        recurrence<T>({step, xy, xyStride, taps, convBias, convState, gates, gateBias, decay, h, out, outStride, arrivals, E, C, G});      \
    }
FOR_BOTH_TYPES(RECURRENCE)

#define RECURRENCE_TILES(SEQUENCES)                                                                                                        \
    extern "C" __global__ void __launch_bounds__(RECURRENCE_THREADS, 2)                                                                    \
    recurrence_decode_bf16_s##SEQUENCES(Step step, const bf16* xy, int xyStride, const float* taps, const float* convBias,                \
                                        bf16* convState, const bf16* gates, const float* gateBias, const float* decay, float* h,         \
                                        bf16* out, int outStride, int* arrivals, int E, int C, int G) {                                    \
        pdl_launch_dependents();                                                                                                           \
        recurrence_tiles<SEQUENCES>(                                                                                                       \
            {step, xy, xyStride, taps, convBias, convState, gates, gateBias, decay, h, out, outStride, arrivals, E, C, G});                \
    }
RECURRENCE_TILES(8)
RECURRENCE_TILES(16)
RECURRENCE_TILES(32)
