package griffin.backend;

import java.util.List;
import java.util.function.Consumer;

/**
 * A kind of device that comes with a module of its own, found through {@link java.util.ServiceLoader}. A provider must load and answer
 * {@link #probe} on every machine, drivers or not.
 */
public interface BackendProvider {

    /**
     * One device, or the reason why there is none.
     *
     * @param index  its number after {@code --device kind:}; -1 when no device was found at all
     * @param usable whether {@link #open} may be tried
     * @param detail what it is, or why it cannot be used and what to do about it
     */
    record Found(int index, boolean usable, String detail) {}

    /**
     * How to open a device.
     *
     * @param index    a device's number
     * @param operands BF16 or F32; see {@link Backend#operandType}
     * @param notices  receives single sentences that the user should read, such as a missing library that makes it slower
     */
    record Options(int index, DType operands, Consumer<String> notices) {}

    /** The word after {@code --device}, such as {@code cuda}. */
    String kind();

    /** All devices of the kind, in the order of their numbers, or one entry that says why there are none. Never throws. */
    List<Found> probe();

    /**
     * Opens a device.
     *
     * @throws griffin.error.BackendUnavailableException when it cannot be used, with reason and remedy
     */
    Backend open(Options options);
}
