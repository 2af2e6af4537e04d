package griffin;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.error.DeviceMemoryException;
import griffin.error.InvalidRequestException;
import griffin.error.StateFormatException;
import griffin.session.SavedStates;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Saved states: refused when damaged or another model's, never half-written. */
class SnapshotTest {

    private static final GenerationListener SILENT = new GenerationListener() {};

    @TempDir
    private Path folder;

    private static byte[] snapshot(Griffin griffin, int tokens) {
        try (Session session = griffin.newSession()) {
            session.generate(new Random(1).ints(tokens, 0, 97).toArray(), GenerationOptions.DEFAULT.withMaxTokens(3), SILENT);
            return session.snapshot();
        }
    }

    @Test
    void aShortTextCostsOnlyTheRowsInUse() {
        try (Griffin griffin = TestModels.open(TestModels.TINY, 64)) {
            long row = 2L * 4 * griffin.config().headWidth() * griffin.config().attentionLayers();
            assertEquals(row, snapshot(griffin, 4).length - snapshot(griffin, 3).length, "keys and values of one more token");
            assertEquals(snapshot(griffin, 30).length, snapshot(griffin, 50).length, "constant once the window is full");
        }
    }

    @Test
    void refusesAnotherModelsState() {
        try (Griffin griffin = TestModels.open(TestModels.TINY, 64); Griffin other = TestModels.open(TestModels.OTHER, 64)) {
            StateFormatException e = assertThrows(StateFormatException.class, () -> other.restore(snapshot(griffin, 5)));
            assertTrue(e.getMessage().contains("another model") && e.getMessage().contains("width 64"), e.getMessage());
        }
    }

    /** The ids where texts begin and end may change; weights and settings may not. */
    @Test
    void theModelIsWhatComputes() throws IOException {
        for (String file : List.of("config.json", "model.safetensors")) {
            Files.copy(TestModels.TINY.resolve(file), folder.resolve(file));
        }
        byte[] saved;
        try (Griffin griffin = TestModels.open(TestModels.TINY, 64)) {
            saved = snapshot(griffin, 5);
        }
        String config = Files.readString(folder.resolve("config.json"));
        change("config.json", config.replaceFirst("\"bos_token_id\": \\d+", "\"bos_token_id\": 3"), config);
        try (Griffin griffin = TestModels.open(folder, 64); Session session = griffin.restore(saved)) {
            assertEquals(5 + 3, session.length());
        }
        change("config.json", config.replaceFirst("\"rms_norm_eps\": [^,]+", "\"rms_norm_eps\": 2e-06"), config);
        refusesAsSameShape(saved);
        Files.writeString(folder.resolve("config.json"), config);
        byte[] weights = Files.readAllBytes(folder.resolve("model.safetensors"));
        weights[weights.length - 1] ^= 1;
        Files.write(folder.resolve("model.safetensors"), weights);
        refusesAsSameShape(saved);
    }

    private void change(String file, String text, String before) throws IOException {
        assertFalse(text.equals(before), file + " changes");
        Files.writeString(folder.resolve(file), text);
    }

    private void refusesAsSameShape(byte[] saved) {
        try (Griffin griffin = TestModels.open(folder, 64)) {
            StateFormatException e = assertThrows(StateFormatException.class, () -> griffin.restore(saved));
            assertTrue(e.getMessage().contains("same shape") && e.getMessage().contains("other weights"), e.getMessage());
        }
    }

    @Test
    void refusesEveryDamagedByte() {
        try (Griffin griffin = TestModels.open(TestModels.TINY, 64)) {
            byte[] good = snapshot(griffin, 5);
            for (int i = 0; i < good.length; i += i < 120 ? 1 : 37) {
                byte[] bad = good.clone();
                bad[i] ^= 0x10;
                assertThrows(StateFormatException.class, () -> griffin.restore(bad), "byte " + i);
            }
            for (int length : new int[] {0, 1, 8, 103, 104, 108, good.length - 1}) {
                assertThrows(StateFormatException.class, () -> griffin.restore(Arrays.copyOf(good, length)), "length " + length);
            }
            assertThrows(StateFormatException.class, () -> griffin.restore(Arrays.copyOf(good, good.length + 1)));
        }
    }

    /** Mutations with a checksum that fits: what a hostile file would have. */
    @Test
    void mutatedStatesGiveOnlyTheNamedError() {
        long seed = 20260302;
        Random random = new Random(seed);
        int refused = 0;
        try (Griffin griffin = TestModels.open(TestModels.TINY, 64)) {
            byte[] good = snapshot(griffin, 12);
            for (int i = 0; i < 2000; i++) {
                byte[] bad = mutate(good, random);
                try (Session session = griffin.restore(bad)) {
                    session.generate(new int[] {1}, GenerationOptions.DEFAULT.withMaxTokens(2), SILENT);
                } catch (StateFormatException e) {
                    refused++;
                } catch (InvalidRequestException e) {
                    assertTrue(e.getMessage().contains("at most"), e.getMessage()); // a token count near the limit
                }
            }
            assertEquals(12 + 3, griffin.restore(good).length(), "seed " + seed + ": no slot was lost on the way");
        }
        assertTrue(refused > 200, "seed " + seed + ": " + refused + " of 2000 refused");
    }

    private static byte[] mutate(byte[] good, Random random) {
        byte[] bad = random.nextInt(5) == 0 ? Arrays.copyOf(good, random.nextInt(2 * good.length)) : good.clone();
        for (int i = 0; i <= random.nextInt(4) && bad.length > 0; i++) {
            int at = random.nextBoolean() ? random.nextInt(Math.min(bad.length, 108)) : random.nextInt(bad.length);
            bad[at] = (byte) random.nextInt();
        }
        SavedStates.seal(bad);
        return bad;
    }

    @Test
    void aFailedSaveLeavesTheOldFile() throws IOException {
        try (Griffin griffin = TestModels.open(TestModels.TINY, 64); Session session = griffin.newSession()) {
            Path file = folder.resolve("state");
            session.generate(new int[] {2, 5, 7}, GenerationOptions.DEFAULT.withMaxTokens(3), SILENT);
            session.save(file);
            byte[] before = Files.readAllBytes(file);
            assertThrows(RuntimeException.class, () -> session.save(folder.resolve("absent").resolve("state")));
            Path taken = Files.createDirectories(folder.resolve("taken").resolve("inside"));
            assertThrows(RuntimeException.class, () -> session.save(taken.getParent()));
            assertEquals(-1, Arrays.mismatch(before, Files.readAllBytes(file)));
            try (Stream<Path> left = Files.list(folder)) {
                assertFalse(left.anyMatch(p -> p.toString().endsWith(".part")), "no temporary file is left");
            }
            assertThrows(StateFormatException.class, () -> griffin.load(folder.resolve("absent")));
            Files.write(folder.resolve("huge"), new byte[1 << 20]);
            assertThrows(StateFormatException.class, () -> griffin.load(folder.resolve("huge")));
        }
    }

    @Test
    void slotsAreBoundedAndReturned() {
        try (Griffin griffin = TestModels.open(TestModels.TINY, 64)) {
            Session[] open = new Session[6];
            for (int round = 0; round < 3; round++) {
                for (int i = 0; i < open.length; i++) {
                    open[i] = griffin.newSession();
                }
                DeviceMemoryException e = assertThrows(DeviceMemoryException.class, griffin::newSession);
                assertTrue(e.getMessage().contains("all 6 state slots"), e.getMessage());
                for (Session session : open) {
                    session.close();
                    session.close();
                }
            }
        }
    }
}
