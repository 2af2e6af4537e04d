package griffin;

import griffin.error.InvalidRequestException;
import griffin.error.StateFormatException;
import griffin.session.Packing;
import griffin.session.StateSnapshot;
import java.lang.foreign.MemorySegment;
import java.util.Locale;

/** How a saved state is stored. */
public enum StateCompression {

    /** As it is: bfloat16 where a number is one, as most are on a GPU, else float32. */
    NONE(Packing.NONE),

    /** The same numbers in less room, bit for bit. Costs time when it is saved and loaded. */
    LOSSLESS(Packing.LOSSLESS),

    /**
     * Keys and values of the window in 8 bits, with a scale for each row of one token and layer: each number is off by half a scale at most, 1/254 of
     * the largest in its row. The recurrent part is exact. What is generated afterwards may differ.
     */
    Q8(Packing.Q8);

    private final Packing packing;

    StateCompression(Packing packing) {
        this.packing = packing;
    }

    Packing packing() {
        return packing;
    }

    /** The name in options and reports: none, lossless or q8. */
    public String word() {
        return name().toLowerCase(Locale.ROOT);
    }

    /**
     * The compression of that name.
     *
     * @throws InvalidRequestException when there is none
     */
    public static StateCompression of(String word) {
        for (StateCompression compression : values()) {
            if (compression.word().equals(word)) {
                return compression;
            }
        }
        throw new InvalidRequestException("the compression of states must be none, lossless or q8, not '" + word + "'");
    }

    /**
     * A saved state stored this way; what 8 bits have lost stays lost.
     *
     * @param name what messages call the state
     * @throws StateFormatException when it is damaged or no state
     */
    public byte[] apply(byte[] snapshot, String name) {
        StateSnapshot.verify(MemorySegment.ofArray(snapshot), name);
        return StateSnapshot.repack(snapshot, packing);
    }

    static StateCompression of(Packing packing) {
        return values()[packing.ordinal()];
    }
}
