package griffin.backend.cuda;

import griffin.bindings.cuda.CUDA_MEMCPY2D;
import griffin.bindings.cuda.Cuda;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Device and pinned memory: allocated once, given back together. One thread at a time uses it; pinned memory may be taken and given back
 * beside it.
 */
final class CudaMemory implements AutoCloseable {

    /** Host memory that the device reads and writes directly. */
    record Mapped(MemorySegment host, long device) {}

    private record Purpose(String use, long bytes) {}

    private final CudaContext context;
    private final List<Long> device = new ArrayList<>();
    private final List<MemorySegment> pinned = Collections.synchronizedList(new ArrayList<>());
    private final Map<Purpose, Long> scratch = new HashMap<>();
    private final Slabs weights = new Slabs(this::allocateUnfilled);

    CudaMemory(CudaContext context) {
        this.context = context;
    }

    /** Zero-filled device memory, aligned to 256 bytes. */
    long allocate(long bytes, String use) {
        long size = Math.max(bytes, 16);
        long address = allocateUnfilled(size, use);
        CudaErrors.check(Cuda.cuMemsetD8Async(address, (byte) 0, size, context.stream), "cuMemsetD8Async");
        return address;
    }

    /** Device memory with anything in it, aligned to 256 bytes, that any stream may use at once. */
    long allocateUnfilled(long size, String use) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.JAVA_LONG);
            CudaErrors.check(Cuda.cuMemAlloc_v2(out, size), "cuMemAlloc of " + size + " bytes for " + use);
            long address = out.get(ValueLayout.JAVA_LONG, 0);
            device.add(address);
            return address;
        }
    }

    /** The weights that are loaded next will have so many bytes together, about. */
    void expectWeights(long bytes) {
        weights.expect(bytes);
    }

    /** Like {@link #allocateUnfilled}, for what is given back only with all the rest. */
    long weight(long bytes, String use) {
        return weights.take(bytes, use);
    }

    /**
     * Memory that operations use one after the other and leave as they need to find it: the same for the same use and size, so that all
     * layers share it.
     */
    long scratch(String use, long bytes) {
        return scratch.computeIfAbsent(new Purpose(use, bytes), purpose -> allocate(bytes, use));
    }

    void free(long address) {
        if (device.contains(address)) {
            CudaErrors.check(Cuda.cuMemFree_v2(address), "cuMemFree");
            device.remove(address);
        }
    }

    /** Pinned host memory, zero-filled. */
    MemorySegment pin(long bytes) {
        return pinUnfilled(bytes).fill((byte) 0);
    }

    /** Pinned host memory with anything in it. */
    MemorySegment pinUnfilled(long bytes) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            int flags = Cuda.CU_MEMHOSTALLOC_PORTABLE() | Cuda.CU_MEMHOSTALLOC_DEVICEMAP();
            CudaErrors.check(Cuda.cuMemHostAlloc(out, bytes, flags), "cuMemHostAlloc of " + bytes + " bytes");
            MemorySegment memory = out.get(ValueLayout.ADDRESS, 0).reinterpret(bytes);
            pinned.add(memory);
            return memory;
        }
    }

    Mapped map(long bytes) {
        MemorySegment host = pin(bytes);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.JAVA_LONG);
            CudaErrors.check(Cuda.cuMemHostGetDevicePointer_v2(out, host, 0), "cuMemHostGetDevicePointer");
            return new Mapped(host, out.get(ValueLayout.JAVA_LONG, 0));
        }
    }

    void unpin(MemorySegment memory) {
        if (pinned.removeIf(other -> other.address() == memory.address())) {
            int result = Cuda.cuMemFreeHost(memory);
            if (result != Cuda.CUDA_SUCCESS()) {
                pinned.add(memory); // closing tries again
            }
            CudaErrors.check(result, "cuMemFreeHost");
        }
    }

    void clear(long address, long bytes) {
        CudaErrors.check(Cuda.cuMemsetD8Async(address, (byte) 0, bytes, context.stream), "cuMemsetD8Async");
    }

    /** Within the device, in the stream's order. */
    void copy(long from, long to, long bytes) {
        CudaErrors.check(Cuda.cuMemcpyDtoDAsync_v2(to, from, bytes, context.stream), "cuMemcpyDtoDAsync");
    }

    /** Copies row-major host elements, of any memory, into a view; returns when done. */
    void write(CudaBuffer to, MemorySegment from) {
        copyRows(to, from, true);
    }

    /** Copies a view out; returns when done. */
    void read(CudaBuffer from, MemorySegment to) {
        copyRows(from, to, false);
    }

    private void copyRows(CudaBuffer buffer, MemorySegment host, boolean toDevice) {
        long width = (long) buffer.columns() * buffer.type().bytes();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment block = host.isNative() ? host : arena.allocate(buffer.bytes(), 16);
            if (toDevice && !host.isNative()) {
                MemorySegment.copy(host, 0, block, 0, buffer.bytes());
            }
            MemorySegment copy = CUDA_MEMCPY2D.allocate(arena).fill((byte) 0);
            long pitch = (long) buffer.stride() * buffer.type().bytes();
            CUDA_MEMCPY2D.WidthInBytes(copy, width);
            CUDA_MEMCPY2D.Height(copy, buffer.rows());
            if (toDevice) {
                CUDA_MEMCPY2D.srcMemoryType(copy, Cuda.CU_MEMORYTYPE_HOST());
                CUDA_MEMCPY2D.srcHost(copy, block);
                CUDA_MEMCPY2D.srcPitch(copy, width);
                CUDA_MEMCPY2D.dstMemoryType(copy, Cuda.CU_MEMORYTYPE_DEVICE());
                CUDA_MEMCPY2D.dstDevice(copy, buffer.address());
                CUDA_MEMCPY2D.dstPitch(copy, pitch);
            } else {
                CUDA_MEMCPY2D.srcMemoryType(copy, Cuda.CU_MEMORYTYPE_DEVICE());
                CUDA_MEMCPY2D.srcDevice(copy, buffer.address());
                CUDA_MEMCPY2D.srcPitch(copy, pitch);
                CUDA_MEMCPY2D.dstMemoryType(copy, Cuda.CU_MEMORYTYPE_HOST());
                CUDA_MEMCPY2D.dstHost(copy, block);
                CUDA_MEMCPY2D.dstPitch(copy, width);
            }
            CudaErrors.check(Cuda.cuMemcpy2DAsync_v2(copy, context.stream), "cuMemcpy2DAsync");
            context.synchronize("a copy between host and device, or a kernel before it,");
            if (!toDevice && !host.isNative()) {
                MemorySegment.copy(block, 0, host, 0, buffer.bytes());
            }
        }
    }

    @Override
    public void close() {
        device.forEach(Cuda::cuMemFree_v2);
        pinned.forEach(Cuda::cuMemFreeHost);
        device.clear();
        pinned.clear();
    }
}
