package griffin.hub;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.error.HubException;
import griffin.error.InvalidRequestException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ModelNameTest {

    @ParameterizedTest
    @CsvSource({"recurrentgemma:2b,google/recurrentgemma-2b", "recurrentgemma:2b-it,google/recurrentgemma-2b-it",
        "recurrentgemma:9b,google/recurrentgemma-9b", "recurrentgemma:9b-it,google/recurrentgemma-9b-it",
        "RecurrentGemma:2B-IT,google/recurrentgemma-2b-it", "google/recurrentgemma-2b-it,google/recurrentgemma-2b-it",
        "A.b-c_d/x,A.b-c_d/x", "_a/9,_a/9"})
    void names(String text, String id) {
        assertEquals(id, ModelName.parse(text).toString());
    }

    @ParameterizedTest
    @ValueSource(strings = {"recurrentgemma", "recurrentgemma:", "recurrentgemma:7b", "RECURRENTGEMMA:2b-", "recurrentgemma:2b/x"})
    void unknownTagsListWhatThereIs(String text) {
        String message = assertThrows(InvalidRequestException.class, () -> ModelName.parse(text)).getMessage();
        assertTrue(
                message.contains(text)
                        && message.contains("recurrentgemma:2b, recurrentgemma:2b-it, recurrentgemma:9b, recurrentgemma:9b-it"),
                message);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "/", "a", "a/", "/b", "a/b/c", "../b", "a/..", "./b", "a/.b", "a/b.", "a..b/c", "a--b/c", "a/b\\c", "a/b:c",
        "C:/b", "a/con", "a/Nul.txt", "com1/b", "a b/c", "a/b\n", "a/b\0", "-a/b", "a/\u00e4", "a/b%2e", ".locks/a", ".told/gemma", "~/b"})
    void others(String text) {
        String message = assertThrows(InvalidRequestException.class, () -> ModelName.parse(text)).getMessage();
        assertTrue(message.contains("google/recurrentgemma-2b-it") && message.chars().noneMatch(Character::isISOControl), message);
        int slash = text.indexOf('/');
        if (slash >= 0) {
            assertThrows(InvalidRequestException.class, () -> new ModelName(text.substring(0, slash), text.substring(slash + 1)));
        }
    }

    @Test
    void partsHaveALength() {
        assertEquals(96, ModelName.parse("a".repeat(96) + "/b").owner().length());
        assertThrows(InvalidRequestException.class, () -> ModelName.parse("a/" + "b".repeat(97)));
        assertThrows(InvalidRequestException.class, () -> ModelName.parse("a/" + "b".repeat(1_000_000)));
    }

    /** Whatever is made of the pieces that paths are made of, a name is refused or leads two folders down. */
    @Test
    void noNameLeavesTheStore(@TempDir Path folder) throws IOException {
        List<String> pieces = List.of("..", ".", "/", "\\", "a", "B9", "-", "_", "%2e", "%2F", ":", "~", "\0", "con", "nul", " ", "\u202e",
                "//",
                ".git", "recurrentgemma", "C:", "$HOME", "*", "|", ".locks", "current", "a", "b", "x1", "y-2", "/", "/", "z.w", "Q_");
        Path store = folder.resolve("store");
        Files.createDirectories(store.resolve("inside"));
        Files.writeString(folder.resolve("current"), "0".repeat(40));
        Random random = new Random(5);
        int accepted = 0;
        for (int i = 0; i < 200_000; i++) {
            StringBuilder text = new StringBuilder();
            for (int n = 1 + random.nextInt(7); n > 0; n--) {
                text.append(pieces.get(random.nextInt(pieces.size())));
            }
            ModelName name;
            try {
                name = ModelName.parse(text.toString());
            } catch (InvalidRequestException e) {
                continue;
            }
            accepted++;
            Path path = new ModelFolder(store, name).path();
            assertEquals(path, path.normalize());
            assertEquals(store, path.getParent().getParent(), text::toString);
            assertTrue(ModelStore.of(store).find(name).isEmpty());
            assertEquals("not in", assertThrows(HubException.class, () -> ModelStore.of(store).remove(name)).getMessage()
                    .replaceAll(".* is (not in) .*", "$1"));
        }
        assertTrue(accepted > 500, accepted + " were names");
        try (Stream<Path> left = Files.walk(folder)) {
            assertEquals(4, left.count(), "nothing was made or deleted");
        }
    }
}
