package griffin.backend.cpu;

/** A thread's own memory for one task. */
final class Scratch {

    /** Partial sums of up to 16 dot products. */
    final float[] lanes = new float[16 * Kernels.LANES];
    /** Partial sums of a product under way. */
    final float[] sums = new float[CpuLinear.sumFloats()];
    /** Weight rows widened to float32. */
    float[] panel = new float[0];
    /** Rows of x side by side. */
    float[] rowLanes = new float[0];
    /** Which ones: {@link CpuBackend#layOuts}. */
    long laidOut;
    /** Attention scores of all heads. */
    float[] scores = new float[0];
    /** Where the rows under the convolution's taps are. */
    final float[][] tapRows = new float[16][];
    final int[] tapAt = new int[16];

    void reserve(int panelFloats, int scoreFloats) {
        if (panel.length < panelFloats) {
            panel = new float[panelFloats];
        }
        if (scores.length < scoreFloats) {
            scores = new float[scoreFloats];
        }
    }
}
