package griffin.backend;

/**
 * How far a backend that computes in float32 may be from {@link griffin.backend.reference.ReferenceBackend}, per operation and weight
 * dtype. A value is the allowed |found - expected| = relative * magnitude + absolute, where the magnitude is that of the terms that were
 * added up (so cancellation is not punished), or of the result where nothing is added. A device that computes in lower precision brings
 * a table of its own.
 */
class Tolerances {

    /** Spacing of float32 numbers just above 1. */
    static final double EPS = 0x1p-23;

    /** @param relative to the magnitude, @param absolute in units of the result */
    record Tolerance(double relative, double absolute) {
        double at(double magnitude) {
            return relative * magnitude + absolute;
        }
    }

    /** Smallest normal number: results below it may be flushed or lose bits. */
    private static final double TINY = 0x1p-126;

    static final Tolerance EXACT = new Tolerance(0, 0);

    /** One multiplication of an exactly widened weight: no room in any dtype. */
    Tolerance embed(DType weights) {
        return switch (weights) {
            case F32, BF16, F16 -> EXACT;
            case I32 -> throw new IllegalArgumentException("no weights of " + weights);
        };
    }

    /** The sum of D squares, a root, two products. */
    Tolerance addRmsNorm(int width) {
        return new Tolerance((4 + 0.5 * Math.sqrt(width)) * EPS, TINY);
    }

    /**
     * I products added in any order; rounding errors grow like sqrt(I), the bound allows twice that. Every dtype is widened exactly, so
     * all have the same bound.
     */
    Tolerance linear(DType weights, int inputs) {
        return switch (weights) {
            case F32, BF16, F16 -> new Tolerance((4 + Math.sqrt(inputs)) * EPS, TINY);
            case I32 -> throw new IllegalArgumentException("no weights of " + weights);
        };
    }

    /** Of |gate| * |up|: exp's argument carries the error of a cubic polynomial. */
    Tolerance gatedGelu() {
        return new Tolerance(24 * EPS, TINY);
    }

    /** C + 1 terms. */
    Tolerance causalConv(int taps) {
        return new Tolerance((taps + 2) * EPS, TINY);
    }

    /**
     * Of the largest |x| or |h|: the gates' sums carry errors in proportion to |x|, and the recurrence adds up those of all steps.
     */
    Tolerance rgLru(DType gates, int block, int steps, double largest) {
        return switch (gates) {
            case F32, BF16, F16 -> new Tolerance((32 + 2 * Math.sqrt(block) * (1 + largest)) * EPS * (1 + Math.sqrt(steps)), TINY);
            case I32 -> throw new IllegalArgumentException("no weights of " + gates);
        };
    }

    /** Two products of exact table values with the pair's length as magnitude. */
    Tolerance rotate() {
        return new Tolerance(2 * EPS, TINY);
    }

    /** Of the largest |value|: scores of size s carry errors of about s EPS into the weights. */
    Tolerance windowAttention(int headDim, int window, double largestScore) {
        return new Tolerance((16 + Math.sqrt(window) + 4 * largestScore + Math.sqrt(headDim) * largestScore) * EPS, TINY);
    }

    /** Before the cap like {@link #linear}; the cap's slope is at most 1. */
    Tolerance logits(DType weights, int inputs, float cap) {
        return new Tolerance(linear(weights, inputs).relative(), 4 * EPS * cap + TINY);
    }

    /** Of log-probabilities: logits are inputs here, so only the sum of V exponentials is rounded. */
    Tolerance logProbability() {
        return new Tolerance(4 * EPS, 1e-5);
    }

    /** An override against the default body of the same backend: the same bits, since nothing is added in another order. */
    Tolerance fusion() {
        return EXACT;
    }
}
