package griffin;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.error.InvalidRequestException;
import griffin.error.StateFormatException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Names of states stay in their folder, whatever they are made of. */
class StateFolderTest {

    private static final String[] PIECES = {"..", ".", "/", "\\", "a", "Z9", "-", "_", " ", "\0", "\n", "%2e", "~", "C:", "con", "nul", "é",
        "\u2215", "\uFF0E", "$HOME", "*", "?", "\"", "<", "|", ".state", "x".repeat(60)};

    @TempDir
    private Path folder;

    @Test
    void noNameLeavesTheFolder() {
        Random random = new Random(41);
        StateFolder states = new StateFolder(folder.resolve("states"));
        int accepted = 0;
        for (int i = 0; i < 200_000; i++) {
            StringBuilder name = new StringBuilder();
            for (int n = random.nextInt(5); n >= 0; n--) {
                name.append(random.nextInt(4) == 0 ? String.valueOf((char) random.nextInt(0x3000)) : PIECES[random.nextInt(PIECES.length)]);
            }
            try {
                Path file = states.path(name.toString());
                assertEquals(states.folder(), file.normalize().getParent(), name.toString());
                assertEquals(name + ".state", file.getFileName().toString());
                assertTrue(name.length() <= 100 && name.chars().allMatch(c -> c < 128), name.toString());
                accepted++;
            } catch (InvalidRequestException e) {
                assertTrue(e.getMessage().contains("cannot be the name of a state"), e.getMessage());
                assertFalse(e.getMessage().contains("\n"), "a message is one line");
            }
        }
        assertTrue(accepted > 1_000, accepted + " were accepted");
    }

    @Test
    void keepsWhatIsWholeAlone() throws Exception {
        StateFolder states = new StateFolder(folder.resolve("some").resolve("states"));
        assertTrue(states.list().isEmpty());
        byte[] snapshot = SamplePrefixes.snapshot(SamplePrefixes.IDENTITY, new int[] {1, 2, 3}, 3);
        assertEquals(3, states.add("one", snapshot, "one", false).tokens());
        assertThrows(InvalidRequestException.class, () -> states.add("one", snapshot, "one", false));
        assertEquals(3, states.add("one", StateCompression.LOSSLESS.apply(snapshot, "one"), "one", true).tokens());
        assertEquals(StateCompression.LOSSLESS, states.info("one").compression());
        byte[] bad = snapshot.clone();
        bad[150] ^= 1;
        assertThrows(StateFormatException.class, () -> states.add("two", bad, "two", false));
        assertFalse(states.contains("two"));
        assertThrows(StateFormatException.class, () -> states.info("two"));
        assertThrows(StateFormatException.class, () -> states.remove("two"));
        Files.write(states.path("bad"), bad);
        Files.writeString(states.folder().resolve("notes.txt"), "no state");
        assertEquals(List.of("bad", "one"), states.list().stream().map(StateFolder.Entry::name).toList());
        assertTrue(states.list().getFirst().problem().isPresent() && states.list().getLast().info().isPresent());
        states.remove("one");
        assertFalse(states.contains("one"));
    }

    /** All begin at once, and each brings a state that can be told from the others'. */
    @Test
    void ofSeveralThatAddANameOneSucceeds() throws Exception {
        int threads = 8;
        CyclicBarrier start = new CyclicBarrier(threads);
        StateFolder states = new StateFolder(folder.resolve("states"));
        try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
            for (int round = 0; round < 10; round++) {
                String name = "round-" + round;
                List<Future<Integer>> adding = new ArrayList<>();
                for (int tokens = 1; tokens <= threads; tokens++) {
                    byte[] snapshot = SamplePrefixes.snapshot(SamplePrefixes.IDENTITY, new int[tokens], tokens);
                    adding.add(pool.submit(() -> {
                        start.await();
                        return states.add(name, snapshot, "a test", false).tokens();
                    }));
                }
                List<Integer> added = new ArrayList<>();
                for (Future<Integer> one : adding) {
                    try {
                        added.add(one.get());
                    } catch (ExecutionException e) {
                        assertInstanceOf(InvalidRequestException.class, e.getCause());
                        assertTrue(e.getCause().getMessage().contains("there is a state " + name), e.getCause().getMessage());
                    }
                }
                assertEquals(List.of(states.info(name).tokens()), added, name);
            }
        }
        try (Stream<Path> files = Files.list(states.folder())) {
            assertEquals(10, files.count(), "nothing else is left");
        }
    }

    @Test
    void theDefaultFollowsTheSystem() {
        assertEquals(Path.of("/x/griffin"), StateFolder.defaultPath(Map.of("XDG_STATE_HOME", "/x")::get));
        Path home = Path.of(System.getProperty("user.home"));
        assertEquals(home.resolve(".local/state/griffin"), StateFolder.defaultPath(Map.of("XDG_STATE_HOME", "relative")::get));
        assertEquals(home.resolve(".local/state/griffin"), StateFolder.defaultPath(name -> null));
    }
}
