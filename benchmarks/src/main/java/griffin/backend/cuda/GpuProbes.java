package griffin.backend.cuda;

import griffin.backend.DType;
import griffin.backend.WeightRole;
import griffin.bindings.cuda.Cuda;
import griffin.error.DeviceException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import java.util.stream.LongStream;

/**
 * What a card can do, measured with Griffin's own bindings on random normal data: the ceilings that shares are taken of. It lies in the
 * backend's package to use the same context, kernels and cuBLASLt calls as the backend itself.
 */
public final class GpuProbes implements AutoCloseable {

    /** Bytes of the read; a card with less free memory reads half of what is free. */
    public static final long READ_BYTES = 8L << 30;
    /** Rows and columns of the square matrices. */
    public static final int MATRIX = 8192;

    private static final int TABLE = 1 << 14;
    private static final long BLOCK_BYTES = 2L * MATRIX * MATRIX;

    final CudaContext context;
    final CudaSettings settings = CudaSettings.ofSystem();

    /**
     * Opens a device for measuring.
     *
     * @throws griffin.error.BackendUnavailableException when there is none, with reason and remedy
     */
    public GpuProbes(int index) {
        context = new CudaContext(CudaDriver.require(index), false);
    }

    /** The card's name, such as NVIDIA H100 80GB HBM3. */
    public String card() {
        return context.device.name();
    }

    /** The version of CUDA that the driver serves, such as 13.0. */
    public static String driver() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.JAVA_INT);
            CudaErrors.check(Cuda.cuDriverGetVersion(out), "cuDriverGetVersion");
            int version = out.get(ValueLayout.JAVA_INT, 0);
            return version / 1000 + "." + version % 1000 / 10;
        }
    }

    /** Bytes of device memory in use, by whomever. */
    public long usedBytes() {
        context.enter();
        return context.device.memory() - context.freeMemory();
    }

    /** Bytes a second of a plain read. */
    public double read() {
        context.enter();
        try (CudaMemory memory = new CudaMemory(context); CudaKernels kernels = new CudaKernels(settings.kernels())) {
            long bytes = roomFor(READ_BYTES);
            long data = random(memory, bytes);
            int blocks = ReadProbe.blocks(context);
            long sums = memory.allocate(4L * blocks, "a probe");
            Launch launch = ReadProbe.launch(context, kernels, data, bytes, sums);
            double seconds = fastest(() -> launch.issue(new Extent()));
            requireSums(sums, blocks);
            return bytes / seconds;
        }
    }

    /** A block that read random data has a sum that is not zero: a kernel that did nothing must not set a ceiling. */
    private void requireSums(long sums, int blocks) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment host = arena.allocate(ValueLayout.JAVA_INT, blocks);
            CudaErrors.check(Cuda.cuMemcpyDtoH_v2(host, sums, 4L * blocks), "cuMemcpyDtoH");
            for (int i = 0; i < blocks; i++) {
                if (host.getAtIndex(ValueLayout.JAVA_INT, i) == 0) {
                    throw new DeviceException("probe_read gave no sum in block " + i + ": rebuild the kernels with cuda-kernels/build");
                }
            }
        }
    }

    /** Bytes a second of a copy within the device, bytes read plus bytes written. */
    public double copy() {
        context.enter();
        try (CudaMemory memory = new CudaMemory(context)) {
            long bytes = roomFor(READ_BYTES) / 2 / BLOCK_BYTES * BLOCK_BYTES;
            long from = random(memory, bytes);
            long to = memory.allocate(bytes, "a probe");
            return 2.0 * bytes / fastest(() -> memory.copy(from, to, bytes));
        }
    }

    /** Operations a second of a bfloat16 product of two square matrices by cuBLASLt, two for each multiply-add; NaN without cuBLASLt. */
    public double matrix() {
        context.enter();
        if (CublasLtProducts.missing() != null) {
            return Double.NaN;
        }
        try (CudaMemory memory = new CudaMemory(context);
                CublasLtProducts products = new CublasLtProducts(context, memory, DType.BF16, refusal -> {})) {
            CudaBuffer x = new CudaBuffer(DType.BF16, random(memory, BLOCK_BYTES), MATRIX, MATRIX, MATRIX);
            CudaBuffer out = new CudaBuffer(DType.BF16, memory.allocate(BLOCK_BYTES, "a probe"), MATRIX, MATRIX, MATRIX);
            CudaWeight w = new CudaWeight(WeightRole.LINEAR, DType.BF16, random(memory, BLOCK_BYTES), 0, MATRIX, MATRIX, BLOCK_BYTES);
            return 2.0 * MATRIX * MATRIX * MATRIX / fastest(() -> {
                if (!products.multiply(x, w, null, out, MATRIX, false)) {
                    throw new IllegalStateException("cuBLASLt has no algorithm for a product of " + MATRIX + " cubed");
                }
            });
        }
    }

    /** Bytes a second from pinned host memory to the device. */
    public double pinnedCopy() {
        context.enter();
        try (CudaMemory memory = new CudaMemory(context)) {
            long bytes = 4 * BLOCK_BYTES;
            MemorySegment host = memory.pin(bytes);
            for (long at = 0; at < bytes; at += BLOCK_BYTES) {
                fill(host.asSlice(at, BLOCK_BYTES));
            }
            long to = memory.allocate(bytes, "a probe");
            return bytes / fastest(
                    () -> CudaErrors.check(Cuda.cuMemcpyHtoDAsync_v2(to, host, bytes, context.stream), "cuMemcpyHtoDAsync"));
        }
    }

    private long roomFor(long bytes) {
        return Math.min(bytes, context.freeMemory() / 2) / BLOCK_BYTES * BLOCK_BYTES;
    }

    /** Device memory full of random normal bfloat16: one block from the host, copied over and over. */
    long random(CudaMemory memory, long bytes) {
        long address = memory.allocate(bytes, "a probe");
        MemorySegment block = memory.pin(BLOCK_BYTES);
        fill(block);
        CudaErrors.check(Cuda.cuMemcpyHtoDAsync_v2(address, block, Math.min(bytes, BLOCK_BYTES), context.stream), "cuMemcpyHtoDAsync");
        for (long at = BLOCK_BYTES; at < bytes; at += BLOCK_BYTES) {
            memory.copy(address, address + at, Math.min(bytes - at, BLOCK_BYTES));
        }
        context.synchronize("filling a probe");
        memory.unpin(block);
        return address;
    }

    private static void fill(MemorySegment target) {
        short[] table = new short[TABLE];
        Random random = new Random(7);
        for (int i = 0; i < TABLE; i++) {
            table[i] = (short) (Float.floatToRawIntBits((float) random.nextGaussian()) >>> 16);
        }
        long row = 2L * MATRIX;
        LongStream.range(0, target.byteSize() / row).parallel().forEach(r -> {
            long bits = (r + 1) * 0x9E3779B97F4A7C15L;
            for (long at = r * row; at < (r + 1) * row; at += 2) {
                bits = bits * 0x5851F42D4C957F2DL + 0x14057B7EF767814FL;
                target.set(ValueLayout.JAVA_SHORT, at, table[(int) (bits >>> 50)]);
            }
        });
    }

    private double fastest(Runnable work) {
        return GpuClock.fastest(context, work);
    }

    @Override
    public void close() {
        context.close();
    }
}
