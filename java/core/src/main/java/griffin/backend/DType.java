package griffin.backend;

/** Element types of weights, buffers and states, with the names safetensors files use. */
public enum DType {
    F32(4), BF16(2), F16(2), I32(4);

    private final int bytes;

    DType(int bytes) {
        this.bytes = bytes;
    }

    /** Size of one element, in bytes. */
    public int bytes() {
        return bytes;
    }
}
