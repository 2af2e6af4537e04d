package griffin.backend.cuda;

import griffin.bindings.cuda.Cuda;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** A device in use: its primary context and the one stream on which everything runs in order. */
final class CudaContext implements AutoCloseable {

    final CudaDriver.Device device;
    /** Lives as long as the context; for what native calls read again and again. */
    final Arena arena = Arena.ofShared();
    final MemorySegment stream;
    /** Whether kernels may overlap their predecessors. */
    final boolean overlap;
    private final MemorySegment context;
    private final int handle;
    private boolean closed;

    CudaContext(CudaDriver.Device device, boolean overlap) {
        this.device = device;
        this.overlap = overlap && device.capability() >= CudaDriver.HOPPER;
        MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
        try {
            CudaErrors.check(Cuda.cuDeviceGet(out, device.index()), "cuDeviceGet");
            handle = out.get(ValueLayout.JAVA_INT, 0);
            CudaErrors.check(Cuda.cuDevicePrimaryCtxRetain(out, handle), "cuDevicePrimaryCtxRetain of cuda:" + device.index());
        } catch (Throwable e) {
            arena.close();
            throw e;
        }
        context = out.get(ValueLayout.ADDRESS, 0);
        try {
            enter();
            CudaErrors.check(Cuda.cuStreamCreate(out, Cuda.CU_STREAM_NON_BLOCKING()), "cuStreamCreate");
            stream = out.get(ValueLayout.ADDRESS, 0);
        } catch (Throwable e) {
            Cuda.cuDevicePrimaryCtxRelease_v2(handle);
            arena.close();
            throw e;
        }
    }

    /**
     * Makes the context the calling thread's: every public call of the backend comes through here. Nothing is remembered, because another
     * device's context may have been made this thread's meanwhile.
     */
    void enter() {
        CudaErrors.check(Cuda.cuCtxSetCurrent(context), "cuCtxSetCurrent");
    }

    /** Waits for all that was queued; the place where a kernel's failure shows. */
    void synchronize(String after) {
        CudaErrors.check(Cuda.cuStreamSynchronize(stream), after);
    }

    /** Free device memory, in bytes. */
    long freeMemory() {
        try (Arena temporary = Arena.ofConfined()) {
            MemorySegment free = temporary.allocate(ValueLayout.JAVA_LONG);
            MemorySegment total = temporary.allocate(ValueLayout.JAVA_LONG);
            CudaErrors.check(Cuda.cuMemGetInfo_v2(free, total), "cuMemGetInfo");
            return free.get(ValueLayout.JAVA_LONG, 0);
        }
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            Cuda.cuStreamDestroy_v2(stream);
            Cuda.cuDevicePrimaryCtxRelease_v2(handle);
            arena.close();
        }
    }
}
