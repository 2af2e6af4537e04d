package griffin.server.standin;

public record SchedulerStatistics(int running, int waiting, int slots, int slotsFree, long promptTokens, long generatedTokens, long steps,
        int rowsLastStep, int sequencesLastStep, long cacheHits, long cacheTokens, long cancelled, long finished) {}
