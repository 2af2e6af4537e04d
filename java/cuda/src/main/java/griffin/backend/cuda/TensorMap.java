package griffin.backend.cuda;

import griffin.bindings.cuda.Cuda;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/** How a kernel's copies see a bfloat16 matrix in device memory: boxes with the 128-byte swizzle, zeros outside. A kernel takes it by value. */
final class TensorMap {

    static final int BYTES = 128;
    static final int ALIGNMENT = 64;

    private TensorMap() {}

    /**
     * Makes a map.
     *
     * @param into       {@link #BYTES} at a multiple of {@link #ALIGNMENT}
     * @param address    of the first element, a multiple of 16
     * @param dimensions elements, the innermost first
     * @param strides    bytes, multiples of 16, of all dimensions but the first
     * @param box        elements of a copy: at most 256 of each dimension, 64 of the first
     */
    static void encode(MemorySegment into, long address, long[] dimensions, long[] strides, int[] box) {
        int[] ones = new int[box.length];
        Arrays.fill(ones, 1);
        try (Arena arena = Arena.ofConfined()) {
            int result = Cuda.cuTensorMapEncodeTiled(into, Cuda.CU_TENSOR_MAP_DATA_TYPE_BFLOAT16(), dimensions.length,
                    MemorySegment.ofAddress(address), arena.allocateFrom(ValueLayout.JAVA_LONG, dimensions),
                    arena.allocateFrom(ValueLayout.JAVA_LONG, strides), arena.allocateFrom(ValueLayout.JAVA_INT, box),
                    arena.allocateFrom(ValueLayout.JAVA_INT, ones), Cuda.CU_TENSOR_MAP_INTERLEAVE_NONE(),
                    Cuda.CU_TENSOR_MAP_SWIZZLE_128B(), Cuda.CU_TENSOR_MAP_L2_PROMOTION_L2_256B(),
                    Cuda.CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE());
            if (result != Cuda.CUDA_SUCCESS()) {
                CudaErrors.check(result,
                        "cuTensorMapEncodeTiled of " + Arrays.toString(dimensions) + " in boxes of " + Arrays.toString(box));
            }
        }
    }
}
