// The plain form of local attention (see window_attention.cu): float32 FMAs, any K, any alignment. A warp owns 16 items of
// the block's tile. A lane owns a key while scores are made, and every 32nd column while values are summed.
// Included by window_attention.cu only.
#pragma once

namespace {

template <typename T> struct PlainAttention {
    static constexpr int WARP_ITEMS = 16;
    static constexpr int KEYS = 32;
    static constexpr int COLUMNS = 256;               // of keys or values in shared memory at a time
    static constexpr int PITCH = COLUMNS + 1;         // against bank conflicts when lanes read a column
    static_assert((KEYS + 64) * PITCH * sizeof(float) == 98688, "the launch geometry of window_attention.cu");
    static constexpr int LANE_COLUMNS = COLUMNS / 32;

    /** Copies columns [c0, c0 + COLUMNS) of KEYS keys or values; what does not exist becomes 0. */
    static __device__ void load(const Attention<T>& a, const Tile& t, int j0, int part, int c0, float* tile) {
        int lane = threadIdx.x % 32;
        int count = min(a.width - c0, COLUMNS);
        for (int row = threadIdx.x / 32; row < KEYS; row += blockDim.x / 32) {
            const T* from = j0 + row <= t.lastRow ? key_row(a, t, j0 + row, part) + c0 : nullptr;
            for (int c = lane; c < COLUMNS; c += 32) {
                tile[row * PITCH + c] = from != nullptr && c < count ? load_fresh(from + c) : 0;
            }
        }
    }

    /** Copies columns [c0, c0 + COLUMNS) of the warp's queries. */
    static __device__ void load_queries(const Attention<T>& a, const Tile& t, int c0, int item0, float* queries) {
        int lane = threadIdx.x % 32;
        for (int i = 0; i < WARP_ITEMS; i++) {
            int item = min(item0 + i, t.items - 1);
            const T* from = a.qkv + (size_t) (t.start + item / a.heads) * a.stride + item % a.heads * a.width + c0;
            for (int c = lane; c < min(a.width - c0, COLUMNS); c += 32) {
                queries[i * PITCH + c] = load_fresh(from + c);
            }
        }
        __syncwarp();
    }

    /** score[i] = q_i . k_lane over all columns, for the warp's items. `loaded`: the first of the columns that `queries` holds. */
    static __device__ void products(const Attention<T>& a, const Tile& t, int j0, int item0, float* tile, float* queries, int& loaded,
            float (&score)[WARP_ITEMS]) {
        const float* key = tile + threadIdx.x % 32 * PITCH;
#pragma unroll
        for (int i = 0; i < WARP_ITEMS; i++) {
            score[i] = 0;
        }
        for (int c0 = 0; c0 < a.width; c0 += COLUMNS) {
            __syncthreads();
            load(a, t, j0, 0, c0, tile);
            if (loaded != c0) {
                load_queries(a, t, c0, item0, queries);
                loaded = c0;
            }
            __syncthreads();
            int count = min(a.width - c0, COLUMNS);
            for (int c = 0; c < count; c++) {
                float k = key[c];
#pragma unroll
                for (int i = 0; i < WARP_ITEMS; i++) {
                    score[i] = fmaf(queries[i * PITCH + c], k, score[i]);
                }
            }
        }
    }

    /** The online softmax of one item over this step's keys: the lane's weight, and how what was summed must be scaled. */
    static __device__ float soften(float score, float& highest, float& total, float& rescale) {
        float top = score;
        for (int lanes = 16; lanes > 0; lanes /= 2) {
            top = fmaxf(top, __shfl_xor_sync(~0u, top, lanes));
        }
        top = fmaxf(top, highest);
        float base = top == -INFINITY ? 0 : top;
        rescale = expf(highest - base);
        highest = top;
        float p = expf(score - base), sum = p;
        for (int lanes = 16; lanes > 0; lanes /= 2) {
            sum += __shfl_xor_sync(~0u, sum, lanes);
        }
        total = total * rescale + sum;
        return p;
    }

    static __device__ void run(const Step& step, const Attention<T>& a, const Tile& t, float* tile) {
        for (int c0 = 0; c0 < a.width; c0 += COLUMNS) {   // once, unless K is above 256
            columns(step, a, t, c0, tile);
        }
    }

    static __device__ void columns(const Step& step, const Attention<T>& a, const Tile& t, int c0, float* tile) {
        int lane = threadIdx.x % 32;
        int item0 = t.firstItem + threadIdx.x / 32 * WARP_ITEMS;
        float scale = 1 / sqrtf((float) a.width);
        float sum[WARP_ITEMS][LANE_COLUMNS] = {};
        float highest[WARP_ITEMS], total[WARP_ITEMS], p[WARP_ITEMS];
        float* queries = tile + (KEYS + threadIdx.x / 32 * WARP_ITEMS) * PITCH;
        int loaded = -1;
#pragma unroll
        for (int i = 0; i < WARP_ITEMS; i++) {
            highest[i] = -INFINITY;
            total[i] = 0;
        }
        for (int j0 = lowest(step, t.firstRow, a.window); j0 <= t.lastRow; j0 += KEYS) {
            products(a, t, j0, item0, tile, queries, loaded, p);
            int j = j0 + lane;
#pragma unroll
            for (int i = 0; i < WARP_ITEMS; i++) {
                int row = t.start + min(item0 + i, t.items - 1) / a.heads;
                bool visible = j >= lowest(step, row, a.window) && j <= row;
                float rescale;
                p[i] = soften(visible ? p[i] * scale : -INFINITY, highest[i], total[i], rescale);
#pragma unroll
                for (int c = 0; c < LANE_COLUMNS; c++) {
                    sum[i][c] *= rescale;
                }
            }
            __syncthreads();
            load(a, t, j0, 1, c0, tile);
            __syncthreads();
            add_values(sum, p, tile, lane);
        }
        store(a, t, c0, item0, sum, total, lane);
    }

    static __device__ void add_values(float (&sum)[WARP_ITEMS][LANE_COLUMNS], const float (&p)[WARP_ITEMS], const float* tile, int lane) {
        for (int n = 0; n < KEYS; n++) {
            float v[LANE_COLUMNS];
#pragma unroll
            for (int c = 0; c < LANE_COLUMNS; c++) {
                v[c] = tile[n * PITCH + lane + 32 * c];
            }
#pragma unroll
            for (int i = 0; i < WARP_ITEMS; i++) {
                float weight = __shfl_sync(~0u, p[i], n);
#pragma unroll
                for (int c = 0; c < LANE_COLUMNS; c++) {
                    sum[i][c] = fmaf(weight, v[c], sum[i][c]);
                }
            }
        }
    }

    static __device__ void store(const Attention<T>& a, const Tile& t, int c0, int item0, const float (&sum)[WARP_ITEMS][LANE_COLUMNS],
            const float (&total)[WARP_ITEMS], int lane) {
#pragma unroll
        for (int i = 0; i < WARP_ITEMS; i++) {
            if (item0 + i < t.items) {
                int item = item0 + i;
                T* out = a.out + (size_t) (t.start + item / a.heads) * a.outStride + item % a.heads * a.width + c0;
#pragma unroll
                for (int c = 0; c < LANE_COLUMNS; c++) {
                    if (c0 + lane + 32 * c < a.width) {
                        out[lane + 32 * c] = from_float<T>(sum[i][c] / total[i]);
                    }
                }
            }
        }
    }
};

} // namespace
