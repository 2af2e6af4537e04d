package griffin;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.error.InvalidRequestException;
import griffin.error.StateFormatException;
import griffin.sampling.SamplingParams;
import griffin.weights.ModelFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A window other than the trained one is what a config.json with that window would be. */
class WindowTest {

    private static final Path TINY = Path.of("src/test/resources/golden/tiny-a");
    private static final int WINDOW = 5;

    @TempDir
    Path folder;

    private ModelFiles edited() throws IOException {
        Files.copy(TINY.resolve("model.safetensors"), folder.resolve("model.safetensors"));
        String config = Files.readString(TINY.resolve("config.json"));
        String changed = config.replaceAll("\"attention_window_size\": *\\d+", "\"attention_window_size\": " + WINDOW);
        assertTrue(!changed.equals(config), "the window is there to be changed");
        Files.writeString(folder.resolve("config.json"), changed);
        return ModelFiles.of(folder);
    }

    private static List<Integer> generated(Griffin griffin) {
        int[] prompt = IntStream.range(0, 40).map(i -> 3 + i * 7 % 50).toArray();
        try (Session session = griffin.newSession()) {
            return session.generate(prompt, new GenerationOptions(SamplingParams.GREEDY, 30, List.of(), true), new GenerationListener() {})
                    .ids();
        }
    }

    @Test
    void isAsIfTheFileSaidSo() throws IOException {
        List<String> notices = new ArrayList<>();
        try (Griffin changed = Griffin.builder(edited()).device("cpu").open();
                Griffin trained = Griffin.builder(ModelFiles.of(TINY)).device("cpu").open();
                Griffin chosen = Griffin.builder(ModelFiles.of(TINY)).device("cpu").window(WINDOW).notices(notices::add).open()) {
            assertEquals(generated(changed), generated(chosen));
            assertTrue(!generated(trained).equals(generated(chosen)), "the window matters here");
            assertEquals(WINDOW, chosen.config().window());
            assertEquals(1, notices.size());
            assertTrue(notices.getFirst().contains("window is 5 tokens"), notices::toString);
        }
    }

    @Test
    void itsStatesAreNotTheTrainedModels() {
        try (Griffin trained = Griffin.builder(ModelFiles.of(TINY)).device("cpu").open();
                Griffin chosen = Griffin.builder(ModelFiles.of(TINY)).device("cpu").window(WINDOW).open();
                Session session = chosen.newSession()) {
            session.generate(new int[] {2, 5}, GenerationOptions.DEFAULT.withMaxTokens(3), new GenerationListener() {});
            byte[] state = session.snapshot();
            assertThrows(StateFormatException.class, () -> trained.restore(state));
        }
    }

    @Test
    void theTrainedWindowIsNoDeparture() {
        List<String> notices = new ArrayList<>();
        int trained = Griffin.builder(ModelFiles.of(TINY)).device("cpu").info().config().window();
        ModelInfo info = Griffin.builder(ModelFiles.of(TINY)).device("cpu").window(trained).notices(notices::add).info();
        assertEquals(trained, info.config().window());
        assertEquals(List.of(), notices);
        assertThrows(InvalidRequestException.class, () -> Griffin.builder(ModelFiles.of(TINY)).window(-1));
    }
}
