// The product of 2 to 32 rows by tiles, bf16: y[m, o] = sum_i x[m, i] w[o, i], weights read once. Weight rows are the rows of mma
// m16n8k16, the rows of x its columns: eight rows cost what two do.
//
// A plane is a part of I, as even as can be in chunks of DEPTH inputs; each has gridDim.x / planes blocks, which share the units (a weight
// row, or for the gated product a pair of rows: gate f, up f) as evenly. A block walks over tiles of its units and for each over the
// chunks of its plane; a stage is a chunk of a tile's weight rows and of all rows of x. Where the outputs are few, more planes mean fewer
// bytes of x a block; their sums then go to the output apart, for whoever reads them to add (add_rms_norm.cu).
// Weights depend on nothing, so the first stages' are fetched before the input is there.
//
// Eight warps: each has one of up to eight sixteen rows (or two of up to sixteen) of a tile; where a tile has four or fewer, two or four
// warps share one and take turns at the four k steps of a chunk. Sums run in an order that only the shape and the number of planes decide.
//
// Launch: grid = planes * blocks a plane, block = 256, dynamic shared memory = partBytes + stages * stageBytes, 2 <= stages <= 8, with
//   most = ceil(units / blocks a plane), tiles = ceil(most * PAIR / 256), tileRows = ceil(most / tiles) * PAIR up to a multiple of 16,
//   stageBytes = 128 (tileRows + ROWS), and partBytes = 384 ROWS where tileRows <= 64, else 0.
// x, w 16-byte aligned, I and xStride multiples of 8; else element by element, any shared memory.
#pragma once

constexpr int TILE_WARPS = 8;
constexpr int TILE_THREADS = TILE_WARPS * WARP;
constexpr int DEPTH = 64;            // inputs of a chunk: 128 bytes a row
constexpr int DEPTH_STEPS = DEPTH / 16;
constexpr int SIXTEEN = 16;          // weight rows of one mma
constexpr int MOST_TILE_ROWS = 2 * TILE_WARPS * SIXTEEN;
constexpr int ROW_BYTES = DEPTH * 2;
constexpr int MOST_STAGES = 8;

/** What a block does, and how its warps share a tile. */
template <int ROWS, int PAIR> struct TileWork {
    int plane, first, last;      // units
    int chunk, chunks;           // of I
    int tileUnits, tileRows, tiles;
    int slots, turns;            // warps side by side, warps that take turns at the k steps
    int stages, stageBytes, partBytes;

    __device__ __forceinline__ TileWork(int units, int I, int planes, int dynamicBytes) {
        const int blocks = gridDim.x / planes, block = blockIdx.x % blocks, all = (I + DEPTH - 1) / DEPTH;
        plane = blockIdx.x / blocks;
        first = int((long long) units * block / blocks);
        last = int((long long) units * (block + 1) / blocks);
        chunk = int((long long) all * plane / planes);
        chunks = int((long long) all * (plane + 1) / planes) - chunk;
        const int most = (units + blocks - 1) / blocks, parts = (most * PAIR + MOST_TILE_ROWS - 1) / MOST_TILE_ROWS;
        tileRows = ((most + parts - 1) / parts * PAIR + SIXTEEN - 1) / SIXTEEN * SIXTEEN;
        tileUnits = tileRows / PAIR;
        tiles = (last - first + tileUnits - 1) / tileUnits;
        const int sixteens = tileRows / SIXTEEN;
        slots = sixteens > 4 ? 8 : sixteens > 2 ? 4 : sixteens;
        turns = min(DEPTH_STEPS, TILE_WARPS / slots);
        partBytes = turns > 1 ? 384 * ROWS : 0;
        stageBytes = (tileRows + ROWS) * ROW_BYTES;
        stages = min(MOST_STAGES, (dynamicBytes - partBytes) / stageBytes);
        if (stages < 2) {
            __trap(); // launched with too little dynamic shared memory
        }
    }
};

/** Where 16-byte piece `piece` of row `row` of a stage lies: shuffled against bank conflicts. */
__device__ __forceinline__ unsigned stage_offset(int row, int piece) { return unsigned(row * ROW_BYTES + (piece ^ row % 8) * 16); }

