package griffin.backend.cpu;

/** Lets the benchmarks run single kernels, which the backend keeps to itself. */
public final class KernelLoops {

    private static final Kernels KERNELS = KernelChoice.vectors(VectorWidth.FLOATS.vectorBitSize());

    private KernelLoops() {}

    /** A backend with vectors from the start; an ordinary one begins with scalar kernels and would be timed with them. */
    public static CpuBackend vectorBackend(int threads) {
        return new CpuBackend(threads, new KernelChoice(KERNELS, "vectors"));
    }

    /**
     * The RG-LRU of channels [from, from + n) over {@code rows} rows, given gate pre-activations. As in the model, the kernel works in place on a
     * copy of them in the cache; a row begins {@code stride} after the one before, so with 0 nothing but arithmetic is left.
     */
    public static void lru(float[] zi, float[] zr, float[] decay, float[] x, float[] h, float[] out, int rows, int stride, int from,
            int n) {
        float[] gates = new float[2 * n];
        for (int t = 0; t < rows; t++) {
            int at = t * stride + from;
            System.arraycopy(zi, at, gates, 0, n);
            System.arraycopy(zr, at, gates, n, n);
            KERNELS.lru(gates, 0, gates, n, decay, from, x, at, t == 0, h, from, out, at, n);
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
