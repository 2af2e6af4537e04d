package griffin.backend.host;

import griffin.backend.LittleEndian;
import griffin.backend.TensorPart;
import griffin.backend.Weight;
import griffin.backend.WeightRole;
import java.lang.foreign.MemorySegment;

/**
 * A weight on the host. Large ones stay in the mapped file as {@code parts}; small ones are float32 {@code values}, folded once:
 * 1 + w for norms, -8 softplus(p) for decays.
 *
 * @param values [all elements], or null where the parts are read in place
 */
public record HostWeight(WeightRole role, TensorPart[] parts, float[] values) implements Weight {

    static HostWeight load(WeightRole role, TensorPart... parts) {
        return switch (role) {
            case EMBEDDING, LINEAR, GATES -> new HostWeight(role, parts, null);
            case BIAS, CONV_TAPS -> new HostWeight(role, parts, values(parts));
            case NORM -> {
                float[] w = values(parts);
                for (int i = 0; i < w.length; i++) {
                    w[i] = 1 + w[i];
                }
                yield new HostWeight(role, parts, w);
            }
            case DECAY -> {
                float[] p = values(parts);
                for (int i = 0; i < p.length; i++) {
                    p[i] = (float) (-8 * (Math.max(p[i], 0) + Math.log1p(Math.exp(-Math.abs(p[i])))));
                }
                yield new HostWeight(role, parts, p);
            }
        };
    }

    private static float[] values(TensorPart[] parts) {
        int total = 0;
        for (TensorPart part : parts) {
            total += part.rows() * part.columns();
        }
        float[] out = new float[total];
        int at = 0;
        for (TensorPart part : parts) {
            int count = part.rows() * part.columns();
            widen(part, 0, count, out, at);
            at += count;
        }
        return out;
    }

    /** Elements [from, from + count) of a part as float32. */
    public static void widen(TensorPart part, long from, int count, float[] out, int at) {
        MemorySegment data = part.data();
        switch (part.dtype()) {
            case F32 -> MemorySegment.copy(data, LittleEndian.FLOAT, from * 4, out, at, count);
            case BF16 -> {
                for (int i = 0; i < count; i++) {
                    out[at + i] = Float.intBitsToFloat(data.get(LittleEndian.SHORT, (from + i) * 2) << 16);
                }
            }
            case F16 -> {
                for (int i = 0; i < count; i++) {
                    out[at + i] = Float.float16ToFloat(data.get(LittleEndian.SHORT, (from + i) * 2));
                }
            }
            default -> throw new IllegalArgumentException("weights are F32, BF16 or F16, not " + part.dtype());
        }
    }

    /** Rows of all parts together. */
    public int rows() {
        int total = 0;
        for (TensorPart part : parts) {
            total += part.rows();
        }
        return total;
    }

    /** Columns, the same in every part. */
    public int columns() {
        return parts[0].columns();
    }

    /** The host weight behind an operation's argument. */
    public static HostWeight of(Weight weight) {
        return (HostWeight) weight;
    }

    @Override
    public long bytes() {
        if (values != null) {
            return 4L * values.length;
        }
        long total = 0;
        for (TensorPart part : parts) {
            total += part.data().byteSize();
        }
        return total;
    }
}
