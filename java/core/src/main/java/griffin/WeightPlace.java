package griffin;

import griffin.backend.Backend;
import griffin.backend.host.HostBackend;
import griffin.error.DeviceMemoryException;
import griffin.error.InvalidRequestException;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalLong;

/** Where a model's weights are when a token reads them. */
public enum WeightPlace {

    /** In the model's files, which are mapped; they stay in memory as long as nothing else needs it. */
    MAPPED("mapped", "mapped from the files"),
    /** In memory of this process, a copy. */
    MEMORY("memory", "copied into memory"),
    /** In the memory of a GPU. */
    DEVICE("device", "copied to the device");

    private final String word;
    private final String words;

    WeightPlace(String word, String words) {
        this.word = word;
        this.words = words;
    }

    /** The words of the places that can be chosen, as {@link GriffinBuilder#weights} takes them. */
    public static List<String> choices() {
        return List.of(MAPPED.word, MEMORY.word);
    }

    /**
     * The place of that word.
     *
     * @throws InvalidRequestException when it is none that can be chosen
     */
    public static WeightPlace of(String word) {
        if (!choices().contains(word)) {
            throw new InvalidRequestException("weights must be " + String.join(" or ", choices()) + ", not '" + word + "'");
        }
        return word.equals(MEMORY.word) ? MEMORY : MAPPED;
    }

    /** This place as it is with a backend: a device has a copy of its own, whatever was chosen. */
    WeightPlace with(Backend backend) {
        return backend instanceof HostBackend ? this : DEVICE;
    }

    /** As in {@link GriffinBuilder#weights}. */
    public String word() {
        return word;
    }

    /** For people. */
    public String words() {
        return words;
    }

    /**
     * What to tell a user about mapped weights that do not fit into memory: then every token reads from the disk what the one before it
     * has pushed out.
     *
     * @param free see {@link FreeMemory}
     */
    Optional<String> warn(long weights, OptionalLong free) {
        if (this != MAPPED || free.isEmpty() || weights <= free.getAsLong()) {
            return Optional.empty();
        }
        return Optional.of("the weights (" + gb(weights) + ") do not fit into the memory that is free (" + gb(free.getAsLong())
                + "): each token reads from disk");
    }

    /** @throws DeviceMemoryException when there is no room for the copy */
    void require(long weights, OptionalLong free) {
        if (free.isPresent() && weights > free.getAsLong()) {
            throw refused(weights, gb(free.getAsLong()) + " are free", null);
        }
    }

    /** That there is no room for the copy. @param cause or null */
    DeviceMemoryException refused(long weights, String found, Throwable cause) {
        return new DeviceMemoryException("the weights (" + gb(weights) + ") cannot be copied into memory: " + found
                + "; leave them in their files, which is the default, or free memory", cause);
    }

    private static String gb(long bytes) {
        return String.format(Locale.ROOT, "%.1f GB", bytes / 1e9);
    }
}
