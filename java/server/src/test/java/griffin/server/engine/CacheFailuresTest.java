package griffin.server.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.GenerationListener;
import griffin.GenerationOptions;
import griffin.Griffin;
import griffin.PrefixCache;
import griffin.Session;
import griffin.stories.GriffinStories;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CacheFailuresTest {

    @TempDir
    Path folder;

    /** A folder that a file has taken the place of is told of once, however many states are lost. */
    @Test
    void aFolderThatFailsIsToldOfOnce() throws Exception {
        Path cached = folder.resolve("cache");
        List<String> notices = new ArrayList<>();
        try (Griffin griffin = Griffin.builder(GriffinStories.files()).device("cpu").open(); Session session = griffin.newSession();
                PrefixCache cache = PrefixCache.builder().identity(griffin.modelIdentity()).directory(cached).build()) {
            CacheFailures failures = new CacheFailures(cache, notices::add);
            failures.look();
            assertEquals(List.of(), notices);
            try (Stream<Path> files = Files.walk(cached)) {
                for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(file);
                }
            }
            Files.writeString(cached, "a file");
            int[] ids = griffin.tokenizer().encode("Once upon a time there was a dog");
            for (int length = 1; length <= 2; length++) {
                session.generate(new int[] {ids[length - 1]}, GenerationOptions.DEFAULT.withMaxTokens(0), new GenerationListener() {});
                cache.put(ids, length, session.snapshot(), null);
                cache.flush();
                failures.look();
            }
            assertEquals(2, cache.statistics().unwritten());
            assertEquals(1, notices.size(), notices.toString());
            assertTrue(notices.getFirst().startsWith("the state cache cannot use its folder: "), notices.getFirst());
        }
    }
}
