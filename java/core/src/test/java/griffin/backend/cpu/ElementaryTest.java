package griffin.backend.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.Seed;
import java.util.Arrays;
import java.util.Random;
import java.util.function.DoubleUnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** The CPU backend's exp, sigmoid, tanh, gelu and expm1 against double precision, and scalar against vector bit for bit. */
@ExtendWith(Seed.class)
class ElementaryTest {

    /** A whole number of vectors of any width. */
    private static final int LENGTH = 20_000;

    private static final float[] SPECIAL = {0f, -0f, Float.MIN_VALUE, -Float.MIN_VALUE, Float.MIN_NORMAL, -Float.MIN_NORMAL, 1e-20f,
        -1e-20f,
        -0.35f, Math.nextUp(-0.35f), Math.nextDown(-0.35f), 86.9f, -86.9f, -87f, -87.1f, 88f, 88.1f, -88.1f, 100f, -100f, 1e4f, -1e4f,
        1e10f, -1e10f, 1e30f, -1e30f, Float.MAX_VALUE, -Float.MAX_VALUE, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY};

    private interface Scalar {
        float at(float x);
    }

    /** out = the function of x, over n elements from at on. */
    private interface Vector {
        void of(float[] x, int at, float[] out, int n);
    }

    private static float[] points(String use, float least, float most) {
        Random random = Seed.random(use);
        float[] out = new float[100_000];
        for (int i = 0; i < out.length; i++) {
            float spread = i % 2 == 0 ? random.nextFloat() : (float) Math.pow(10, -12 * random.nextDouble());
            out[i] = Math.clamp((random.nextBoolean() ? least : most) * spread, least, most);
        }
        return out;
    }

    private static void accurate(String what, float[] points, double relative, double absolute, DoubleUnaryOperator exact, Scalar found) {
        for (float x : points) {
            double expected = exact.applyAsDouble(x);
            double allowed = relative * Math.abs(expected) + absolute;
            assertTrue(Math.abs(found.at(x) - expected) <= allowed, what + "(" + x + ") is " + found.at(x) + ", not " + expected);
        }
    }

    private static double exactGelu(double v) {
        double u = Math.sqrt(2 / Math.PI) * (v + 0.044715 * v * v * v);
        return v == 0 ? 0 : v / (1 + Math.exp(-2 * u));
    }

    @Test
    void exp() {
        accurate("exp", points("exp", -87, 88), 2.5e-7, 0, Math::exp, Elementary::exp);
        accurate("exp", points("exp far", -1000, -87), 0, 2e-38, Math::exp, Elementary::exp); // denormal results and 0: bounded from below
        assertEquals(1, Elementary.exp(0));
        assertEquals(1, Elementary.exp(-0f));
        assertEquals(Elementary.exp(88), Elementary.exp(Float.POSITIVE_INFINITY),
                "bounded from above: finite, so that 1 / (1 + exp) stays a number");
        assertEquals(Elementary.exp(-87), Elementary.exp(Float.NEGATIVE_INFINITY));
    }

    @Test
    void sigmoidAndTanh() {
        accurate("sigmoid", points("sigmoid", -200, 200), 0, 2e-7, v -> 1 / (1 + Math.exp(-v)), Elementary::sigmoid);
        accurate("tanh", points("tanh", -200, 200), 0, 2e-7, Math::tanh, Elementary::tanh);
        accurate("sigmoid", SPECIAL, 0, 2e-7, v -> 1 / (1 + Math.exp(-v)), Elementary::sigmoid);
        accurate("tanh", SPECIAL, 0, 2e-7, Math::tanh, Elementary::tanh);
    }

    @Test
    void gelu() {
        accurate("gelu", points("gelu", -20, 20), 1e-6, 2e-7, ElementaryTest::exactGelu, Elementary::gelu);
        accurate("gelu", points("gelu far", -1e30f, 1e9f), 1e-6, 1e-30, v -> v < -40 ? 0 : exactGelu(v),
                x -> Math.abs(x) < 40 ? (float) exactGelu(x) : Elementary.gelu(x));
        assertEquals(Float.POSITIVE_INFINITY, Elementary.gelu(Float.POSITIVE_INFINITY));
        assertEquals(0, Elementary.gelu(Float.NEGATIVE_INFINITY), 1e-30);
        assertEquals(Float.floatToIntBits(-0f), Float.floatToIntBits(Elementary.gelu(-0f)));
    }

    @Test
    void expm1OfWhatIsNotPositive() {
        accurate("expm1", points("expm1", -100, -1e-12f), 5e-7, 0, Math::expm1, Elementary::expm1);
        accurate("expm1 near zero", new float[] {-Float.MIN_VALUE, -Float.MIN_NORMAL, -1e-40f, -1e-30f, -1e-10f, -0f}, 5e-7, 0, Math::expm1,
                Elementary::expm1);
        assertEquals(-1, Elementary.expm1(Float.NEGATIVE_INFINITY));
    }

    @Test
    void notANumberIsKept() {
        for (Scalar f : new Scalar[] {Elementary::exp, Elementary::sigmoid, Elementary::tanh, Elementary::gelu, Elementary::expm1}) {
            assertTrue(Float.isNaN(f.at(Float.NaN)));
        }
    }

    @Test
    void vectorsGiveTheSameBits() {
        float[] ones = new float[LENGTH];
        Arrays.fill(ones, 1);
        same("exp", Elementary::exp, (x, at, out, n) -> VectorElementary.exp(x, at, 1, out, at, n));
        same("exp(x/8)", x -> Elementary.exp(x * 0.125f), (x, at, out, n) -> VectorElementary.exp(x, at, 0.125f, out, at, n));
        same("expm1", Elementary::expm1, (x, at, out, n) -> VectorElementary.expm1(x, at, 1, out, at, n));
        same("gelu", Elementary::gelu, (x, at, out, n) -> VectorElementary.geluTimes(x, at, ones, at, new float[n], out, at, n));
        same("sigmoid", Elementary::sigmoid, (x, at, out, n) -> {
            System.arraycopy(x, at, out, at, n);
            VectorElementary.sigmoidTimes(out, at, ones, at, n);
        });
        same("tanh", Elementary::tanh, (x, at, out, n) -> {
            System.arraycopy(x, at, out, at, n);
            VectorElementary.tanhTimes(out, at, 1, n);
        });
    }

    private static void same(String what, Scalar scalar, Vector vector) {
        float[] x = Arrays.copyOf(SPECIAL, LENGTH);
        Random random = Seed.random("same " + what);
        for (int i = SPECIAL.length; i < x.length; i++) {
            x[i] = random.nextInt(20) == 0 ? Float.intBitsToFloat(random.nextInt()) : (float) random.nextGaussian() * 30;
        }
        float[] found = new float[x.length];
        int lanes = VectorElementary.F.length();
        for (int i = 0, n; i < x.length; i += n) {
            n = Math.min(lanes * (1 + random.nextInt(9)), x.length - i);
            vector.of(x, i, found, n);
        }
        for (int i = 0; i < x.length; i++) {
            assertEquals(Float.floatToIntBits(scalar.at(x[i])), Float.floatToIntBits(found[i]), what + "(" + x[i] + ")");
        }
    }
}
