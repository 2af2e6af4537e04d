package griffin.backend;

/**
 * How far a backend may be from {@link griffin.backend.reference.ReferenceBackend} with the same operands, per operation and weight
 * dtype. A value is the allowed |found - expected| = relative * magnitude + absolute + spacing * |expected|, where the magnitude is that
 * of the terms that were added up (so cancellation is not punished), or of the result where nothing is added. With BF16 operands, inputs
 * are such as bfloat16 holds, so that only what is rounded on the way out, or inside a fusion, adds to the float32 column.
 *
 * @param operands   F32 or BF16
 * @param sameOrder  whether fusions add in the order of their default bodies, so that they have the same bits
 */
record Tolerances(DType operands, boolean sameOrder) {

    /** Spacing of float32 numbers just above 1. */
    static final double EPS = 0x1p-23;

    /** The largest distance of neighbouring bfloat16 numbers in proportion to them: 1 has 8 bits. */
    static final double BF16_EPS = 0x1p-7;

    /** @param relative to the magnitude, @param absolute in units of the result, @param spacing to the expected result */
    record Tolerance(double relative, double absolute, double spacing) {
        Tolerance(double relative, double absolute) {
            this(relative, absolute, 0);
        }

        double at(double magnitude, double expected) {
            return relative * magnitude + absolute + spacing * Math.abs(expected);
        }

        Tolerance plus(double more) {
            return new Tolerance(relative + more, absolute, spacing);
        }
    }

    /** For a result stored as an operand: two nearly equal sums may round to neighbours. */
    Tolerance operand(Tolerance t) {
        return operands == DType.BF16 ? new Tolerance(t.relative, t.absolute, BF16_EPS) : t;
    }

    /** Smallest normal number: results below it may be flushed or lose bits. */
    private static final double TINY = 0x1p-126;

    static final Tolerance EXACT = new Tolerance(0, 0, 0);

    /** One multiplication of an exactly widened weight: no room in any dtype. */
    Tolerance embed(DType weights) {
        return switch (weights) {
            case F32, BF16, F16 -> EXACT;
            case I32 -> throw new IllegalArgumentException("no weights of " + weights);
        };
    }

    /** The sum of D squares, a root, two products. */
    Tolerance addRmsNorm(int width) {
        return operand(new Tolerance((4 + 0.5 * Math.sqrt(width)) * EPS, TINY));
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
        return operand(new Tolerance(24 * EPS, TINY));
    }

    /** C + 1 terms. */
    Tolerance causalConv(int taps) {
        return operand(new Tolerance((taps + 2) * EPS, TINY));
    }

    /**
     * Of the largest |x| or |h|: the gates' sums carry errors in proportion to |x|, and the recurrence adds up those of all steps.
     */
    Tolerance rgLru(DType gates, int block, int steps, double largest) {
        return switch (gates) {
            case F32, BF16, F16 -> operand(new Tolerance((32 + 2 * Math.sqrt(block) * (1 + largest)) * EPS * (1 + Math.sqrt(steps))
                    + (operands == DType.BF16 ? gateRounding(largest) : 0), TINY));
            case I32 -> throw new IllegalArgumentException("no weights of " + gates);
        };
    }

    /**
     * A device may keep the gates' sums as operands. Rounding a sum of size s moves a gate by up to 0.37 s / 512 of itself; sums are
     * about as large as x, and beyond 256 the sigmoid is flat whatever the bias of the tests.
     */
    private static double gateRounding(double largest) {
        return 0x1p-9 * (4 + 2 * Math.min(2 * largest, 256));
    }

    /** Two products of exact table values with the pair's length as magnitude. */
    Tolerance rotate() {
        return operand(new Tolerance(2 * EPS, TINY));
    }

    /** Of the largest |value|: scores of size s carry errors of about s EPS into the weights. */
    Tolerance windowAttention(int headDim, int window, double largestScore) {
        double f32 = (16 + Math.sqrt(window) + 4 * largestScore + Math.sqrt(headDim) * largestScore) * EPS;
        return operand(new Tolerance(f32 + (operands == DType.BF16 ? 0x1p-8 : 0), TINY)); // probabilities may be operands, too
    }

    /** Before the cap like {@link #linear}; the cap's slope is at most 1. */
    Tolerance logits(DType weights, int inputs, float cap) {
        return new Tolerance(linear(weights, inputs).relative(), 4 * EPS * cap + TINY);
    }

    /** Of log-probabilities: logits are inputs here, so only the sum of V exponentials is rounded. */
    Tolerance logProbability() {
        return new Tolerance(4 * EPS, 1e-5);
    }

    /**
     * An override against the default body of the same backend: the same bits where nothing is added in another order or left unrounded.
     *
     * @param parts the operation that dominates the error
     */
    Tolerance fusion(Tolerance parts) {
        return sameOrder ? EXACT : operands == DType.BF16 ? parts.plus(2 * BF16_EPS) : parts.plus(parts.relative);
    }
}
