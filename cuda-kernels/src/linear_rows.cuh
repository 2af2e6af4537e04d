// The mat-vec by rows: see linear.cuh. A warp streams whole units; a lane takes every 32nd 16 bytes of a row.
#pragma once

/** Where the rows of x are read: staged in shared memory, or from L2 because they are too large. */
template <class T> struct XRows {
    const T* staged;
    int pitch;
    const T* direct; // null when staged
    int stride;
};

/** Elements between staged rows: rows start 64 bytes apart modulo 128, which spreads them over the banks. */
template <class T> __device__ __forceinline__ int staged_pitch(int I) {
    int bytes = (I * int(sizeof(T)) + 63) / 64 * 64;
    return (bytes % 128 == 0 ? bytes + 64 : bytes) / int(sizeof(T));
}

/** Whether x goes to shared memory; decided by shape alone, as the launcher does. */
template <class T, int ROWS, class Input> __device__ __forceinline__ bool stages_x(const Input& input, int I) {
    bool vectors = true;
    if constexpr (!Input::NORM) {
        vectors = vectorizable(input.x, input.stride, I);
    }
    return Input::NORM || ROWS == 1 || !vectors || ROWS * (I * int(sizeof(T)) + 128) <= STAGED_X_LIMIT;
}

template <class T, int ROWS, class Input>
__device__ __forceinline__ XRows<T> bring_rows(const Input& input, bool staged, T* memory, int live, int I,
                                               const typename Input::Ahead& ahead, float* sums) {
    int pitch = staged_pitch<T>(I);
    if (staged) {
        input.template stage<ROWS>(memory, pitch, live, I, ahead, sums);
        __syncthreads();
        return {memory, pitch, nullptr, 0};
    }
    if constexpr (!Input::NORM) {
        return {nullptr, 0, input.x, input.stride};
    }
    return {nullptr, 0, nullptr, 0};
}

/** 16 bytes of each weight row and of each row of x: acc[m][0] takes the even, acc[m][1] the odd elements. */
template <class T, int ROWS>
__device__ __forceinline__ void step16(const unsigned char* w, const XRows<T>& x, int element, int live, float (&acc)[ROWS][2]) {
    constexpr int N = PER16<T>;
    float wv[N];
    unpack16<T>(*reinterpret_cast<const uint4*>(w), wv);
#pragma unroll
    for (int m = 0; m < ROWS; m++) {
        uint4 raw;
        if (ROWS == 1 || !x.direct) {
            raw = *reinterpret_cast<const uint4*>(x.staged + m * x.pitch + element);
        } else {
            raw = m < live ? load_fresh16(x.direct + size_t(m) * x.stride + element) : make_uint4(0, 0, 0, 0);
        }
        float xv[N];
        unpack16<T>(raw, xv);
#pragma unroll
        for (int i = 0; i < N; i += 2) {
            acc[m][0] = fmaf(wv[i], xv[i], acc[m][0]);
            acc[m][1] = fmaf(wv[i + 1], xv[i + 1], acc[m][1]);
        }
    }
}

template <class T, int ROWS, int STEPS>
__device__ __forceinline__ void whole_chunk(const unsigned char* w, const XRows<T>& x, int element, int live, float (&acc)[ROWS][2]) {
#pragma unroll
    for (int step = 0; step < STEPS; step++) {
        step16<T, ROWS>(w + step * STEP_BYTES, x, element + step * WARP * PER16<T>, live, acc);
    }
}

/** acc += chunk of a weight row times the same part of x, this lane's share. */
template <class T, int ROWS>
__device__ __forceinline__ void multiply_chunk(const unsigned char* chunk, const XRows<T>& x, int firstElement, int bytes, int live,
                                               float (&acc)[ROWS][2]) {
    int lane = threadIdx.x % WARP;
    const unsigned char* w = chunk + lane * 16;
    int element = firstElement + lane * PER16<T>;
    if (ROWS == 1 && bytes == 5 * STEP_BYTES) {
        whole_chunk<T, ROWS, 5>(w, x, element, live, acc);
    } else if (ROWS == 1 && bytes == 4 * STEP_BYTES) {
        whole_chunk<T, ROWS, 4>(w, x, element, live, acc);
    } else {
#pragma unroll 2
        for (int at = lane * 16; at < bytes; at += STEP_BYTES) {
            step16<T, ROWS>(chunk + at, x, firstElement + at / int(sizeof(T)), live, acc);
        }
    }
}

/** Walks the chunks of a warp's units in order: unit, row of the pair, part of the row. */
struct ChunkCursor {
    int unit, half, part;

    template <int PAIR> __device__ __forceinline__ void next(int parts, int warps) {
        if (++part == parts) {
            part = 0;
            if (++half == PAIR) {
                half = 0;
                unit += warps;
            }
        }
    }
};

