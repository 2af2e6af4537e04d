package griffin.backend.cuda;

import griffin.backend.DType;
import griffin.backend.Weight;
import griffin.backend.WeightRole;

/**
 * A weight on the device.
 *
 * @param type     BF16 or F32 for EMBEDDING, LINEAR and GATES; F32 for all others
 * @param address  of the elements: [rows, columns]; gates as [2, H, G out, G in], taps as [C, E]
 * @param operands address of a bias in BF16, for products that want it in the type of their result; 0 where rounding would change it
 */
record CudaWeight(WeightRole role, DType type, long address, long operands, int rows, int columns, long bytes) implements Weight {

    static CudaWeight of(Weight weight) {
        return (CudaWeight) weight;
    }

    /** The address, or null where there is no weight. */
    static long addressOf(Weight weight) {
        return weight == null ? 0 : of(weight).address;
    }
}
