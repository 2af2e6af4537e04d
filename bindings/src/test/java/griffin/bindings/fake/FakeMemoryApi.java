package griffin.bindings.fake;

import griffin.bindings.cuda.CUDA_MEMCPY2D;
import griffin.bindings.cuda.Cuda;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The fake's side of memory and copies. Methods are named and typed like the driver's functions. */
final class FakeMemoryApi {

    private FakeMemoryApi() {}

    static int cuMemGetInfo_v2(MemorySegment free, MemorySegment total) {
        FakeMemory memory = memory();
        FakeDeviceApi.write(free, memory.total - memory.allocatedBytes());
        return FakeDeviceApi.write(total, memory.total);
    }

    static int cuMemAlloc_v2(MemorySegment pointer, long bytes) {
        if (bytes <= 0) {
            return Cuda.CUDA_ERROR_INVALID_VALUE();
        }
        long address = memory().allocate(bytes);
        return address == 0 ? Cuda.CUDA_ERROR_OUT_OF_MEMORY() : FakeDeviceApi.write(pointer, address);
    }

    static int cuMemFree_v2(long pointer) {
        return valid(memory().free(pointer));
    }

    static int cuMemHostAlloc(MemorySegment pointer, long bytes, int flags) {
        return bytes <= 0 ? Cuda.CUDA_ERROR_INVALID_VALUE() : FakeDeviceApi.write(pointer, memory().pin(bytes));
    }

    static int cuMemFreeHost(MemorySegment pointer) {
        return valid(memory().unpin(pointer.address()));
    }

    static int cuMemHostGetDevicePointer_v2(MemorySegment device, MemorySegment host, int flags) {
        return memory().isMapped(host.address()) ? FakeDeviceApi.write(device, host.address()) : Cuda.CUDA_ERROR_INVALID_VALUE();
    }

    static int cuMemHostRegister_v2(MemorySegment pointer, long bytes, int flags) {
        boolean added = memory().register(pointer.address(), bytes);
        return added ? Cuda.CUDA_SUCCESS() : Cuda.CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED();
    }

    static int cuMemHostUnregister(MemorySegment pointer) {
        return valid(memory().unregister(pointer.address()));
    }

    static int cuMemcpyHtoD_v2(long to, MemorySegment from, long bytes) {
        return copy(memory().at(to, bytes), from.reinterpret(bytes));
    }

    static int cuMemcpyDtoH_v2(MemorySegment to, long from, long bytes) {
        return copy(to.reinterpret(bytes), memory().at(from, bytes));
    }

    static int cuMemcpyHtoDAsync_v2(long to, MemorySegment from, long bytes, MemorySegment stream) {
        return issue(stream, graph -> cuMemcpyHtoD_v2(to, from, bytes));
    }

    static int cuMemcpyDtoHAsync_v2(MemorySegment to, long from, long bytes, MemorySegment stream) {
        return issue(stream, graph -> cuMemcpyDtoH_v2(to, from, bytes));
    }

    static int cuMemcpyDtoDAsync_v2(long to, long from, long bytes, MemorySegment stream) {
        return issue(stream, graph -> copy(memory().at(to, bytes), memory().at(from, bytes)));
    }

    static int cuMemcpy2DAsync_v2(MemorySegment copy, MemorySegment stream) {
        MemorySegment c = copy.reinterpret(CUDA_MEMCPY2D.sizeof());
        long width = CUDA_MEMCPY2D.WidthInBytes(c);
        long height = CUDA_MEMCPY2D.Height(c);
        boolean fromHost = CUDA_MEMCPY2D.srcMemoryType(c) == Cuda.CU_MEMORYTYPE_HOST();
        boolean toHost = CUDA_MEMCPY2D.dstMemoryType(c) == Cuda.CU_MEMORYTYPE_HOST();
        long fromPitch = Math.max(width, CUDA_MEMCPY2D.srcPitch(c));
        long toPitch = Math.max(width, CUDA_MEMCPY2D.dstPitch(c));
        long from = (fromHost ? CUDA_MEMCPY2D.srcHost(c).address() : CUDA_MEMCPY2D.srcDevice(c)) + CUDA_MEMCPY2D.srcXInBytes(c)
                + CUDA_MEMCPY2D.srcY(c) * fromPitch;
        long to = (toHost ? CUDA_MEMCPY2D.dstHost(c).address() : CUDA_MEMCPY2D.dstDevice(c)) + CUDA_MEMCPY2D.dstXInBytes(c)
                + CUDA_MEMCPY2D.dstY(c) * toPitch;
        return issue(stream, graph -> {
            int result = Cuda.CUDA_SUCCESS();
            for (long row = 0; row < height && result == Cuda.CUDA_SUCCESS(); row++) {
                result = copy(bytes(toHost, to + row * toPitch, width), bytes(fromHost, from + row * fromPitch, width));
            }
            return result;
        });
    }

    static int cuMemsetD8Async(long to, byte value, long count, MemorySegment stream) {
        return issue(stream, graph -> {
            MemorySegment target = memory().at(to, count);
            return target == null ? Cuda.CUDA_ERROR_INVALID_VALUE() : valid(target.fill(value) != null);
        });
    }

    static int cuMemsetD32Async(long to, int value, long count, MemorySegment stream) {
        return issue(stream, graph -> {
            MemorySegment target = memory().at(to, count * Integer.BYTES);
            for (long i = 0; target != null && i < count; i++) {
                target.setAtIndex(ValueLayout.JAVA_INT, i, value);
            }
            return valid(target != null);
        });
    }

    private static MemorySegment bytes(boolean host, long address, long bytes) {
        return host ? MemorySegment.ofAddress(address).reinterpret(bytes) : memory().at(address, bytes);
    }

    private static int copy(MemorySegment to, MemorySegment from) {
        if (to == null || from == null) {
            return Cuda.CUDA_ERROR_INVALID_VALUE();
        }
        to.copyFrom(from);
        return Cuda.CUDA_SUCCESS();
    }

    private static int issue(MemorySegment stream, FakeStreams.Work work) {
        return FakeDriver.current().streams.issue(stream, work);
    }

    private static int valid(boolean condition) {
        return condition ? Cuda.CUDA_SUCCESS() : Cuda.CUDA_ERROR_INVALID_VALUE();
    }

    private static FakeMemory memory() {
        return FakeDriver.current().memory;
    }
}
