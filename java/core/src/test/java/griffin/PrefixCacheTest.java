package griffin;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.error.InvalidRequestException;
import griffin.error.StateFormatException;
import griffin.session.Packing;
import griffin.session.SavedStates;
import griffin.session.StateSnapshot;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The prefix cache against a plain map: what it finds is right, is the longest that it has, and fits its budgets. */
class PrefixCacheTest {

    private static final int MOST_TOKENS = 24;

    @TempDir
    private Path folder;

    private static PrefixCache.Builder builder() {
        return PrefixCache.builder().identity(SamplePrefixes.IDENTITY);
    }

    private static void put(PrefixCache cache, int... ids) {
        cache.put(ids, ids.length, SamplePrefixes.snapshot(SamplePrefixes.IDENTITY, ids, ids.length),
                SamplePrefixes.logits(ids, ids.length));
    }

    private static String key(int[] ids, int length) {
        return Arrays.toString(Arrays.copyOf(ids, length));
    }

    /** What is found is what was put for exactly these tokens. */
    private static void checkHit(PrefixCache.Hit hit, int[] ids, String what) {
        int[] expected = SavedStates.words(SamplePrefixes.snapshot(SamplePrefixes.IDENTITY, ids, hit.tokens()));
        assertArrayEquals(expected, SavedStates.words(StateSnapshot.repack(hit.snapshot(), Packing.NONE)), what);
        if (hit.logits() != null) {
            assertArrayEquals(SamplePrefixes.logits(ids, hit.tokens()), hit.logits(), what);
        }
    }

    /**
     * Thousands of random operations. With room for all, exactly what the map has is found; with less, whatever is found is right and the
     * longest of what the cache says it has.
     */
    @ParameterizedTest
    @CsvSource({"1000000000,false,NONE,1000000000", "6000,false,NONE,0", "0,false,NONE,0", "1000000000,true,LOSSLESS,1000000000",
        "4000,true,NONE,1000000000", "4000,true,LOSSLESS,9000", "0,true,NONE,9000", "20000,true,NONE,3000"})
    void agreesWithAMap(long memory, boolean disk, StateCompression compression, long diskBudget) throws InterruptedException {
        Random random = new Random(21 + memory);
        Map<String, Integer> model = new HashMap<>();
        PrefixCache.Builder builder = builder().memory(memory).compression(compression).diskBudget(diskBudget)
                .directory(disk ? folder : null);
        boolean all = memory == 1_000_000_000 || diskBudget == 1_000_000_000;
        PrefixCache cache = builder.build();
        int found = 0;
        for (int i = 0; i < (disk ? 1_500 : 6_000); i++) {
            int[] ids = SamplePrefixes.ids(random, MOST_TOKENS);
            switch (random.nextInt(disk ? 12 : 3)) {
                case 0, 3, 4, 5 -> {
                    int length = 1 + random.nextInt(ids.length);
                    cache.put(ids, length, SamplePrefixes.snapshot(SamplePrefixes.IDENTITY, ids, length),
                            random.nextBoolean() ? SamplePrefixes.logits(ids, length) : null);
                    model.put(key(ids, length), length);
                    if (all && memory == 4000) {
                        cache.flush(); // what memory has no room for must have gone to disk first
                    }
                }
                case 11 -> {
                    cache.close();
                    cache = builder.build();
                }
                default -> found += search(cache, ids, model, all);
            }
            checkBudgets(cache.statistics(), disk ? folder : null);
        }
        cache.close();
        CacheStatistics s = cache.statistics();
        assertTrue(found > 200 || memory == 0 && !disk || found > 20 && !all, found + " found");
        assertEquals("", s.lastFailure());
        assertEquals(0, s.refusedFiles());
    }

    private static int search(PrefixCache cache, int[] ids, Map<String, Integer> model, boolean all) throws InterruptedException {
        cache.flush(); // nothing comes or goes in the background meanwhile
        int longest = 0;
        for (int length = 1; length <= ids.length && all; length++) {
            longest = model.containsKey(key(ids, length)) ? length : longest;
        }
        int held = 0;
        for (int length = 1; length <= ids.length && !all; length++) {
            boolean has = cache.contains(ids, length);
            assertTrue(!has || model.containsKey(key(ids, length)), "only what was put is there");
            held = has ? length : held;
        }
        PrefixCache.Hit hit = cache.find(ids).orElse(null);
        int tokens = hit == null ? 0 : hit.tokens();
        if (all) {
            assertEquals(longest, tokens, key(ids, ids.length));
        } else {
            assertTrue(tokens <= ids.length && tokens == held, "the longest of what it has");
        }
        if (hit != null) {
            checkHit(hit, ids, key(ids, tokens));
        }
        return hit == null ? 0 : 1;
    }

    private static void checkBudgets(CacheStatistics s, Path directory) {
        assertTrue(s.memoryBytes() <= s.memoryBudget(), s::toString);
        assertTrue(directory == null || SamplePrefixes.bytes(directory) <= s.diskBudget(), s::toString);
    }

