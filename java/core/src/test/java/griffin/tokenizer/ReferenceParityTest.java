package griffin.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Ids equal the reference library's, for the small committed tokenizer and for Gemma's own. */
class ReferenceParityTest {

    private static final int STRINGS = 10_000;
    private static final long SEED = 20_260_101;

    @TempDir
    Path folder;

    @Test
    void storiesIdsEqualTheReference() throws IOException {
        compare(storiesFile());
    }

    @Test
    void gemmaIdsEqualTheReference() throws IOException {
        compare(TokenizerFiles.gemma());
    }

    /** The reference reads special tokens in text; without its list of added tokens it has none, as it should be for us. */
    @Test
    void specialTextIsOrdinaryText() throws IOException {
        String json = new String(TokenizerFiles.stories(), StandardCharsets.UTF_8);
        int from = json.indexOf("\"added_tokens\": [");
        String without = json.substring(0, from) + "\"added_tokens\": []" + json.substring(json.indexOf(']', from) + 1);
        Path file = Files.writeString(folder.resolve("without.json"), without);
        Tokenizer ours = TokenizerFiles.read(json);
        try (ReferenceTokenizer reference = new ReferenceTokenizer(file)) {
            for (String text : new String[] {"<bos>", "a<eos>b", "<start_of_turn>user\n<end_of_turn>", "<unk><pad>", "<<bos>>"}) {
                int[] ids = ours.encode(text);
                assertArrayEquals(reference.encode(text), ids, text);
                for (int id : ids) {
                    assertTrue(!ours.isSpecial(id), text);
                }
                assertEquals(text, ours.decode(ids));
            }
        }
    }

    /** Without the switch the library sets this time at its first use, before it connects anywhere. */
    @Test
    void theReferenceReportsNothing() throws IOException, ReflectiveOperationException {
        try (ReferenceTokenizer reference = new ReferenceTokenizer(storiesFile())) {
            assertTrue(reference.encode("a").length > 0);
        }
        assertEquals("true", System.getProperty("OPT_OUT_TRACKING"));
        assertEquals(0, ReferenceTokenizer.lastReport());
    }

    private Path storiesFile() throws IOException {
        return Files.write(folder.resolve("tokenizer.json"), TokenizerFiles.stories());
    }

    private static void compare(Path file) throws IOException {
        Tokenizer ours = TokenizerFiles.read(Files.readAllBytes(file));
        try (ReferenceTokenizer reference = new ReferenceTokenizer(file)) {
            RandomText texts = new RandomText(SEED);
            for (int i = 0; i < STRINGS; i++) {
                String text = texts.next();
                int[] ids = ours.encode(text);
                int number = i;
                assertArrayEquals(reference.encode(text), ids, () -> "string " + number + " of seed " + SEED + ": " + text);
                assertEquals(text.replace('\u2581', ' '), ours.decode(ids));
            }
            compareLongTexts(ours, reference);
            compareDecoding(ours, reference);
        }
    }

    private static void compareLongTexts(Tokenizer ours, ReferenceTokenizer reference) {
        RandomText texts = new RandomText(SEED + 1);
        StringBuilder mixed = new StringBuilder();
        while (mixed.length() < 400_000) {
            mixed.append(texts.next());
        }
        // Pieces that happened to join into a special token: the reference would read it as one.
        String joined = mixed.toString().replace("<unk>", "<unk");
        for (String text : new String[] {joined, "a".repeat(200_000), " ".repeat(200_001), "ab ".repeat(50_000), "\u2581\n".repeat(9_999),
            "thequickbrownfox".repeat(5_000)}) {
            int[] ids = ours.encode(text);
            assertArrayEquals(reference.encode(text), ids);
            assertArrayEquals(ours.encodeByHeap(text), ids);
        }
    }

    /** Any ids but byte tokens, on whose invalid runs the two differ by intention. */
    private static void compareDecoding(Tokenizer ours, ReferenceTokenizer reference) {
        SplittableRandom random = new SplittableRandom(SEED);
        for (int i = 0; i < 1_000; i++) {
            int[] ids = random.ints(random.nextInt(1, 40), 0, ours.vocabularySize())
                    .filter(id -> !ours.piece(id).matches("<0x..>")).toArray();
            assertEquals(reference.decode(ids, true), ours.decode(ids));
            assertEquals(reference.decode(ids, false), ours.decode(ids, 0, ids.length, true));
        }
    }
}
