package griffin.backend.cpu;

/**
 * exp, sigmoid, tanh, gelu and expm1 in float32 from adds, multiplies, fused multiply-adds and one division, so that a vector form
 * of the same steps ({@link VectorElementary}) gives the same bits. Within 2 ulp of exact for exp; the others' absolute errors are
 * below 2e-7.
 */
final class Elementary {

    static final float LOG2E = 1.44269504f;
    static final float LN2_HIGH = 0.693359375f;
    static final float LN2_LOW = -2.12194440e-4f;
    /** Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits. */
    static final float ROUND = 12582912f;
    static final float EXP_MIN = -87f;
    static final float EXP_MAX = 88f;
    /** Taylor coefficients 1/7! ... 1/2!: the remainder is below 6e-9 on |r| <= ln 2 / 2. */
    static final float C7 = 1.9841270e-4f, C6 = 1.3888889e-3f, C5 = 8.3333333e-3f, C4 = 4.1666667e-2f, C3 = 1.6666667e-1f, C2 = 0.5f;
    static final float GELU_A = -1.5957691216f; // -2 sqrt(2/pi)
    static final float GELU_B = 0.044715f;
    /** Where gelu has long been 0; further down, the bounded exp would let v / exp grow again. */
    static final float GELU_MIN = -1e4f;
    /** Below this distance from zero expm1 is its series, above it exp - 1. */
    static final float SERIES = 0.35f;

    private Elementary() {}

    static float exp(float x) {
        float v = Math.min(Math.max(x, EXP_MIN), EXP_MAX);
        float t = Math.fma(v, LOG2E, ROUND);
        float n = t - ROUND;
        float r = Math.fma(n, -LN2_HIGH, v);
        r = Math.fma(n, -LN2_LOW, r);
        float p = Math.fma(C7, r, C6);
        p = Math.fma(p, r, C5);
        p = Math.fma(p, r, C4);
        p = Math.fma(p, r, C3);
        p = Math.fma(p, r, C2);
        p = Math.fma(p, r, 1f);
        p = Math.fma(p, r, 1f);
        return p * Float.intBitsToFloat((Float.floatToRawIntBits(t) + 127) << 23);
    }

    static float sigmoid(float x) {
        return 1f / (1f + exp(-x));
    }

    static float tanh(float x) {
        return 1f - 2f / (1f + exp(2f * x));
    }

    /** 0.5 v (1 + tanh(u)) = v / (1 + exp(-2u)), u = sqrt(2/pi) (v + 0.044715 v^3). */
    static float gelu(float x) {
        float v = Math.max(x, GELU_MIN);
        float u = Math.fma(GELU_B * v, v * v, v);
        return v / (1f + exp(GELU_A * u));
    }

    /** exp(y) - 1 for y <= 0. */
    static float expm1(float y) {
        if (y > -SERIES) {
            float p = Math.fma(C7, y, C6);
            p = Math.fma(p, y, C5);
            p = Math.fma(p, y, C4);
            p = Math.fma(p, y, C3);
            p = Math.fma(p, y, C2);
            p = Math.fma(p, y, 1f);
            return p * y;
        }
        return exp(y) - 1f;
    }
}