    /** A long prompt that others continue outlives any number of single ones; one that is no longer asked for does not for ever. */
    @Test
    void sharedPrefixesStayAndAge() {
        int[] shared = new Random(1).ints(200, 0, 40).toArray();
        try (PrefixCache cache = builder().memory(8_000).build()) {
            put(cache, shared);
            Random random = new Random(2);
            for (int i = 0; i < 500; i++) {
                put(cache, random.ints(20, 0, 40).toArray());
                if (i % 10 == 0) {
                    int[] longer = Arrays.copyOf(shared, 230);
                    assertEquals(200, cache.find(longer).orElseThrow().tokens(), "after " + i + " others");
                }
            }
            assertTrue(cache.statistics().evictions() > 400, cache.statistics()::toString);
            for (int i = 0; i < 100_000 && cache.contains(shared, 200); i++) {
                put(cache, random.ints(20, 0, 40).toArray());
            }
            assertFalse(cache.contains(shared, 200), "it has aged");
        }
    }

    @Test
    void logitsThatComeLaterAreTaken() {
        int[] ids = {3, 4, 5};
        try (PrefixCache cache = builder().build()) {
            cache.put(ids, 3, SamplePrefixes.snapshot(SamplePrefixes.IDENTITY, ids, 3), null);
            assertNull(cache.find(ids).orElseThrow().logits());
            put(cache, ids);
            assertNotNull(cache.find(ids).orElseThrow().logits());
            cache.put(ids, 3, SamplePrefixes.snapshot(SamplePrefixes.IDENTITY, ids, 3), null);
            assertNotNull(cache.find(ids).orElseThrow().logits());
        }
    }

    @Test
    void survivesARestart() throws Exception {
        try (PrefixCache cache = builder().directory(folder).compression(StateCompression.LOSSLESS).build()) {
            put(cache, 1, 2, 3);
            put(cache, 1, 2, 3, 4, 5);
        }
        try (PrefixCache cache = builder().directory(folder).build()) {
            assertEquals(2, cache.statistics().diskEntries());
            PrefixCache.Hit hit = cache.find(new int[] {1, 2, 3, 4, 9}).orElseThrow();
            assertEquals(3, hit.tokens());
            checkHit(hit, new int[] {1, 2, 3}, "from disk");
            assertNotNull(hit.logits());
            assertEquals(1, cache.statistics().diskHits());
            cache.find(new int[] {1, 2, 3}).orElseThrow();
            assertEquals(1, cache.statistics().diskHits(), "from memory the second time");
            assertEquals(6, cache.statistics().hitTokens());
        }
    }

    /** Each way in which a file can be another than its name says: refused, removed, and the next shorter prefix serves. */
    @Test
    void damagedFilesAreRefusedAndRemoved() throws Exception {
        int[] ids = {1, 2, 3, 4, 5};
        Random random = new Random(5);
        for (int i = 0; i < 120; i++) {
            try (PrefixCache cache = builder().directory(folder).build()) {
                put(cache, 1, 2, 3);
                put(cache, ids);
            }
            Path longer = SamplePrefixes.files(folder).stream().filter(f -> f.toString().endsWith("-5.prefix")).findFirst().orElseThrow();
            byte[] bytes = Files.readAllBytes(longer);
            int at = random.nextInt(8 * bytes.length);
            bytes[at / 8] ^= (byte) (1 << at % 8);
            Files.write(longer, i % 10 == 0 ? Arrays.copyOf(bytes, random.nextInt(bytes.length)) : bytes);
            try (PrefixCache cache = builder().directory(folder).build()) {
                assertEquals(3, cache.find(ids).orElseThrow().tokens(), "bit " + at);
                assertEquals(1, cache.statistics().refusedFiles());
                assertFalse(Files.exists(longer));
            }
        }
    }

    @Test
    void anotherModelsFileIsRefusedAndRemoved() throws Exception {
        int[] ids = {1, 2, 3};
        byte[] other = SamplePrefixes.identity(2);
        try (PrefixCache cache = builder().directory(folder).build();
                PrefixCache theirs = PrefixCache.builder().identity(other).directory(folder).build()) {
            put(cache, ids);
            theirs.put(ids, 3, SamplePrefixes.snapshot(other, ids, 3), null);
        }
        assertEquals(2, SamplePrefixes.files(folder).size(), "each model has a folder of its own");
        Path first = SamplePrefixes.files(folder).get(0);
        Path second = SamplePrefixes.files(folder).get(1);
        Files.write(first, Files.readAllBytes(second));
        try (PrefixCache cache = builder().directory(folder).build();
                PrefixCache theirs = PrefixCache.builder().identity(other).directory(folder).build()) {
            assertEquals(1, (cache.find(ids).isPresent() ? 1 : 0) + (theirs.find(ids).isPresent() ? 1 : 0));
            assertEquals(1, cache.statistics().refusedFiles() + theirs.statistics().refusedFiles());
            assertFalse(Files.exists(first));
        }
    }

