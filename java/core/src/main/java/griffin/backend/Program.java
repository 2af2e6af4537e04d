package griffin.backend;

/** A recorded list of operations with fixed arguments; see {@link Backend#record}. */
public interface Program {

    /** Number of operations recorded. */
    int size();
}
