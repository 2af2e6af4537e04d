package griffin.backend.cuda;

import griffin.bindings.cuda.CublasLt;
import griffin.bindings.cuda.Cuda;
import griffin.error.DeviceException;
import griffin.error.DeviceMemoryException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The one place where return codes become exceptions. */
final class CudaErrors {

    private CudaErrors() {}

    /**
     * Does nothing after success.
     *
     * @param result what the driver returned
     * @param call   what was called, and on what
     * @throws DeviceMemoryException when device memory ran out
     * @throws DeviceException       after any other failure, with the driver's own text
     */
    static void check(int result, String call) {
        if (result == Cuda.CUDA_SUCCESS()) {
            return;
        }
        String message = call + " failed: " + text(result);
        if (result == Cuda.CUDA_ERROR_OUT_OF_MEMORY()) {
            throw new DeviceMemoryException(message + "; another program may have taken memory meanwhile (nvidia-smi shows them)");
        }
        throw new DeviceException(message);
    }

    /** The driver's name and text of a result. */
    static String text(int result) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment at = arena.allocate(ValueLayout.ADDRESS);
            String name = Cuda.cuGetErrorName(result, at) == Cuda.CUDA_SUCCESS() ? string(at) : "an unknown error";
            String text = Cuda.cuGetErrorString(result, at) == Cuda.CUDA_SUCCESS() ? string(at) : "no text";
            return name + " (" + result + "), " + text;
        }
    }

    /** The same for cuBLASLt. */
    static void checkCublas(int status, String call) {
        if (status != CublasLt.CUBLAS_STATUS_SUCCESS()) {
            String name = CublasLt.cublasLtGetStatusName(status).reinterpret(Long.MAX_VALUE).getString(0);
            String text = CublasLt.cublasLtGetStatusString(status).reinterpret(Long.MAX_VALUE).getString(0);
            throw new DeviceException(call + " failed: " + name + " (" + status + "), " + text);
        }
    }

    private static String string(MemorySegment pointer) {
        return pointer.get(ValueLayout.ADDRESS, 0).reinterpret(Long.MAX_VALUE).getString(0);
    }
}