/** Waits until at most `pending` (0 to MOST_STAGES - 2) of the newest groups of copies are under way. */
__device__ __forceinline__ void await_copies_but(int pending) {
    switch (pending) {
        case 0: await_copies<0>(); break;
        case 1: await_copies<1>(); break;
        case 2: await_copies<2>(); break;
        case 3: await_copies<3>(); break;
        case 4: await_copies<4>(); break;
        case 5: await_copies<5>(); break;
        default: await_copies<6>(); break;
    }
}

/** The stream of a block's stages: tile by tile, chunk by chunk. A thread copies piece threadIdx.x % 8 of every 32nd row. */
template <int ROWS, int PAIR> struct TileStream {
    static constexpr int STRIDE_ROWS = TILE_THREADS / 8, STRIDE_UNITS = STRIDE_ROWS / PAIR;
    const bf16* w;      // this thread's piece of its first row of the tile that is fetched
    const bf16* x;      // and of its row of x
    int units, I, unit, column, at, left;
    bool live;

    __device__ __forceinline__ void open(const TileWork<ROWS, PAIR>& work, const bf16* weights, int unitsOfAll, int inputs) {
        units = unitsOfAll, I = inputs;
        const int row = threadIdx.x / 8;
        const int half = PAIR == 2 ? row / 8 % 2 : 0;
        unit = work.first + (PAIR == 2 ? row / 16 * 8 + row % 8 : row);
        column = work.chunk * DEPTH + int(threadIdx.x) % 8 * 8;
        w = weights + (size_t(half) * units + unit) * I;
        at = 0, left = work.tiles * work.chunks;
    }

    __device__ __forceinline__ void fetch_weights(const TileWork<ROWS, PAIR>& work, unsigned char* stage) {
        if (left > 0) {
            const int c = column + at * DEPTH;
            const bool inside = c < I;
            const bf16* from = w + (inside ? c : 0);
            for (int k = 0; k * STRIDE_ROWS < work.tileRows; k++) {
                const int row = threadIdx.x / 8 + k * STRIDE_ROWS;
                if (row < work.tileRows && unit + k * STRIDE_UNITS < work.last) {
                    copy_async(stage + stage_offset(row, threadIdx.x % 8), from + size_t(k) * STRIDE_UNITS * I, inside);
                }
            }
        }
    }

    __device__ __forceinline__ void fetch_x(const TileWork<ROWS, PAIR>& work, unsigned char* stage, int chunk) const {
        const int row = threadIdx.x / 8;
        if (row < ROWS) {
            const int c = column + chunk * DEPTH;
            const bool inside = live && c < I;
            copy_async(stage + stage_offset(work.tileRows + row, threadIdx.x % 8), x + (inside ? c : 0), inside);
        }
    }

    __device__ __forceinline__ void next(const TileWork<ROWS, PAIR>& work) {
        left--;
        if (++at == work.chunks) {
            at = 0;
            unit += work.tileUnits;
            w += size_t(work.tileUnits) * I;
        }
    }
};

