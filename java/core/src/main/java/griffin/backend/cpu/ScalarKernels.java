package griffin.backend.cpu;

import griffin.backend.LittleEndian;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * The kernels without vectors. They run where the vector module is absent, and during the first moments of every process: until
 * the compiler has seen a vector loop often enough, that loop is dozens of times slower than these.
 */
final class ScalarKernels implements Kernels {

    @Override
    public float dot(float[] a, int aAt, float[] b, int bAt, int n, float[] lanes) {
        Arrays.fill(lanes, 0, LANES, 0);
        for (int k = 0; k < n; k++) {
            lanes[k & LANES - 1] = Math.fma(a[aAt + k], b[bAt + k], lanes[k & LANES - 1]);
        }
        return Kernels.reduce(lanes, 0);
    }

    @Override
    public void matvecBf16(MemorySegment w, long wAt, int rows, int n, float[] x, int xAt, float[] out, int outAt, float[] lanes) {
        for (int r = 0; r < rows; r++) {
            Arrays.fill(lanes, 0, LANES, 0);
            long at = (wAt + (long) r * n) * 2;
            int k = 0;
            for (; k + LANES <= n; k += LANES) {
                for (int j = 0; j < LANES; j++) {
                    lanes[j] = Math.fma(Float.intBitsToFloat(w.get(LittleEndian.SHORT, at + 2L * (k + j)) << 16), x[xAt + k + j], lanes[j]);
                }
            }
            for (int j = 0; k + j < n; j++) {
                lanes[j] = Math.fma(Float.intBitsToFloat(w.get(LittleEndian.SHORT, at + 2L * (k + j)) << 16), x[xAt + k + j], lanes[j]);
            }
            out[outAt + r] = Kernels.reduce(lanes, 0);
        }
    }

    @Override
    public void matvecF32(MemorySegment w, long wAt, int rows, int n, float[] x, int xAt, float[] out, int outAt, float[] lanes) {
        for (int r = 0; r < rows; r++) {
            Arrays.fill(lanes, 0, LANES, 0);
            long at = (wAt + (long) r * n) * 4;
            for (int k = 0; k < n; k++) {
                lanes[k & LANES - 1] = Math.fma(w.get(LittleEndian.FLOAT, at + 4L * k), x[xAt + k], lanes[k & LANES - 1]);
            }
            out[outAt + r] = Kernels.reduce(lanes, 0);
        }
    }

    @Override
    public void matmulBf16(MemorySegment w, long wAt, int rows, int n, float[] x, int xAt, int xStride, int m, float[] out, int outAt,
            int outStride, float[] lanes) {
        for (int i = 0; i < m; i++) {
            matvecBf16(w, wAt, rows, n, x, xAt + i * xStride, out, outAt + i * outStride, lanes);
        }
    }

    @Override
    public void addProducts(float[] x, int xAt, int xStride, int m, float[] w, int wAt, int wStride, int rows, int n, float[] sums,
            int sumsAt) {
        for (int i = 0; i < m; i++) {
            for (int r = 0; r < rows; r++) {
                int at = sumsAt + (i * rows + r) * LANES;
                for (int k = 0; k < n; k += LANES) {
                    for (int l = 0; l < LANES; l++) {
                        sums[at + l] = Math.fma(x[xAt + i * xStride + k + l], w[wAt + r * wStride + k + l], sums[at + l]);
                    }
                }
            }
        }
    }

    @Override
    public void matmul(float[] x, int xAt, int xStride, int m, float[] w, int wAt, int wStride, int rows, int n, float[] out, int outAt,
            int outStride, float[] lanes) {
        for (int i = 0; i < m; i++) {
            for (int r = 0; r < rows; r++) {
                out[outAt + i * outStride + r] = dot(w, wAt + r * wStride, x, xAt + i * xStride, n, lanes);
            }
        }
    }

    @Override
    public void matmulRowLanes(float[] x, int xAt, int width, int m, float[] w, int n, float[] bias, int biasAt, float[] out, int outAt,
            int apart, float[] sums) {
        int whole = (n + LANES - 1) / LANES;
        for (int r = 0; r < ROW_LANES_TILE; r++) {
            Arrays.fill(sums, 0, LANES * width, 0);
            for (int k = 0; k < n; k++) {
                int from = xAt + (k % LANES * whole + k / LANES) * width;
                float weight = w[r * ROW_LANES_STRIDE + k];
                int at = k % LANES * width;
                for (int i = 0; i < width; i++) {
                    sums[at + i] = Math.fma(x[from + i], weight, sums[at + i]);
                }
            }
            for (int half = LANES / 2 * width; half >= width; half /= 2) {
                for (int i = 0; i < half; i++) {
                    sums[i] += sums[half + i];
                }
            }
            int row = r % 4 * apart + r / 4;
            for (int i = 0; i < width; i++) {
                out[outAt + row * width + i] = sums[i] + bias[biasAt + row];
            }
        }
    }