template <class T, int ROWS, class Input, class Output>
__device__ __forceinline__ void mat_vec_rows(const int* count, int from, int limit, const Input& input, const T* w, const Output& output,
                                             int units, int I, unsigned char* dynamic, LinearShared& shared) {
    constexpr int PAIR = Output::PAIR;
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, warps = blockDim.x / WARP;
    const int rowBytes = I * int(sizeof(T)), chunk = chunk_bytes(rowBytes), parts = (rowBytes + chunk - 1) / chunk;
    const bool staged = stages_x<T, ROWS>(input, I);
    const int xBytes = staged ? ROWS * staged_pitch<T>(I) * int(sizeof(T)) : 0;
    const int xRoom = (xBytes + 127) / 128 * 128;
    const int stages = min(MAX_STAGES, (int(dynamic_shared_bytes()) - xRoom) / (warps * chunk));
    const UnitRange range(units);

    WeightStream stream;
    stream.open(dynamic + xRoom + warp * stages * chunk, shared.full[warp], stages, chunk);
    const unsigned char* base = reinterpret_cast<const unsigned char*>(w);
    ChunkCursor ahead{range.first + warp, 0, 0};
    auto fetch = [&](int stage) {
        if (ahead.unit < range.last) {
            const unsigned char* source = base + (size_t(ahead.half) * units + ahead.unit) * rowBytes + size_t(ahead.part) * chunk;
            stream.fetch(stage, [&](int) { return source; }, 1, min(chunk, rowBytes - ahead.part * chunk), 0);
            ahead.next<PAIR>(parts, warps);
        } else {
            stream.skip();
        }
    };
    for (int stage = 0; stage < stages; stage++) {
        fetch(stage);
    }
    const typename Input::Ahead inputAhead = input.ahead(I);
    int unit = range.first + warp;
    float2 nextBias = unit < range.last ? output.ahead(unit) : float2{0.0f, 0.0f};

    pdl_wait();
    const int live = min(live_rows(count, from, limit), ROWS);
    float nextBefore = unit < range.last && lane < live ? output.fresh(unit, lane) : 0.0f;
    const XRows<T> x = bring_rows<T, ROWS>(input, staged, reinterpret_cast<T*>(dynamic), live, I, inputAhead, shared.sums);

    for (; unit < range.last; unit += warps) {
        const float2 bias = nextBias;
        const float before = nextBefore;
        if (unit + warps < range.last) {
            nextBias = output.ahead(unit + warps);
            nextBefore = lane < live ? output.fresh(unit + warps, lane) : 0.0f;
        }
        float sum[PAIR] = {}; // of row `lane` of x
#pragma unroll
        for (int half = 0; half < PAIR; half++) {
            float acc[ROWS][2] = {};
            for (int part = 0; part < parts; part++) {
                const unsigned char* data = stream.wait();
                multiply_chunk<T, ROWS>(data, x, part * (chunk / int(sizeof(T))), min(chunk, rowBytes - part * chunk), live, acc);
                fetch(stream.release());
            }
#pragma unroll
            for (int m = 0; m < ROWS; m++) {
                float whole = warp_sum(acc[m][0] + acc[m][1]);
                sum[half] = lane == m ? whole : sum[half];
            }
        }
        if (lane < live) {
            output.finish(unit, lane, sum, bias, before);
        }
    }
}

/** Any shape and alignment: element by element, no ring. */
template <class T, int ROWS, class Input, class Output>
__device__ __forceinline__ void mat_vec_scalar(const int* count, int from, int limit, const Input& input, const T* w,
                                               const Output& output, int units, int I, unsigned char* dynamic, LinearShared& shared) {
    constexpr int PAIR = Output::PAIR;
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, warps = blockDim.x / WARP;
    const typename Input::Ahead inputAhead = input.ahead(I);
    pdl_wait();
    const int live = min(live_rows(count, from, limit), ROWS);
    const UnitRange range(units);
    const bool staged = stages_x<T, ROWS>(input, I);
    const XRows<T> x = bring_rows<T, ROWS>(input, staged, reinterpret_cast<T*>(dynamic), live, I, inputAhead, shared.sums);
    for (int unit = range.first + warp; unit < range.last; unit += warps) {
        float sum[PAIR] = {};
#pragma unroll
        for (int half = 0; half < PAIR; half++) {
            const T* row = w + (size_t(half) * units + unit) * I;
            for (int m = 0; m < live; m++) {
                float acc = 0;
                for (int i = lane; i < I; i += WARP) {
                    float xv = staged ? to_float(x.staged[m * x.pitch + i]) : load_fresh(x.direct + size_t(m) * x.stride + i);
                    acc = fmaf(to_float(row[i]), xv, acc);
                }
                acc = warp_sum(acc);
                sum[half] = lane == m ? acc : sum[half];
            }
        }
        if (lane < live) {
            output.finish(unit, lane, sum, output.ahead(unit), output.fresh(unit, lane));
        }
    }
}
