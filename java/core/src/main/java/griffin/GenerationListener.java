package griffin;

/** Follows a generation as it happens, on the thread that generates. */
public interface GenerationListener {

    /** So many tokens of the prompt's were read: 0 when reading begins, and more after each chunk. */
    default void promptRead(int tokens, int of) {}

    /** A token was generated. */
    default void token(int id) {}

    /** Text that is complete: never half a character, never the beginning of a stop string. */
    default void text(String piece) {}
}