    @Override
    public void widenRows(MemorySegment w, long wAt, int apart, int n, float[] out, int outAt) {
        for (int r = 0; r < 4; r++) {
            widenBf16(w, wAt + (long) r * apart * n, n, out, outAt + r * ROW_LANES_STRIDE);
        }
    }

    @Override
    public void transpose(float[] in, int inAt, int inStride, int rows, int columns, float[] out, int outAt, int outStride, float[] room) {
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < columns; c++) {
                out[outAt + c * outStride + r] = in[inAt + r * inStride + c];
            }
        }
    }

    @Override
    public void widenBf16(MemorySegment w, long at, int n, float[] out, int outAt) {
        for (int i = 0; i < n; i++) {
            out[outAt + i] = Float.intBitsToFloat(w.get(LittleEndian.SHORT, (at + i) * 2) << 16);
        }
    }

    @Override
    public void add(float[] x, int xAt, float[] delta, int deltaAt, int n) {
        for (int i = 0; i < n; i++) {
            x[xAt + i] += delta[deltaAt + i];
        }
    }

    @Override
    public void scale(float[] x, int xAt, float s, float[] factor, int n, float[] out, int outAt) {
        for (int i = 0; i < n; i++) {
            out[outAt + i] = x[xAt + i] * s * factor[i];
        }
    }

    @Override
    public void gatedGelu(float[] gate, int gateAt, float[] up, int upAt, float[] out, int outAt, int n, float[] lanes) {
        for (int i = 0; i < n; i++) {
            out[outAt + i] = Elementary.gelu(gate[gateAt + i]) * up[upAt + i];
        }
    }

    @Override
    public void softCap(float[] z, int at, int n, float cap) {
        for (int i = at; i < at + n; i++) {
            z[i] = cap * Elementary.tanh(z[i] / cap);
        }
    }

    @Override
    public void conv(float[][] rows, int[] at, int tapCount, float[] taps, int width, float[] bias, int e0, int n, float[] out,
            int outAt) {
        for (int e = 0; e < n; e++) {
            float sum = bias[e0 + e];
            for (int k = 0; k < tapCount; k++) {
                sum = Math.fma(rows[k][at[k] + e], taps[k * width + e0 + e], sum);
            }
            out[outAt + e] = sum;
        }
    }

    @Override
    public void gateBf16(float[] x, int xAt, MemorySegment w, long wAt, int block, int j0, int n, float[] bias, int biasAt, float[] z,
            int zAt) {
        for (int j = 0; j < n; j++) {
            float sum = bias[biasAt + j];
            for (int i = 0; i < block; i++) {
                float weight = Float.intBitsToFloat(w.get(LittleEndian.SHORT, (wAt + (long) i * block + j0 + j) * 2) << 16);
                sum = Math.fma(x[xAt + i], weight, sum);
            }
            z[zAt + j] = sum;
        }
    }

    @Override
    public void gateF32(float[] x, int xAt, float[] w, int wAt, int block, int j0, int n, float[] bias, int biasAt, float[] z, int zAt) {
        for (int j = 0; j < n; j++) {
            float sum = bias[biasAt + j];
            for (int i = 0; i < block; i++) {
                sum = Math.fma(x[xAt + i], w[wAt + i * block + j0 + j], sum);
            }
            z[zAt + j] = sum;
        }
    }

    @Override
    public void lru(float[] zi, int ziAt, float[] zr, int zrAt, float[] decay, int decayAt, float[] x, int xAt, boolean reset, float[] h,
            int hAt, float[] out, int outAt, int n) {
        for (int e = 0; e < n; e++) {
            float gated = Elementary.sigmoid(zi[ziAt + e]) * x[xAt + e];
            if (!reset) {
                float logA = decay[decayAt + e] * Elementary.sigmoid(zr[zrAt + e]);
                float g = (float) Math.sqrt(-Elementary.expm1(2f * logA));
                gated = Math.fma(Elementary.exp(logA), h[hAt + e], g * gated);
            }
            h[hAt + e] = gated;
            out[outAt + e] = gated;
        }
    }

    @Override
    public void expScaled(float[] s, int at, int n, float max, float scale) {
        for (int i = at; i < at + n; i++) {
            s[i] = Elementary.exp((s[i] - max) * scale);
        }
    }

    @Override
    public void weightedSum(float[] p, int pAt, float[] v, int vAt, int vStride, int count, float[] out, int outAt, int n) {
        for (int j = 0; j < count; j++) {
            for (int d = 0; d < n; d++) {
                out[outAt + d] = Math.fma(p[pAt + j], v[vAt + j * vStride + d], out[outAt + d]);
            }
        }
    }

    @Override
    public float max(float[] s, int at, int n) {
        float max = s[at];
        for (int i = at + 1; i < at + n; i++) {
            max = Math.max(max, s[i]);
        }
        return max;
    }
}
