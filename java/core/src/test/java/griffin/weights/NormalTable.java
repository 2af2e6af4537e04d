package griffin.weights;

import griffin.backend.DType;
import java.util.function.DoubleUnaryOperator;

/** The 65,536 equally likely quantiles of the normal distribution: a random index of 16 bits draws a normal number. */
final class NormalTable {

    private static final int SIZE = 1 << 16;
    private static final double[] QUANTILES = quantiles();

    private NormalTable() {}

    /** Bit patterns of {@code value(z)} in the given type, for each quantile z. */
    static int[] encode(DoubleUnaryOperator value, DType dtype) {
        int[] bits = new int[SIZE];
        for (int i = 0; i < SIZE; i++) {
            float x = (float) value.applyAsDouble(QUANTILES[i]);
            bits[i] = switch (dtype) {
                case F32 -> Float.floatToRawIntBits(x);
                case BF16 -> BFloat16.of(x);
                case F16 -> Float.floatToFloat16(x);
                default -> throw new IllegalArgumentException(dtype + " is not floating point");
            };
        }
        return bits;
    }

    /** Integrates dz/dp = 1 / density(z) outwards from the median, where z = 0, by the classical Runge-Kutta step. */
    private static double[] quantiles() {
        double[] z = new double[SIZE];
        double step = 1.0 / SIZE;
        double at = step / 2 * slope(0);
        for (int i = SIZE / 2; i < SIZE; i++) {
            z[i] = at;
            z[SIZE - 1 - i] = -at;
            double k1 = slope(at);
            double k2 = slope(at + step / 2 * k1);
            double k3 = slope(at + step / 2 * k2);
            double k4 = slope(at + step * k3);
            at += step / 6 * (k1 + 2 * k2 + 2 * k3 + k4);
        }
        return z;
    }

    private static double slope(double z) {
        return Math.sqrt(2 * Math.PI) * Math.exp(z * z / 2);
    }
}
