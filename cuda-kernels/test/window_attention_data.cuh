// What the tests of window_attention_test.cu run on: shapes, forms of the kernel, a step's rows and a ring, and the loop they are held against.
// Included after the kernels.
#pragma once

#include "prefill_step.cuh"

namespace {

using namespace frame;

struct Dims {
    int heads, width, window;
    int columns() const { return (heads + 2) * width; }
};

constexpr int LARGE = 196608, SMALL = 98688, WGMMA_BYTES = 197632;

/** How attention is launched: blocks of 128 threads, of 256, or the asynchronous tensor cores, by one block a tile or several. */
enum Form { SMALL_TILES, LARGE_TILES, WGMMA, WGMMA_3, WGMMA_8 };

int splits_of(Form form) {
    return form == WGMMA_3 ? 3 : form == WGMMA_8 ? 8 : 1;
}

/** The forms beside SMALL_TILES that this device and this build have, for K = 256. */
const std::vector<Form>& large_forms() {
    static std::vector<Form> forms;
    static bool known = false;
    if (!known) {
        known = true;
        int bytes, major, minor, compiled;
        CUDA(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0));
        CUDA(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0));
        CUDA(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0));
        CUDA(cudaMemcpyFromSymbol(&compiled, window_attention_wgmma_compiled, sizeof(int)));
        if (bytes >= LARGE) {
            forms.push_back(LARGE_TILES);
        }
        bool hopper = major == 9 && minor == 0;
        if (hopper && compiled) {
            forms.insert(forms.end(), {WGMMA, WGMMA_3, WGMMA_8});
        }
        check(!hopper || compiled, "on compute capability 9.0 the tests are compiled with -gencode arch=compute_90a,code=sm_90a");
    }
    return forms;
}

void launch(Form form, const Step& s, Dims d, const bf16* qkv, int stride, const bf16* keys, const bf16* values, bf16* out, int outStride) {
    int block = form == SMALL_TILES ? 128 : 256, bytes = form == SMALL_TILES ? SMALL : form == LARGE_TILES ? LARGE : WGMMA_BYTES;
    int grid = (int) ((long long) s.maxRows * d.heads / (block / 2)) + s.maxSequences;
    if (form < WGMMA) {
        start(window_attention_prefill_bf16, grid, block, bytes, s, qkv, stride, keys, values, out, outStride, d.heads, d.width, d.window);
        return;
    }
    int splits = splits_of(form);
    size_t items = (size_t) s.maxRows * d.heads;
    static float* partial = nullptr;
    static float2* stats = nullptr;
    static size_t room = 0;
    if (room < splits * items) {
        CUDA(cudaDeviceSynchronize());
        CUDA(cudaFree(partial));
        CUDA(cudaFree(stats));
        room = splits * items;
        CUDA(cudaMalloc(&partial, room * d.width * sizeof(float)));
        CUDA(cudaMalloc(&stats, room * sizeof(float2)));
        CUDA(cudaMemset(partial, 0xff, room * d.width * sizeof(float)));   // NaN
    }
    start(window_attention_prefill_wgmma_bf16, dim3(grid, splits), block, bytes, s, qkv, stride, keys, values, out, outStride, d.heads, d.width,
            d.window, partial, stats);
    if (splits > 1) {
        start(window_attention_merge_bf16, ceil_div((int) items, 8), 256, 0, s, partial, stats, splits, out, outStride, d.heads);
    }
}

void launch(Form, const Step& s, Dims d, const float* qkv, int stride, const float* keys, const float* values, float* out, int outStride) {
    start(window_attention_prefill_f32, (long long) s.maxRows * d.heads / 64 + s.maxSequences, 128, SMALL, s, qkv, stride, keys, values,
            out, outStride, d.heads, d.width, d.window);
}

void launch_store(const Step& s, Dims d, const bf16* qkv, int stride, bf16* keys, bf16* values) {
    start(store_keys_bf16, ceil_div(s.maxRows, 4), 128, 0, s, qkv, stride, keys, values, d.heads, d.width, d.window);
}

