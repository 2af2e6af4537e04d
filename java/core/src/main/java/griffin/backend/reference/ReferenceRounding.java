package griffin.backend.reference;

import griffin.backend.DType;
import griffin.backend.TensorPart;
import griffin.backend.host.HostBuffer;
import griffin.backend.host.HostWeight;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/** Weights as a device with bfloat16 operands keeps them. */
final class ReferenceRounding {

    private ReferenceRounding() {}

    static TensorPart[] bfloat16(TensorPart... parts) {
        return Arrays.stream(parts).map(part -> part.dtype() == DType.BF16 ? part : rounded(part)).toArray(TensorPart[]::new);
    }

    private static TensorPart rounded(TensorPart part) {
        float[] row = new float[part.columns()];
        short[] bits = new short[Math.multiplyExact(part.rows(), part.columns())];
        for (int r = 0; r < part.rows(); r++) {
            HostWeight.widen(part, (long) r * row.length, row.length, row, 0);
            for (int c = 0; c < row.length; c++) {
                bits[r * row.length + c] = (short) HostBuffer.bfloat16(row[c]);
            }
        }
        return new TensorPart(DType.BF16, part.rows(), part.columns(), MemorySegment.ofArray(bits));
    }
}
