package griffin.backend;

/**
 * What local attention needs to know beside its buffers.
 *
 * @param heads      H query heads, one shared key/value head
 * @param headDim    K
 * @param window     W: a query sees the keys at distance 0..W, W + 1 of them
 * @param rotaryDims the first dims of each head that turn, even: dim i with dim i + rotaryDims/2
 * @param ropeTheta  base of the frequencies
 */
public record AttentionShape(int heads, int headDim, int window, int rotaryDims, float ropeTheta) {

    /** Columns of a row of q|k|v. */
    public int qkvWidth() {
        return (heads + 2) * headDim;
    }

    /** Radians per position of rotary pair i: theta^(-2 i / rotaryDims), in float32 as the reference computes it. */
    public float frequency(int i) {
        return (float) Math.pow(ropeTheta, -2.0 * i / rotaryDims);
    }
}
