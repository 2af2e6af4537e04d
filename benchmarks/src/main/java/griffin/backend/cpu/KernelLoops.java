package griffin.backend.cpu;

/** Lets the benchmarks run single kernels, which the backend keeps to itself. */
public final class KernelLoops {

    private static final Kernels KERNELS = KernelChoice.vectors(VectorWidth.FLOATS.vectorBitSize());

    private KernelLoops() {}

    /** The RG-LRU of channels [from, from + n) over {@code rows} rows of {@code width} channels, given gate pre-activations. */
    public static void lru(float[] zi, float[] zr, float[] decay, float[] x, float[] h, float[] out, int rows, int width, int from, int n) {
        for (int t = 0; t < rows; t++) {
            int at = t * width + from;
            KERNELS.lru(zi, at, zr, at, decay, from, x, at, t == 0, h, from, out, at, n);
        }
    }

    /** The same traffic without exp, division or root: h = zr h + zi x. */
    public static void plain(float[] zi, float[] zr, float[] x, float[] h, float[] out, int rows, int width, int from, int n) {
        for (int t = 0; t < rows; t++) {
            int at = t * width + from;
            for (int e = 0; e < n; e++) {
                float next = zr[at + e] * h[from + e] + zi[at + e] * x[at + e];
                h[from + e] = next;
                out[at + e] = next;
            }
        }
    }
}
