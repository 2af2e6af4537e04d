package griffin;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.session.Packing;
import griffin.session.SavedStates;
import griffin.session.StateSnapshot;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Processes that are killed while they write, that find the disk full, and that share a directory. */
class StateFaultsTest {

    private static final long SECONDS = 120;

    @TempDir
    private Path folder;

    /** Reads lines until there are enough, kills the process as {@code kill -9} does, and reads what it had still said. */
    private static List<String> killedAfter(Process process, int lines, int microseconds) throws Exception {
        List<String> said = new ArrayList<>();
        try (BufferedReader out = process.inputReader(StandardCharsets.UTF_8)) {
            for (String line = out.readLine(); line != null; line = out.readLine()) {
                said.add(line);
                if (said.size() == lines) {
                    TimeUnit.MICROSECONDS.sleep(microseconds); // so that it dies at any point of what it does next
                    process.toHandle().destroyForcibly(); // leaves the pipe as it is, which what was said before is still in
                }
            }
        } finally {
            process.destroyForcibly();
        }
        assertTrue(process.waitFor(SECONDS, TimeUnit.SECONDS));
        assertTrue(said.size() >= lines, () -> "it ended by itself: " + said);
        return said;
    }

    @Test
    void aKilledWriterOfStatesLeavesWholeOnes() throws Exception {
        Random random = new Random(31);
        for (int round = 0; round < 6; round++) {
            Path states = Files.createDirectory(folder.resolve("round" + round));
            List<String> said = killedAfter(WritingChild.start("", "states", states.toString(), "0", "1000000"), 1 + random.nextInt(60),
                    random.nextInt(20_000));
            Map<String, Integer> finished = new HashMap<>();
            for (String line : said) {
                String[] words = line.split(" ");
                assertEquals("state", words[0], line);
                finished.put(words[1], Integer.parseInt(words[2]));
            }
            try (Griffin griffin = TestModels.open(TestModels.TINY, 64)) {
                for (String name : List.of("s0", "s1", "s2")) {
                    Path file = states.resolve(name + StateFolder.EXTENSION);
                    if (finished.containsKey(name) || Files.exists(file)) {
                        try (Session session = griffin.load(file)) {
                            assertTrue(session.length() >= finished.getOrDefault(name, 1), name + " after " + said.getLast());
                        }
                    }
                }
            }
        }
    }

    @Test
    void aKilledPrefixCacheLosesNothingThatWasFinished() throws Exception {
        Random random = new Random(32);
        Map<Long, Boolean> finished = new HashMap<>();
        for (int round = 0; round < 6; round++) {
            long first = 1_000_000L * round;
            Process process = WritingChild.start("", "prefixes", folder.toString(), Long.toString(first), "900000", "1000000000");
            for (String line : killedAfter(process, 1 + random.nextInt(60), random.nextInt(20_000))) {
                assertTrue(line.startsWith("prefix "), line);
                finished.put(Long.parseLong(line.split(" ")[1]), true);
            }
            checkAll(finished, true);
        }
        assertTrue(finished.size() > 30, finished.size() + " were finished");
    }

    /** Every prefix that is found is right; all are found if nothing had to leave. */
    private void checkAll(Map<Long, Boolean> finished, boolean all) {
        try (PrefixCache cache = PrefixCache.builder().identity(SamplePrefixes.IDENTITY).directory(folder).build()) {
            int found = 0;
            for (long seed : finished.keySet()) {
                int[] ids = WritingChild.ids(seed);
                PrefixCache.Hit hit = cache.find(ids).orElse(null);
                if (hit == null) {
                    assertFalse(all, "seed " + seed);
                    continue;
                }
                found++;
                assertTrue(!all || hit.tokens() == ids.length, "seed " + seed);
                assertEquals(-1, Arrays.mismatch(SavedStates.words(SamplePrefixes.snapshot(SamplePrefixes.IDENTITY, ids, hit.tokens())),
                        SavedStates.words(StateSnapshot.repack(hit.snapshot(), Packing.NONE))), "seed " + seed);
            }
            assertTrue(found > 0, "some are found");
            assertEquals(0, cache.statistics().refusedFiles(), "nothing half-written was there");
        }
    }

