package griffin.hub;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/** A stand-in hub with one model of random bytes, an empty store, and little patience. */
abstract class HubTestCase {

    static final ModelName NAME = ModelName.parse("tiny/random");
    static final int RANGE_BYTES = 64 << 10;
    static final int WEIGHT_BYTES = 10 * RANGE_BYTES + 123;
    static final String WEIGHTS = "model.safetensors";
    /** What is read of the repository, as opposed to what else is in it. */
    static final List<String> READ = List.of("LICENSE", "README.md", "config.json", "generation_config.json", WEIGHTS, "tokenizer.json");
    static final Patience PATIENCE =
            new Patience(Duration.ofSeconds(5), Duration.ofSeconds(10), Duration.ofSeconds(10), Duration.ofMillis(1),
                    Duration.ofMillis(5), Duration.ofSeconds(3), 5);
    static final PullLimits LIMITS = new PullLimits(PATIENCE, RANGE_BYTES, DiskFile::open);

    @TempDir
    Path folder;
    Path repository;
    ModelStore store;
    StandInHub hub;
    final Heard heard = new Heard();

    /** A listener that remembers. */
    static final class Heard implements PullListener {
        final List<String> notes = Collections.synchronizedList(new ArrayList<>());
        volatile Plan plan;
        volatile long bytes;
        volatile long of;
        volatile boolean cancelled;

        @Override
        public void started(Plan started) {
            plan = started;
        }

        @Override
        public void progress(long now, long total) {
            bytes = now;
            of = total;
        }

        @Override
        public void note(String sentence) {
            notes.add(sentence);
        }

        @Override
        public boolean cancelled() {
            return cancelled;
        }
    }

    @BeforeEach
    void begin() throws IOException {
        repository = folder.resolve("served/tiny/random");
        Files.createDirectories(repository);
        Files.copy(Path.of("../core/src/test/resources/golden/tiny-a/config.json"), repository.resolve("config.json"));
        for (String text : List.of("LICENSE", "README.md", "generation_config.json", "tokenizer.json", "training.log", "model.gguf")) {
            Files.writeString(repository.resolve(text), "{\"" + text + "\": 1}");
        }
        Files.write(repository.resolve(WEIGHTS), random(1, WEIGHT_BYTES));
        store = ModelStore.of(folder.resolve("store"));
        hub = new StandInHub(folder.resolve("served"));
    }

    @AfterEach
    void end() {
        hub.close();
    }

    static byte[] random(long seed, int bytes) {
        byte[] random = new byte[bytes];
        new Random(seed).nextBytes(random);
        return random;
    }

    HubSettings settings() {
        return HubSettings.of(hub.address().toString(), null, Map.of(), folder);
    }

    HubSettings settings(String token) {
        return new HubSettings(hub.address(), Optional.of(AccessToken.of(token, "a test")), "main", 8);
    }

    Path pull() {
        return store.pull(NAME, settings(), heard, LIMITS);
    }

    /** A pull that fails, and leaves nothing that can be found; returns what it says. */
    String failure(HubSettings settings) {
        RuntimeException e = assertThrows(griffin.error.GriffinException.class, () -> store.pull(NAME, settings, heard, LIMITS));
        assertTrue(store.list().isEmpty() && store.find(NAME).isEmpty(), "half of a model is found");
        return e.getMessage();
    }

    String failure() {
        return failure(settings());
    }

    static void assertContains(String text, String... parts) {
        for (String part : parts) {
            assertTrue(text.contains(part), () -> "no '" + part + "' in: " + text);
        }
    }

    /** The folder has these files of the repository, byte for byte, and no other that shows. */
    void assertWhole(Path found, List<String> names) throws IOException {
        try (Stream<Path> files = Files.list(found)) {
            assertEquals(new TreeSet<>(names), new TreeSet<>(files.map(file -> file.getFileName().toString())
                    .filter(name -> !name.startsWith(".")).toList()));
        }
        for (String name : names) {
            assertArrayEquals(Files.readAllBytes(repository.resolve(name)), Files.readAllBytes(found.resolve(name)), name);
        }
        assertEquals(Optional.of(found), store.find(NAME));
    }

    void assertWhole(Path found) throws IOException {
        assertWhole(found, READ);
    }

    /** The first bytes of the ranges of the weights that the storage was asked for, in order. */
    List<Long> starts() {
        return hub.requests().stream().filter(request -> request.toStorage() && request.range() != null)
                .map(request -> Long.parseLong(request.range().replaceAll("bytes=(\\d+)-.*", "$1"))).sorted().toList();
    }
}
