package griffin;

import java.util.Locale;

/** Why a generation ended. */
public enum FinishReason {
    /** The model said so, by one of its end ids. */
    END,
    /** The token limit was reached. */
    LENGTH,
    /** A stop string appeared. */
    STOP,
    /** {@link Session#cancel()} was called. */
    CANCELLED;

    /** The word used in JSON: end, length, stop, cancelled. */
    public String word() {
        return name().toLowerCase(Locale.ROOT);
    }
}