void launch_store(const Step& s, Dims d, const float* qkv, int stride, float* keys, float* values) {
    start(store_keys_f32, ceil_div(s.maxRows, 4), 128, 0, s, qkv, stride, keys, values, d.heads, d.width, d.window);
}

/** Rows of q|k|v of a step and rings; a ring row that no position owns holds NaN, which must never be seen. */
template <class T> struct AttentionData {
    Dims dims;
    int stride;
    Array<T> qkv, keys, values, out;

    AttentionData(Dims dims, int rows, int slots, int pad, unsigned long long seed)
        : dims(dims), stride(dims.columns() + pad), qkv((size_t) rows * stride), keys((size_t) slots * dims.window * dims.width),
          values(keys.host.size()), out((size_t) rows * dims.heads * dims.width) {
        Random random(seed);
        qkv.normal(random, 1.5f);
        std::fill(keys.host.begin(), keys.host.end(), narrow<T>(NAN));
        std::fill(values.host.begin(), values.host.end(), narrow<T>(NAN));
    }

    /** Fills the ring of a slot as if `position` rows had been stored. */
    void fill_ring(int slot, int position) {
        Random random(slot * 1000 + position);
        for (int p = std::max(0, position - dims.window); p < position; p++) {
            for (int c = 0; c < dims.width; c++) {
                size_t at = ((size_t) slot * dims.window + p % dims.window) * dims.width + c;
                keys.host[at] = narrow<T>(1.5f * random.normal());
                values.host[at] = narrow<T>(random.normal());
            }
        }
    }

    double key(const TestStep& t, size_t q, int j, int part, int c) const {
        int start = t.rowStarts[q];
        if (j >= start) {
            return qkv.at((size_t) j * stride + (dims.heads + part) * dims.width + c);
        }
        int position = t.sequences[q].positions[0] - (start - j);
        return (part == 0 ? keys : values).at(((size_t) t.sequences[q].slot * dims.window + position % dims.window) * dims.width + c);
    }

    std::vector<double> expected(const TestStep& t) const {
        std::vector<double> result;
        for (size_t q = 0; q < t.sequences.size(); q++) {
            for (int row = t.rowStarts[q]; row < t.rowStarts[q + 1]; row++) {
                int low = row - std::min(dims.window, t.sequences[q].positions[row - t.rowStarts[q]]);
                for (int h = 0; h < dims.heads; h++) {
                    std::vector<double> p;
                    double top = -INFINITY, total = 0;
                    for (int j = low; j <= row; j++) {
                        double dot = 0;
                        for (int c = 0; c < dims.width; c++) {
                            dot += qkv.at((size_t) row * stride + h * dims.width + c) * key(t, q, j, 0, c);
                        }
                        p.push_back(dot / std::sqrt((double) dims.width));
                        top = std::max(top, p.back());
                    }
                    for (double& v : p) {
                        v = std::exp(v - top);
                        total += v;
                    }
                    for (int c = 0; c < dims.width; c++) {
                        double sum = 0;
                        for (int j = low; j <= row; j++) {
                            sum += p[j - low] * key(t, q, j, 1, c);
                        }
                        result.push_back(sum / total);
                    }
                }
            }
        }
        return result;
    }

    void run(const Step& s, int first, Form form) {
        launch(form, s, dims, qkv.device + (size_t) first * stride, stride, keys.device, values.device,
                out.device + (size_t) first * dims.heads * dims.width, dims.heads * dims.width);
    }

    void store(const Step& s, int first) { launch_store(s, dims, qkv.device + (size_t) first * stride, stride, keys.device,
            values.device); }

    std::vector<float> result(int rows) {
        out.download();
        std::vector<float> v((size_t) rows * dims.heads * dims.width);
        for (size_t i = 0; i < v.size(); i++) {
            v[i] = out.at(i);
        }
        return v;
    }
};

} // namespace
