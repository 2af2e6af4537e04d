// attention_decode against plain loops.
#include "../src/window_attention_decode.cu"
#include "attention_launch.cuh"
#include "harness.cuh"

using namespace harness;

namespace {

struct Shape {
    int heads, K, W, rotaryDims;
};

template <class T> struct AttentionCase {
    Shape s;
    int sequences, width, slots;
    std::vector<T> qkv, keys, values;
    HostStep step;

    AttentionCase(Shape shape, const std::vector<int>& positions, int pad)
        : s(shape), sequences(int(positions.size())), width((shape.heads + 2) * shape.K + pad), slots(sequences + 1),
          qkv(random_values<T>(size_t(sequences + 1) * width, 1, 2)), keys(random_values<T>(size_t(slots) * shape.W * shape.K, 2, 2)),
          values(random_values<T>(size_t(slots) * shape.W * shape.K, 3)), step(sequences + 1, sequences + 1, slots - 1) {
        Random random(1);
        for (int q = 0; q < sequences; q++) {
            step.add(sequences - 1 - q, positions[q], 1, true, random, 50);
        }
    }

    std::vector<double> rotated(int q, int head) const {
        const int half = s.rotaryDims / 2, position = step.positions[q];
        const T* x = &qkv[size_t(q) * width + size_t(head) * s.K];
        std::vector<double> y(s.K);
        for (int d = 0; d < s.K; d++) {
            y[d] = host_to_float(x[d]);
        }
        for (int i = 0; i < half; i++) {
            float angle = float(position) * float(std::pow(10000.0, -2.0 * i / s.rotaryDims));
            double cosine = std::cos(double(angle)), sine = std::sin(double(angle)), a = y[i], b = y[i + half];
            y[i] = a * cosine - b * sine;
            y[i + half] = b * cosine + a * sine;
        }
        for (double& v : y) {
            v = host_round<T>(float(v));
        }
        return y;
    }

    void expect(std::vector<double>& out, int stride, std::vector<double>& newKeys, std::vector<double>& newValues) const {
        for (T v : keys) {
            newKeys.push_back(host_to_float(v));
        }
        for (T v : values) {
            newValues.push_back(host_to_float(v));
        }
        for (int q = 0; q < sequences; q++) {
            const int position = step.positions[q], oldest = std::max(0, position - s.W), slot = step.slots[q];
            const std::vector<double> key = rotated(q, s.heads);
            const T* value = &qkv[size_t(q) * width + size_t(s.heads + 1) * s.K];
            for (int head = 0; head < s.heads; head++) {
                const std::vector<double> query = rotated(q, head);
                std::vector<double> scores, sum(s.K);
                double max = -INFINITY, total = 0;
                for (int p = oldest; p <= position; p++) {
                    double dot = 0;
                    for (int d = 0; d < s.K; d++) {
                        dot += query[d] * (p == position ? key[d] : double(host_to_float(keys[(size_t(slot) * s.W + p % s.W) * s.K + d])));
                    }
                    scores.push_back(dot / std::sqrt(double(s.K)));
                    max = std::max(max, scores.back());
                }
                for (int p = oldest; p <= position; p++) {
                    double weight = std::exp(scores[p - oldest] - max);
                    total += weight;
                    for (int d = 0; d < s.K; d++) {
                        sum[d] += weight * host_to_float(p == position ? value[d] : values[(size_t(slot) * s.W + p % s.W) * s.K + d]);
                    }
                }
                for (int d = 0; d < s.K; d++) {
                    out[size_t(q) * stride + size_t(head) * s.K + d] = sum[d] / total;
                }
            }
            for (int d = 0; d < s.K; d++) {
                newKeys[(size_t(slot) * s.W + position % s.W) * s.K + d] = key[d];
                newValues[(size_t(slot) * s.W + position % s.W) * s.K + d] = host_to_float(value[d]);
            }
        }
    }
};

template <class T> void check(Shape s, const std::vector<int>& positions, int splits, int columns, int pad) {
    if (sizeof(T) == 4 && columns != 32) {
        return; // only bf16 has tiles
    }
    AttentionCase<T> c(s, positions, pad);
    DeviceStep step(c.step);
    const int S = c.sequences + 1, stride = s.heads * s.K + pad;
    const AttentionLaunch l = attention_launch(columns, S, s.heads, s.K, s.W, s.rotaryDims, splits);
    Device<T> qkv(c.qkv), keys(c.keys), values(c.values), out(size_t(S) * stride, 0);
    Device<float> scratch(l.scratch, 0xff);
    Device<int> arrivals(l.arrivals, 0);
    auto run = [&](auto kernel) {
        launch(kernel, dim3(unsigned(splits), unsigned(l.groups), unsigned(S)), 256, l.shared, step.step, qkv.data, c.width, keys.data,
               values.data, out.data, stride, scratch.data, arrivals.data, s.heads, s.K, s.W, s.rotaryDims, 10000.0f, splits);
    };
    if constexpr (sizeof(T) == 2) {
        run(columns == 32 ? attention_decode_bf16_c32 : attention_decode_bf16_c256);
    } else {
        run(attention_decode_f32_c32);
    }
    synchronize();
    std::vector<double> want(size_t(S) * stride), newKeys, newValues;
    c.expect(want, stride, newKeys, newValues);
    char what[160];
    std::snprintf(what, sizeof what, "attention_decode_%s_c%d heads %d K %d W %d sequences %d first position %d splits %d", type_name<T>(),
                  columns, s.heads, s.K, s.W, c.sequences, positions.empty() ? -1 : positions[0], splits);
    const bool narrow = sizeof(T) == 2;
    compare(what, out.read(), want, narrow ? 4e-3 : 2e-5, narrow ? 0x1p-7 : 1e-4);
    compare(std::string(what) + " keys", keys.read(), newKeys, narrow ? 1e-3 : 1e-5, narrow ? 0x1p-7 : 1e-5);
    compare(std::string(what) + " values", values.read(), newValues, 0, 0);
    compare_bits(std::string(what) + " arrivals", arrivals.read(), std::vector<int>(arrivals.size, 0));
}

template <class T> void check_type() {
    const std::vector<int> turns[] = {{}, {0}, {1}, {4}, {5}, {6}, {12, 0, 3, 99}};
    for (const std::vector<int>& positions : turns) {
        for (int splits : {1, 2, 5}) {
            check<T>({3, 6, 5, 4}, positions, splits, 32, 0);
            check<T>({1, 31, 5, 16}, positions, splits, 32, 3);
            check<T>({3, 70, 5, 16}, positions, splits, 256, 3);
            check<T>({5, 70, 5, 16}, positions, splits, 32, 0);
            check<T>({10, 256, 64, 128}, positions, splits, 32, 0);
            check<T>({10, 256, 150, 128}, positions, splits, 256, 0);
            check<T>({7, 256, 5, 128}, positions, splits, 32, 0);
            check<T>({7, 256, 5, 128}, positions, splits, 256, 0);
            for (int columns : {32, 256}) {
                check<T>({16, 256, 40, 256}, positions, splits, columns, 8);
            }
        }
    }
    check<T>({17, 256, 40, 128}, {12, 50}, 3, 32, 0);  // too many heads for the tiles
    check<T>({4, 256, 40, 128}, {12, 50}, 3, 32, 3);   // not aligned
    check<T>({4, 256, 40, 128}, {12, 50}, 3, 256, 3);
    check<T>({4, 256, 300, 12}, {700, 50}, 2, 32, 0);  // rotated pairs that no 16 bytes hold
    for (int columns : {32, 256}) {
        check<T>({4, 256, 300, 0}, {700, 299}, 1, columns, 0); // several rounds of a block
    }
    if (brief()) {
        return;
    }
    for (int position : {0, 1, 63, 64, 127, 128, 700, 2047, 2048, 2049, 5000}) {
        for (int columns : {32, 256}) {
            check<T>({10, 256, 2048, 128}, {position}, 16, columns, 0);
        }
    }
    for (int splits : {1, 3, 8, 16}) {
        check<T>({10, 256, 2048, 128}, {3000, 5, 2048}, splits, 256, 0);
    }
    check<T>({16, 256, 2048, 128}, {4100}, 16, 32, 0);
    check<T>({16, 256, 2048, 128}, {4100, 1}, 7, 256, 0);
    check<T>({16, 256, 2048, 128}, {4100, 1}, 32, 32, 0);
}

}  // namespace

void test_attention_decode() {
    check_type<bf16>();
    check_type<float>();
}