    @Test
    void whatDoesNotBelongIsNotTaken() {
        int[] ids = {1, 2, 3};
        byte[] snapshot = SamplePrefixes.snapshot(SamplePrefixes.IDENTITY, ids, 3);
        try (PrefixCache cache = builder().build()) {
            assertThrows(InvalidRequestException.class, () -> cache.put(ids, 2, snapshot, null));
            assertThrows(InvalidRequestException.class, () -> cache.put(new int[] {1, 2, 4}, 3, snapshot, null));
            assertThrows(InvalidRequestException.class, () -> cache.put(ids, 4, snapshot, null));
            assertThrows(InvalidRequestException.class, () -> cache.put(ids, 0, snapshot, null));
            assertThrows(StateFormatException.class,
                    () -> cache.put(ids, 3, SamplePrefixes.snapshot(SamplePrefixes.identity(9), ids, 3), null));
            assertThrows(StateFormatException.class, () -> cache.put(ids, 3, new byte[200], null));
            assertTrue(cache.find(ids).isEmpty());
            assertEquals(1, cache.statistics().misses());
        }
        assertThrows(InvalidRequestException.class, () -> PrefixCache.builder().build());
        assertThrows(InvalidRequestException.class, () -> builder().memory(-1));
    }

    /** 8 bits lose something once, at once, so that every search finds the same state. */
    @Test
    void eightBitsAreTheSameBeforeAndAfterDisk() throws Exception {
        int[] ids = {1, 2, 3, 4};
        byte[] inMemory;
        try (PrefixCache cache = builder().directory(folder).compression(StateCompression.Q8).build()) {
            put(cache, ids);
            inMemory = cache.find(ids).orElseThrow().snapshot();
            cache.flush();
        }
        try (PrefixCache cache = builder().directory(folder).compression(StateCompression.Q8).build()) {
            assertArrayEquals(inMemory, cache.find(ids).orElseThrow().snapshot());
        }
        assertFalse(Arrays.equals(inMemory, SamplePrefixes.snapshot(SamplePrefixes.IDENTITY, ids, 4)));
    }

    /** Exact states and those in 8 bits share a directory, and neither kind of cache is served the other's. */
    @Test
    void fidelitiesDoNotMix() throws Exception {
        int[] ids = {1, 2, 3, 4};
        byte[] lossy;
        try (PrefixCache cache = builder().directory(folder).compression(StateCompression.Q8).build()) {
            put(cache, ids);
            lossy = cache.find(ids).orElseThrow().snapshot();
        }
        Path lossyFile = SamplePrefixes.files(folder).getFirst();
        try (PrefixCache cache = builder().directory(folder).compression(StateCompression.LOSSLESS).build()) {
            assertTrue(cache.find(ids).isEmpty());
            assertThrows(InvalidRequestException.class, () -> cache.put(ids, 4, lossy, null));
            put(cache, ids);
        }
        Path exactFile = SamplePrefixes.files(folder).stream().filter(file -> !file.equals(lossyFile)).findFirst().orElseThrow();
        try (PrefixCache cache = builder().directory(folder).build()) {
            checkHit(cache.find(ids).orElseThrow(), ids, "exact");
        }
        Files.copy(lossyFile, exactFile, StandardCopyOption.REPLACE_EXISTING);
        try (PrefixCache cache = builder().directory(folder).build()) {
            assertTrue(cache.find(ids).isEmpty(), "also where a file of 8 bits has come among the exact ones");
            assertEquals(1, cache.statistics().refusedFiles());
        }
    }

    /** The directory may be somebody's own: only what the cache has written is removed. */
    @Test
    void othersFilesStay() throws Exception {
        Path theirs = Files.write(Files.createDirectory(folder.resolve("downloads")).resolve("film.part"), new byte[100]);
        Path root = folder.resolve("cache");
        try (PrefixCache cache = builder().directory(folder).build(); PrefixCache made = builder().directory(root).build()) {
            put(cache, 1, 2);
            cache.flush();
            Path beside = Files.write(SamplePrefixes.files(folder).getFirst().resolveSibling("mine.part"), new byte[100]);
            put(cache, 1, 2, 3);
            put(made, 1, 2);
            cache.flush();
            assertTrue(Files.exists(theirs) && Files.exists(beside));
        }
        if (root.getFileSystem().supportedFileAttributeViews().contains("posix")) {
            Path inside = SamplePrefixes.files(root).getFirst().getParent();
            for (Path one : new Path[] {root, inside}) {
                assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(one)), one::toString);
            }
        }
    }

    /** The temporary file of a writer that was killed is removed by the next one who writes. */
    @Test
    void leftoversAreRemoved() throws Exception {
        try (PrefixCache cache = builder().directory(folder).build()) {
            put(cache, 1, 2);
        }
        Path file = SamplePrefixes.files(folder).getFirst();
        Path left = Files.write(file.resolveSibling("." + file.getFileName() + ".1-0.part"), new byte[100]);
        try (PrefixCache cache = builder().directory(folder).build()) {
            assertEquals(1, cache.statistics().diskEntries());
            put(cache, 1, 2, 3);
        }
        assertFalse(Files.exists(left));
    }
}
