package griffin;

import java.util.Objects;

/**
 * What a {@link Scheduler} is to generate. The arrays are the job's own: do not change them afterwards.
 *
 * @param promptIds ids to read, taken as they are (BOS included by the caller); may be empty where a state is resumed
 * @param options   sampling, limit, stop strings; with a limit of 0 tokens the prompt is only read
 * @param resume    a snapshot to go on from ({@link Session#snapshot}), or null to begin with nothing
 * @param keepState whether {@link Completion#state} will be asked for
 */
public record Job(int[] promptIds, GenerationOptions options, byte[] resume, boolean keepState) {

    public Job {
        Objects.requireNonNull(promptIds, "promptIds");
        Objects.requireNonNull(options, "options");
    }

    /** A generation that begins with nothing and leaves nothing. */
    public static Job of(int[] promptIds, GenerationOptions options) {
        return new Job(promptIds, options, null, false);
    }
}
