package griffin;

/**
 * What a {@link PrefixCache} holds and has done. Counters begin with the cache.
 *
 * @param memoryEntries  snapshots in memory
 * @param memoryBytes    bytes of them and of their logits
 * @param memoryBudget   most bytes of that
 * @param diskEntries    snapshots on disk of this model
 * @param diskBytes      bytes of their files
 * @param diskBudget     most bytes of all files in the directory, also of other models; 0 without one
 * @param hits           searches that found something, in memory or on disk
 * @param diskHits       those of them that read a file
 * @param misses         searches that found nothing
 * @param hitTokens      tokens that need not be read again, of all hits
 * @param puts           snapshots taken in
 * @param evictions      snapshots that left memory for others
 * @param refusedFiles   files that were damaged or another model's, and were removed
 * @param unwritten      snapshots that did not go to disk: writing failed, or memory was needed first
 * @param lastFailure    why a file could not be written the last time that happened, else empty
 * @param plainBytes     bytes of all snapshots that were taken in, in float32
 * @param storedBytes    bytes of the same snapshots as they are kept
 */
public record CacheStatistics(int memoryEntries, long memoryBytes, long memoryBudget, int diskEntries, long diskBytes, long diskBudget,
        long hits, long diskHits, long misses, long hitTokens, long puts, long evictions, long refusedFiles, long unwritten,
        String lastFailure, long plainBytes, long storedBytes) {

    /** How many times smaller than in float32 the snapshots are kept; 1 before the first. */
    public double ratio() {
        return storedBytes == 0 ? 1 : (double) plainBytes / storedBytes;
    }
}
