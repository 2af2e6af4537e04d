package griffin.backend;

import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** Elements of weights as they lie in safetensors files: little-endian on every machine, at any address. */
public final class LittleEndian {

    /** 16 bits: bfloat16 or float16, as bits. */
    public static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    /** A float32. */
    public static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private LittleEndian() {}
}
