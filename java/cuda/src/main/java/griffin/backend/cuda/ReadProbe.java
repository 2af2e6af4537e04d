package griffin.backend.cuda;

/** A plain read of device memory, {@code probe_read} of probe.cu: the bandwidth that shares are taken of. */
final class ReadProbe {

    private static final int THREADS = 512;
    private static final int BLOCKS_PER_PROCESSOR = 4;

    private ReadProbe() {}

    /** Blocks of the launch; each writes a sum of 4 bytes. */
    static int blocks(CudaContext context) {
        return BLOCKS_PER_PROCESSOR * context.device.processors();
    }

    /**
     * The launch that reads.
     *
     * @param data  address of {@code bytes} bytes, a multiple of 16
     * @param sums  address of a float for each of {@link #blocks}
     */
    static Launch launch(CudaContext context, CudaKernels kernels, long data, long bytes, long sums) {
        Arguments arguments = new Arguments(context.arena).pointer(data).wide(bytes / 16).pointer(sums);
        int blocks = blocks(context);
        return new Launch(context, kernels.get("probe_read"), arguments, THREADS, 0, (extent, launch) -> launch.grid(blocks, 1, 1));
    }
}