/** Sums of a warp's sixteen rows (or two) with all rows of x. */
template <int ROWS> struct TileSums {
    static constexpr int COLUMNS = ROWS / 8;
    float c[2][COLUMNS][4];

    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int i = 0; i < 2; i++) {
#pragma unroll
            for (int t = 0; t < COLUMNS; t++) {
                c[i][t][0] = c[i][t][1] = c[i][t][2] = c[i][t][3] = 0;
            }
        }
    }

    /** Adds k step `step` of a stage, for the sixteen rows from `row` on, and where `both` for those 128 rows on. */
    __device__ __forceinline__ void add(const unsigned char* stage, int row, bool both, int tileRows, int step) {
        const int lane = threadIdx.x % WARP;
        unsigned b[COLUMNS][2];
#pragma unroll
        for (int t = 0; t < COLUMNS; t += 2) {
            unsigned r[4]; // inputs 0-7 and 8-15 of eight rows of x, then of the next eight
            const int m = t * 8 + (COLUMNS > 1 ? lane / 16 * 8 : 0) + lane % 8;
            load_matrices(r, stage + stage_offset(tileRows + m, 2 * step + lane / 8 % 2));
            b[t][0] = r[0], b[t][1] = r[1];
            if (COLUMNS > 1) {
                b[t + 1 < COLUMNS ? t + 1 : t][0] = r[2], b[t + 1 < COLUMNS ? t + 1 : t][1] = r[3];
            }
        }
#pragma unroll
        for (int i = 0; i < 2; i++) {
            if (i == 0 || both) {
                unsigned a[4];
                load_matrices(a, stage + stage_offset(row + i * TILE_WARPS * SIXTEEN + lane % 16, 2 * step + lane / 16));
#pragma unroll
                for (int t = 0; t < COLUMNS; t++) {
                    mma_bf16(c[i][t], a, b[t][0], b[t][1]);
                }
            }
        }
    }

    /** Adds up the warps that took turns, in their order; the first has the result. All threads of the block call. */
    __device__ __forceinline__ void gather(float* parts, int slot, int turn, int slots, int turns) {
        const int lane = threadIdx.x % WARP;
        __syncthreads(); // parts of the last tile have been read
        if (turn > 0 && turn < turns) {
#pragma unroll
            for (int t = 0; t < COLUMNS; t++) {
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    parts[((((turn - 1) * slots + slot) * COLUMNS + t) * 4 + e) * WARP + lane] = c[0][t][e];
                }
            }
        }
        __syncthreads();
        if (turn == 0) {
            for (int other = 0; other < turns - 1; other++) {
#pragma unroll
                for (int t = 0; t < COLUMNS; t++) {
#pragma unroll
                    for (int e = 0; e < 4; e++) {
                        c[0][t][e] += parts[(((other * slots + slot) * COLUMNS + t) * 4 + e) * WARP + lane];
                    }
                }
            }
        }
    }

    /** Hands the sums of sixteen weight rows, the first of which belongs to `unit`, to the output. */
    template <class Output>
    __device__ __forceinline__ void finish(int i, const Output& output, const float2 (&bias)[2], int unit, int last, int live) const {
        constexpr int PAIR = Output::PAIR;
        const int lane = threadIdx.x % WARP, mine = unit + lane / 4;
#pragma unroll
        for (int t = 0; t < COLUMNS; t++) {
#pragma unroll
            for (int e = 0; e < 2; e++) {
                const int m = t * 8 + lane % 4 * 2 + e;
                if (m < live && mine < last) {
                    if constexpr (PAIR == 2) {
                        const float sum[2] = {c[i][t][e], c[i][t][2 + e]};
                        output.finish(mine, m, sum, bias[0], 0);
                    } else {
                        const float sum[1] = {c[i][t][e]};
                        output.finish(mine, m, sum, bias[0], 0);
                    }
                }
                if constexpr (PAIR == 1) {
                    if (m < live && mine + 8 < last) {
                        const float sum[1] = {c[i][t][2 + e]};
                        output.finish(mine + 8, m, sum, bias[1], 0);
                    }
                }
            }
        }
    }
};

/** Element by element: any shape and alignment. */
template <int ROWS, class Output>
__device__ __noinline__ void product_scalar(const int* count, int from, int limit, const bf16* x, int xStride, const bf16* w,
                                            const Output& output, int units, int I, int planes) {
    constexpr int PAIR = Output::PAIR;
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, blocks = gridDim.x / planes, block = blockIdx.x % blocks;
    const int plane = blockIdx.x / blocks, begin = int((long long) I * plane / planes), end = int((long long) I * (plane + 1) / planes);
    const int last = int((long long) units * (block + 1) / blocks);
    pdl_wait();
    const int live = min(live_rows(count, from, limit), ROWS);
    for (int unit = int((long long) units * block / blocks) + warp; unit < last; unit += blockDim.x / WARP) {
        for (int m = 0; m < live; m++) {
            float sum[PAIR];
#pragma unroll
            for (int half = 0; half < PAIR; half++) {
                const bf16* row = w + (size_t(half) * units + unit) * I;
                float part = 0;
                for (int i = begin + lane; i < end; i += WARP) {
                    part = fmaf(to_float(row[i]), load_fresh(x + size_t(m) * xStride + i), part);
                }
                sum[half] = warp_sum(part);
            }
            if (lane == 0) {
                output.at(plane).finish(unit, m, sum, output.at(plane).ahead(unit), 0);
            }
        }
    }
}

