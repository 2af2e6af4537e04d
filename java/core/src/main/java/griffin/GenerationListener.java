package griffin;

/** Follows a generation as it happens, on the thread that generates. */
public interface GenerationListener {

    /** A chunk of the prompt was read: {@code tokens} of {@code of} so far. */
    default void promptRead(int tokens, int of) {}

    /** A token was generated. */
    default void token(int id) {}

    /** Text that is complete: never half a character, never the beginning of a stop string. */
    default void text(String piece) {}
}
