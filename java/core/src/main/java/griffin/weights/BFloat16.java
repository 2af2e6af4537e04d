package griffin.weights;

/** Conversion to bfloat16, the upper half of a float. */
public final class BFloat16 {

    private BFloat16() {}

    /** Rounds to nearest, ties to even; NaN stays NaN. */
    public static short of(float value) {
        int bits = Float.floatToRawIntBits(value);
        if (Float.isNaN(value)) {
            return (short) (bits >>> 16 | 0x40);
        }
        return (short) (bits + 0x7FFF + (bits >>> 16 & 1) >>> 16);
    }

    /** Widens exactly. */
    public static float toFloat(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }

    /** The nearest float that is a bfloat16. */
    public static float round(float value) {
        return toFloat(of(value));
    }
}
