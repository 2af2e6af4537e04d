// kernel_tests --bench-prefill: norms and gated gelus of a step of 2048 rows, in their forms for few rows and for many.
#include "prefill_frame.cuh"
#include "prototypes.cuh"

namespace {

using namespace frame;

constexpr int ROWS = 2048;

PREFILL_BENCH(norms_and_gelus) {
    Array<int> count(1);
    count.host[0] = ROWS;
    count.upload();
    Random random(1);
    for (int D : {2560, 4096}) {
        const int F = 3 * D;
        Array<float> residual((size_t) ROWS * D), scale(D);
        Array<bf16> out((size_t) ROWS * D), both((size_t) ROWS * 2 * F);
        residual.normal(random);
        scale.normal(random, 0.1f, 1);
        both.normal(random);
        const float* none = nullptr;
        const std::string shape = " 2048 x ";
        const double moved = 6.0 * ROWS * D;
        report_bytes("add_rms_norm_bf16" + shape + std::to_string(D), moved, seconds([&] {
            start(add_rms_norm_bf16, ROWS, D / 4, 0, count.device, 0, ROWS, residual.device, D, none, 0, scale.device, 1e-6f, out.device, D, D);
        }));
        auto rows = D > 2560 ? add_rms_norm_rows_bf16_c4096 : add_rms_norm_rows_bf16_c2560;
        report_bytes("add_rms_norm_rows_bf16" + shape + std::to_string(D), moved, seconds([&] {
            start(rows, ROWS / 4, 128, 0, count.device, 0, ROWS, residual.device, D, none, 0, scale.device, 1e-6f, out.device, D, D);
        }));
        for (int vectors : {1, 4}) {
            report_bytes("gated_gelu_bf16" + shape + std::to_string(F) + ", vectors of a thread: " + std::to_string(vectors), 6.0 * ROWS * F,
                    seconds([&] {
                        start(gated_gelu_bf16, dim3(ceil_div(F, 256 * 8 * vectors), ROWS), 256, 0, count.device, 0, ROWS, both.device, 2 * F,
                                both.device + F, 2 * F, both.device, 2 * F, F);
                    }));
        }
    }
}

} // namespace
