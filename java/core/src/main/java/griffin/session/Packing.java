package griffin.session;

/** How the payload of a snapshot is stored; the public face has the same three as {@code StateCompression}. */
public enum Packing {
    /** Every block as it is, in bfloat16 where that is exact, else float32. */
    NONE,
    /** The same numbers, deflated byte plane by byte plane where that is shorter. */
    LOSSLESS,
    /** Keys and values in 8 bits with a scale per row; the rest as {@link #LOSSLESS}. */
    Q8
}
