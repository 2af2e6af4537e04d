package griffin;

/**
 * What a {@link Scheduler} does and has done.
 *
 * @param running           generations that have a slot
 * @param waiting           generations that wait for one
 * @param slots             state slots: the most generations at once
 * @param slotsFree         of those, free ones
 * @param steps             steps of the device
 * @param promptTokens      prompt tokens read; those found in the prefix cache are not among them
 * @param generatedTokens   tokens reported
 * @param rowsLastStep      token rows of the last step
 * @param sequencesLastStep sequences of the last step
 * @param cacheHits         prompts of which a prefix was found
 * @param cacheMisses       prompts that were looked for without success
 * @param cacheTokens       prompt tokens that were found
 * @param uncached          states that the prefix cache was to get and that could not be copied for it
 * @param finished          generations that ended by themselves: end id, limit, stop string
 * @param cancelled         generations that were cancelled
 * @param failed            generations that failed
 * @param refused           jobs that were turned away because the queue was full or no more were wanted
 */
public record SchedulerStatistics(int running, int waiting, int slots, int slotsFree, long steps, long promptTokens, long generatedTokens,
        int rowsLastStep, int sequencesLastStep, long cacheHits, long cacheMisses, long cacheTokens, long uncached, long finished,
        long cancelled, long failed, long refused) {}
