// The kernels the benchmark launches; they are defined by the tests, which include the sources.
#pragma once

#include "../src/common.cuh"

#define LINEAR_PROTOTYPES(R)                                                                                                              \
    extern "C" __global__ void linear_decode_bf16_r##R(const int*, int, int, const bf16*, int, const bf16*, const float*, void*, int,  \
                                                       int, int, int);                                                               \
    extern "C" __global__ void logits_decode_bf16_r##R(const int*, int, int, const bf16*, int, const bf16*, float, float*, int, int, int);
#define TILE_PROTOTYPES(R)                                                                                                               \
    LINEAR_PROTOTYPES(R)                                                                                                               \
    extern "C" __global__ void linear_planes_decode_bf16_r##R(const int*, int, int, const bf16*, int, const bf16*, const float*, float*, \
                                                              int, long long, int, int, int);                                        \
    extern "C" __global__ void gated_linear_decode_bf16_r##R(const int*, int, int, const bf16*, int, const bf16*, const float*, bf16*,  \
                                                             int, int, int);
LINEAR_PROTOTYPES(1)
TILE_PROTOTYPES(8)
TILE_PROTOTYPES(32)
extern "C" __global__ void linear_add_decode_bf16_r1(const int*, int, int, const bf16*, int, const bf16*, const float*, float*, int, int, int);
extern "C" __global__ void norm_linear_decode_bf16_r1(const int*, int, int, const float*, int, const float*, float, const bf16*, const float*,
                                                      void*, int, int, int, int);
extern "C" __global__ void norm_gated_linear_decode_bf16_r1(const int*, int, int, const float*, int, const float*, float, const bf16*,
                                                            const float*, bf16*, int, int, int);
extern "C" __global__ void embed_bf16(Step, const bf16*, float, float*, int, int);
extern "C" __global__ void add_rms_norm_bf16(const int*, int, int, float*, int, const float*, int, const float*, float, bf16*, int, int);
extern "C" __global__ void add_rms_norm_rows_bf16_c2560(const int*, int, int, float*, int, const float*, int, const float*, float, bf16*, int,
                                                        int);
extern "C" __global__ void add_rms_norm_rows_bf16_c4096(const int*, int, int, float*, int, const float*, int, const float*, float, bf16*, int,
                                                        int);
extern "C" __global__ void gated_gelu_bf16(const int*, int, int, const bf16*, int, const bf16*, int, bf16*, int, int);
extern "C" __global__ void add_planes_rms_norm_bf16(const int*, int, int, float*, int, const float*, int, long long, int, const float*, float, bf16*,
                                                    int, int);
extern "C" __global__ void select_rows_bf16(Step, const bf16*, int, bf16*, int, int);
extern "C" __global__ void select_rows_f32(Step, const float*, int, float*, int, int);
extern "C" __global__ void recurrence_decode_bf16(Step, const bf16*, int, const float*, const float*, bf16*, const bf16*, const float*,
                                                  const float*, float*, bf16*, int, int*, int, int, int);
extern "C" __global__ void attention_decode_bf16_c32(Step, const bf16*, int, bf16*, bf16*, bf16*, int, float*, int*, int, int, int, int,
                                                    float, int);
extern "C" __global__ void attention_decode_bf16_c256(Step, const bf16*, int, bf16*, bf16*, bf16*, int, float*, int*, int, int, int, int,
                                                     float, int);
extern "C" __global__ void sample_scan(Step, const float*, int, unsigned*, int, int, unsigned char*);
extern "C" __global__ void sample_filter(Step, const float*, int, unsigned*, int, int, unsigned char*);
extern "C" __global__ void sample_choose(Step, const float*, int, unsigned*, int, int, unsigned char*);
extern "C" __global__ void sample_draw(Step, const float*, int, unsigned*, int, int, unsigned char*);
extern "C" __global__ void advance(Step);
extern "C" __global__ void publish_result(Step);
