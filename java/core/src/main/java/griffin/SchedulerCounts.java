package griffin;

/** What a scheduler has done. Written by its own thread alone, read by any. */
final class SchedulerCounts {

    volatile int running;
    volatile long failed;
    volatile long uncached;
    private volatile long steps;
    private volatile long promptTokens;
    private volatile long generatedTokens;
    private volatile int rowsLastStep;
    private volatile int sequencesLastStep;
    private volatile long cacheHits;
    private volatile long cacheMisses;
    private volatile long cacheTokens;
    private volatile long finished;
    private volatile long cancelled;

    void step(int rows, int sequences, int promptRows) {
        steps++;
        rowsLastStep = rows;
        sequencesLastStep = sequences;
        promptTokens += promptRows;
    }

    void generated(int tokens) {
        generatedTokens += tokens;
    }

    void lookedUp(int tokens) {
        if (tokens > 0) {
            cacheHits++;
            cacheTokens += tokens;
        } else {
            cacheMisses++;
        }
    }

    void ended(FinishReason reason) {
        if (reason == FinishReason.CANCELLED) {
            cancelled++;
        } else {
            finished++;
        }
    }

    SchedulerStatistics statistics(int waiting, int slots, long refused) {
        int taken = running;
        return new SchedulerStatistics(taken, waiting, slots, slots - taken, steps, promptTokens, generatedTokens, rowsLastStep,
                sequencesLastStep, cacheHits, cacheMisses, cacheTokens, uncached, finished, cancelled, failed, refused);
    }
}
