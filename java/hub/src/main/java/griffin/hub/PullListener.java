package griffin.hub;

/**
 * What a pull tells while it is under way. Calls come from several threads, those that tell something one at a time; none may block for
 * long.
 */
public interface PullListener {

    /**
     * What is about to be fetched, known once the hub has answered.
     *
     * @param name     the model
     * @param hub      the hub's host
     * @param revision the commit
     * @param files    number of files
     * @param bytes    of all files
     * @param present  bytes of these that an earlier pull has left
     */
    record Plan(ModelName name, String hub, String revision, int files, long bytes, long present) {}

    /** The weights are about to be fetched. */
    default void started(Plan plan) {}

    /** So many bytes of so many are there. The first number falls where a file has to be fetched again. */
    default void progress(long bytes, long of) {}

    /** Something the user should know, as a sentence: a file fetched again, a licence. */
    default void note(String sentence) {}

    /** Asked all the time; true ends the pull with a {@link java.util.concurrent.CancellationException}, and keeps what there is. */
    default boolean cancelled() {
        return false;
    }
}