/** out of x w^T for up to ROWS rows. `units` outputs a row of x; w has units * PAIR rows of I. */
template <int ROWS, class Output>
__device__ __forceinline__ void product_tiles(const int* count, int from, int limit, const bf16* x, int xStride, const bf16* w,
                                              const Output& all, int units, int I, int planes) {
    constexpr int PAIR = Output::PAIR;
    extern __shared__ __align__(128) unsigned char dynamic[];
    pdl_launch_dependents();
    if (!vectorizable(x, xStride, I) || !aligned16(w)) {
        product_scalar<ROWS>(count, from, limit, x, xStride, w, all, units, I, planes);
        return;
    }
    const TileWork<ROWS, PAIR> work(units, I, planes, int(dynamic_shared_bytes()));
    const Output output = all.at(work.plane);
    unsigned char* ring = dynamic + work.partBytes;
    const int ahead = work.stages - 1, steps = work.tiles * work.chunks;
    const int warp = threadIdx.x / WARP, slot = warp % work.slots, turn = warp / work.slots;
    const bool works = slot * SIXTEEN < work.tileRows && turn < work.turns, both = (slot + TILE_WARPS) * SIXTEEN < work.tileRows;
    const int unitOfLane = (PAIR == 2 ? slot * 8 : slot * SIXTEEN) + int(threadIdx.x) % WARP / 4;

    TileStream<ROWS, PAIR> stream;
    stream.open(work, w, units, I);
    for (int i = 0; i < ahead; i++) {
        stream.fetch_weights(work, ring + i * work.stageBytes);
        stream.next(work);
        commit_copies();
    }
    pdl_wait();
    const int live = min(live_rows(count, from, limit), ROWS);
    stream.live = int(threadIdx.x) / 8 < live;
    stream.x = x + size_t(stream.live ? threadIdx.x / 8 : 0) * xStride;
    for (int i = 0; i < ahead; i++) {
        if (i < steps) {
            stream.fetch_x(work, ring + i * work.stageBytes, i % work.chunks);
        }
        commit_copies();
    }

    TileSums<ROWS> sums;
    int now = 0, later = ahead, first = work.first;
    for (int tile = 0; tile < work.tiles; tile++, first += work.tileUnits) {
        float2 bias[2][2];
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const int unit = first + unitOfLane + i * TILE_WARPS * (SIXTEEN / PAIR);
            bias[i][0] = unit < work.last && (i == 0 || both) ? output.ahead(unit) : float2{0, 0};
            bias[i][1] = PAIR == 1 && unit + 8 < work.last && (i == 0 || both) ? output.ahead(unit + 8) : float2{0, 0};
        }
        sums.clear();
        for (int chunk = 0; chunk < work.chunks; chunk++) {
            await_copies_but(work.stages - 2);
            __syncthreads(); // the stage has arrived, and the one before it has been read
            if (stream.left > 0) {
                stream.fetch_weights(work, ring + later * work.stageBytes);
                stream.fetch_x(work, ring + later * work.stageBytes, stream.at);
                stream.next(work);
            }
            commit_copies();
            if (works) {
#pragma unroll
                for (int step = 0; step < DEPTH_STEPS; step++) {
                    if ((step & (work.turns - 1)) == turn) {
                        sums.add(ring + now * work.stageBytes, slot * SIXTEEN, both, work.tileRows, step);
                    }
                }
            }
            now = now + 1 == work.stages ? 0 : now + 1;
            later = later + 1 == work.stages ? 0 : later + 1;
        }
        if (work.turns > 1) {
            sums.gather(reinterpret_cast<float*>(dynamic), slot, turn, work.slots, work.turns);
        }
        if (works && turn == 0) {
#pragma unroll
            for (int i = 0; i < 2; i++) {
                if (i == 0 || both) {
                    const int unit = first + (slot + i * TILE_WARPS) * (SIXTEEN / PAIR);
                    sums.finish(i, output, bias[i], unit, work.last, live);
                }
            }
        }
    }
}