    /** The system refuses to let a file grow, as it does when a disk is full: what was there stays, and nothing half-written does. */
    @Test
    void aFullDiskLeavesWhatWasThere() throws Exception {
        try (Griffin griffin = TestModels.open(TestModels.TINY, 64); Session session = griffin.newSession()) {
            session.generate(new int[] {2, 5, 7, 9, 11, 13, 15, 17, 19}, GenerationOptions.DEFAULT.withMaxTokens(0),
                    new GenerationListener() {});
            for (int i = 0; i < 3; i++) {
                session.save(folder.resolve("s" + i + ".state"));
            }
        }
        byte[] before = Files.readAllBytes(folder.resolve("s0.state"));
        List<String> said = lines(WritingChild.start("ulimit -f 1;", "states", folder.toString(), "0", "60"));
        assertEquals(60, said.size(), said::toString);
        assertTrue(said.getLast().startsWith("failed the state cannot be written to ") && said.getLast().contains("too large"),
                said::getLast);
        assertTrue(before.length > 1024, "the limit is below a state of full size");
        try (Griffin griffin = TestModels.open(TestModels.TINY, 64)) {
            for (int i = 0; i < 3; i++) {
                griffin.load(folder.resolve("s" + i + ".state")).close();
            }
        }
        assertNothingIsLeft();
    }

    @Test
    void aFullDiskCostsAPrefixCacheItsSecondTierOnly() throws Exception {
        try (PrefixCache cache = PrefixCache.builder().identity(SamplePrefixes.IDENTITY).directory(folder).build()) {
            int[] ids = WritingChild.ids(1);
            cache.put(ids, ids.length, SamplePrefixes.snapshot(SamplePrefixes.IDENTITY, ids, ids.length), null);
        }
        List<String> said = lines(WritingChild.start("ulimit -f 0;", "prefixes", folder.toString(), "2", "20", "1000000"));
        assertEquals(20, said.size(), said::toString);
        assertTrue(said.getLast().startsWith("failed ") && said.getLast().contains("too large"), said::getLast);
        assertNothingIsLeft();
        checkAll(Map.of(1L, true), true);
    }

    private void assertNothingIsLeft() throws IOException {
        try (Stream<Path> tree = Files.walk(folder)) {
            assertEquals(List.of(), tree.filter(file -> file.toString().endsWith(".part")).toList());
        }
    }

    private static List<String> lines(Process process) throws Exception {
        try (BufferedReader out = process.inputReader(StandardCharsets.UTF_8)) {
            List<String> lines = out.lines().toList();
            assertTrue(process.waitFor(SECONDS, TimeUnit.SECONDS));
            assertEquals(0, process.exitValue(), lines::toString);
            return lines;
        } finally {
            process.destroyForcibly();
        }
    }

    /** Three processes write into one directory whose budget is small, and this one reads: nothing wrong, nothing damaged, no more bytes. */
    @Test
    void processesShareADirectory() throws Exception {
        long budget = 20_000;
        List<Process> children = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            children.add(WritingChild.start("", "prefixes", folder.toString(), Long.toString(1_000L * i), "150", Long.toString(budget)));
        }
        Map<Long, Boolean> finished = new HashMap<>();
        int seen = 0;
        try (PrefixCache cache = PrefixCache.builder().identity(SamplePrefixes.IDENTITY).directory(folder).memory(3_000).diskBudget(budget)
                .build()) {
            for (int i = 0; i < 3; i++) {
                try (BufferedReader out = children.get(i).inputReader(StandardCharsets.UTF_8)) {
                    for (String line = out.readLine(); line != null; line = out.readLine()) {
                        assertTrue(line.startsWith("prefix "), line);
                        long seed = Long.parseLong(line.split(" ")[1]);
                        finished.put(seed, true);
                        seen += cache.find(WritingChild.ids(seed)).isPresent() ? 1 : 0;
                        assertTrue(SamplePrefixes.bytes(folder) <= budget, "the budget is kept");
                    }
                }
                assertTrue(children.get(i).waitFor(SECONDS, TimeUnit.SECONDS));
                assertEquals(0, children.get(i).exitValue());
            }
            assertEquals(0, cache.statistics().refusedFiles());
        } finally {
            children.forEach(Process::destroyForcibly);
        }
        assertEquals(450, finished.size());
        assertTrue(seen > 20, seen + " were seen by this process");
        checkAll(finished, false);
    }
}
