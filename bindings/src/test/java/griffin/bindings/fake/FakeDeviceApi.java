package griffin.bindings.fake;

import griffin.bindings.cuda.Cuda;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** The fake's side of versions, errors, devices and contexts. Methods are named and typed like the driver's functions. */
final class FakeDeviceApi {

    private static final Map<Integer, String> ERRORS = errors();

    private FakeDeviceApi() {}

    static int cuInit(int flags) {
        FakeDriver driver = FakeDriver.current();
        driver.initialised = true;
        return driver.devices == 0 ? Cuda.CUDA_ERROR_NO_DEVICE() : Cuda.CUDA_SUCCESS();
    }

    static int cuDriverGetVersion(MemorySegment version) {
        return write(version, FakeDriver.current().version);
    }

    static int cuGetErrorName(int error, MemorySegment name) {
        return text(error, name, ERRORS.get(error));
    }

    static int cuGetErrorString(int error, MemorySegment text) {
        String name = ERRORS.get(error);
        return text(error, text, name == null ? null : name.replace("CUDA_ERROR_", "").replace('_', ' ').toLowerCase(Locale.ROOT));
    }

    static int cuDeviceGetCount(MemorySegment count) {
        return write(count, FakeDriver.current().devices);
    }

    static int cuDeviceGet(MemorySegment device, int ordinal) {
        return isDevice(ordinal) ? write(device, ordinal) : Cuda.CUDA_ERROR_INVALID_DEVICE();
    }

    static int cuDeviceGetName(MemorySegment name, int length, int device) {
        if (!isDevice(device)) {
            return Cuda.CUDA_ERROR_INVALID_DEVICE();
        }
        byte[] bytes = FakeDriver.current().name.getBytes(StandardCharsets.UTF_8);
        MemorySegment target = name.reinterpret(length).fill((byte) 0);
        MemorySegment.copy(bytes, 0, target, ValueLayout.JAVA_BYTE, 0, Math.min(bytes.length, length - 1));
        return Cuda.CUDA_SUCCESS();
    }

    static int cuDeviceGetAttribute(MemorySegment value, int attribute, int device) {
        if (!isDevice(device)) {
            return Cuda.CUDA_ERROR_INVALID_DEVICE();
        }
        return write(value, FakeDriver.current().attributes.getOrDefault(attribute, 0));
    }

    static int cuDeviceTotalMem_v2(MemorySegment bytes, int device) {
        return isDevice(device) ? write(bytes, FakeDriver.current().memory.total) : Cuda.CUDA_ERROR_INVALID_DEVICE();
    }

    static int cuDevicePrimaryCtxRetain(MemorySegment context, int device) {
        if (!isDevice(device)) {
            return Cuda.CUDA_ERROR_INVALID_DEVICE();
        }
        return write(context, MemorySegment.ofAddress(device + 1L));
    }

    static int cuDevicePrimaryCtxRelease_v2(int device) {
        return isDevice(device) ? Cuda.CUDA_SUCCESS() : Cuda.CUDA_ERROR_INVALID_DEVICE();
    }

    static int cuCtxSetCurrent(MemorySegment context) {
        FakeDriver.current().context.set(context);
        return Cuda.CUDA_SUCCESS();
    }

    static int cuCtxSynchronize() {
        return Cuda.CUDA_SUCCESS();
    }

    static int write(MemorySegment target, int value) {
        target.reinterpret(Integer.BYTES).set(ValueLayout.JAVA_INT_UNALIGNED, 0, value);
        return Cuda.CUDA_SUCCESS();
    }

    static int write(MemorySegment target, long value) {
        target.reinterpret(Long.BYTES).set(ValueLayout.JAVA_LONG_UNALIGNED, 0, value);
        return Cuda.CUDA_SUCCESS();
    }

    static int write(MemorySegment target, MemorySegment value) {
        return write(target, value.address());
    }

    private static boolean isDevice(int ordinal) {
        return ordinal >= 0 && ordinal < FakeDriver.current().devices;
    }

    private static int text(int error, MemorySegment target, String text) {
        if (text == null) {
            write(target, 0L);
            return Cuda.CUDA_ERROR_INVALID_VALUE();
        }
        return write(target, Arena.global().allocateFrom(text));
    }

    private static Map<Integer, String> errors() {
        Map<Integer, String> errors = new TreeMap<>();
        try {
            for (Method method : Cuda.class.getMethods()) {
                if (method.getParameterCount() == 0 && method.getName().matches("CUDA_(SUCCESS|ERROR_\\w+)")) {
                    errors.put((int) method.invoke(null), method.getName());
                }
            }
        } catch (ReflectiveOperationException e) {
            throw new LinkageError("Cuda's constants cannot be read", e);
        }
        return errors;
    }
}
