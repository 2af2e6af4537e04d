// How the tests and the benchmark of rg_lru.cu launch scans: their operands and the geometry, as the runtime chooses it.
#pragma once

#include "../src/rg_lru.cu"

#include "prefill_step.cuh"

using namespace frame;

namespace {

/** Operands of a scan; rows of x, y and out lie in wider matrices when `pad` is not 0. */
template <class T> struct ScanData {
    int rows, width, slots, stride;
    Array<T> x, gates, y, out;
    Array<float> bias, decay, h;

    ScanData(int rows, int width, int slots, int pad, unsigned long long seed)
        : rows(rows), width(width), slots(slots), stride(width + pad), x((size_t) rows * stride), gates((size_t) 2 * rows * stride),
          y((size_t) rows * stride), out((size_t) rows * stride), bias(2 * width), decay(width), h((size_t) slots * width) {
        Random random(seed);
        x.normal(random);
        gates.normal(random, 2);
        y.normal(random, 1.5f);
        bias.normal(random);
        h.normal(random);
        for (int e = 0; e < width; e++) {   // from decays that a bf16 gate would round to 1, to nearly none
            decay.host[e] = (float) -std::exp(-9 + 11 * random.uniform());
        }
        decay.upload();
    }
    long long plane() const { return (long long) rows * stride; }
};

int attribute(cudaDeviceAttr which) {
    int n;
    CUDA(cudaDeviceGetAttribute(&n, which, 0));
    return n;
}

/** Stages of a block: as many as the kernel is for and the device has shared memory for. */
int most_stages() {
    return std::min(MOST_STAGES, (attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin) - SHARED_BASE) / SHARED_EACH);
}

/** Most blocks of a cluster. */
int most_blocks() { return attribute(cudaDevAttrComputeCapabilityMajor) >= 9 ? 8 : 1; }

/** How a scan is launched; its results must not depend on it. 0: as the runtime does. */
struct Geometry {
    int blocks = 0, clusters = 0, stages = 0, groups = 0;
};

int threads(const Geometry& g) { return WARP * ((WARPS + 1) * g.groups + 1); }
int shared_bytes(const Geometry& g) { return SHARED_BASE + SHARED_EACH * g.stages; }

/** Clusters of so many blocks that run on the device at once. */
int clusters_at_once(int blocks) {
    static int known[9] = {0, attribute(cudaDevAttrMultiProcessorCount)};
    if (known[blocks] == 0) {
        Geometry g = {blocks, 1, most_stages(), std::min(most_stages(), MOST_GROUPS)};
        CUDA(cudaFuncSetAttribute(rg_lru_scan_bf16, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes(g)));
        cudaLaunchAttribute size = {cudaLaunchAttributeClusterDimension, {}, {}};
        size.val.clusterDim = {unsigned(blocks), 1, 1};
        cudaLaunchConfig_t config = {};
        config.gridDim = blocks;
        config.blockDim = threads(g);
        config.dynamicSmemBytes = shared_bytes(g);
        config.attrs = &size;
        config.numAttrs = 1;
        CUDA(cudaOccupancyMaxActiveClusters(&known[blocks], rg_lru_scan_bf16, &config));
    }
    return known[blocks];
}

/** As the runtime launches a step: java/cuda RecurrenceCalls.scanAlone. */
Geometry complete(Geometry g, int across, int tiles) {
    if (g.blocks == 0) {
        g.blocks = 1;
        for (int blocks = 2; blocks <= std::min(most_blocks(), tiles); blocks++) {
            auto work = [&](int b) { return b * std::min(across, clusters_at_once(b)); };
            g.blocks = work(blocks) > work(g.blocks) ? blocks : g.blocks;
        }
    }
    if (g.clusters == 0) {
        g.clusters = std::min(across, clusters_at_once(g.blocks));
    }
    if (g.stages == 0) {
        g.stages = most_stages();
    }
    if (g.groups == 0) {
        g.groups = std::min(g.stages, MOST_GROUPS);
    }
    return g;
}

/** Words that clusters leave for one another; all launches share them, since each leaves them empty. */
Array<unsigned long long>& handover() {
    static Array<unsigned long long> words(132 * 64 * 2);
    return words;
}

template <class T, class K> void launch(K kernel, Geometry geometry, const Step& s, ScanData<T>& d, size_t at, const T* gelu, T* out) {
    int tiles = (int) ((s.maxRows + (TILE_ROWS - 1LL) * s.maxSequences) / TILE_ROWS);
    Geometry g = complete(geometry, ceil_div(d.width, TILE_CHANNELS<T>), tiles);
    start_clusters(g.blocks, kernel, g.clusters * g.blocks, threads(g), shared_bytes(g), s,
            d.x.device + at, d.stride, d.gates.device + at, d.stride, d.plane(), d.bias.device, d.decay.device, d.h.device, gelu, d.stride,
            out, d.stride, handover().device, d.width);
}

void launch(Geometry geometry, const Step& s, ScanData<bf16>& d, size_t at, const bf16* gelu, bf16* out) {
    launch(rg_lru_scan_bf16, geometry, s, d, at, gelu, out);
}

void launch(Geometry geometry, const Step& s, ScanData<float>& d, size_t at, const float* gelu, float* out) {
    launch(rg_lru_scan_f32, geometry, s, d, at, gelu, out);
}

/** Runs the step on rows [first, first + step rows) of the data; no synchronisation. */
template <class T> void scan_rows(const Step& s, ScanData<T>& d, int first, bool gelu, Geometry geometry = {}) {
    size_t at = (size_t) first * d.stride;
    launch(geometry, s, d, at, gelu ? d.y.device + at : nullptr, d.out.device + at);
}

template <class T> void scan(const TestStep& t, ScanData<T>& d, int first, bool gelu, Geometry geometry = {}) {
    scan_rows(t.step, d, first, gelu, geometry);
    finish();
}

} // namespace
