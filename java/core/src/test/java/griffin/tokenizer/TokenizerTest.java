package griffin.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeout;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.error.InvalidRequestException;
import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class TokenizerTest {

    private final String json = new String(TokenizerFiles.stories(), StandardCharsets.UTF_8);
    private final Tokenizer tokenizer = TokenizerFiles.read(json);

    @Test
    void vocabularyIsNamedByIdAndPiece() {
        assertEquals(4096, tokenizer.vocabularySize());
        assertEquals(OptionalInt.of(2), tokenizer.id("<bos>"));
        assertEquals(OptionalInt.empty(), tokenizer.id("no such token"));
        assertTrue(tokenizer.isSpecial(2));
        assertFalse(tokenizer.isSpecial(4));
        assertFalse(tokenizer.isSpecial(-1));
        assertEquals("<0x00>", tokenizer.piece(4));
        assertThrows(InvalidRequestException.class, () -> tokenizer.piece(4096));
        assertThrows(InvalidRequestException.class, () -> tokenizer.piece(-1));
        IntStream.range(0, 4096).forEach(id -> assertEquals(id, tokenizer.id(tokenizer.piece(id)).orElseThrow()));
    }

    /** An added token, one of the vocabulary, and one that is nowhere; also where the added tokens come last in the file. */
    @Test
    void anIdIsFoundWithoutReadingAll() {
        int from = json.indexOf("\"added_tokens\"");
        int to = json.indexOf("\"normalizer\"");
        String added = json.substring(from, to).stripTrailing();
        String last = json.substring(0, from) + json.substring(to, json.lastIndexOf('}')) + ","
                + added.substring(0, added.length() - 1) + "}";
        for (String file : new String[] {json, last}) {
            for (String token : new String[] {"<end_of_turn>", "<bos>", "<0x00>", "no such token"}) {
                assertEquals(tokenizer.id(token), Tokenizer.findId(
                        new ByteArrayInputStream(file.getBytes(StandardCharsets.UTF_8)), "tokenizer.json", token), token);
            }
        }
        String early = json.substring(0, json.indexOf("\"model\""));
        assertEquals(261, Tokenizer.findId(new ByteArrayInputStream(early.getBytes(StandardCharsets.UTF_8)), "cut", "<end_of_turn>")
                .orElseThrow(), "what follows the added tokens is not looked at");
    }

    @Test
    void oddTextIsDefined() {
        assertArrayEquals(new int[0], tokenizer.encode(""));
        assertEquals("a\uFFFDb\uFFFD", roundTrip("a\uD83Db\uDE00"));
        assertEquals("\uFFFD", roundTrip("\uD83D"));
        assertEquals("\r\n\r\u0000\u0001\u007F\t", roundTrip("\r\n\r\u0000\u0001\u007F\t"));
        assertEquals("  two ", roundTrip("\u2581 two\u2581"));
    }

    @Test
    void specialTokensAreLeftOutOrNamed() {
        int[] ids =
                IntStream.concat(IntStream.of(2), IntStream.concat(Arrays.stream(tokenizer.encode("hi")), IntStream.of(1, 1_000_000, -5)))
                        .toArray();
        assertEquals("hi", tokenizer.decode(ids));
        assertEquals("<bos>hi<eos>", tokenizer.decode(ids, 0, ids.length, true));
        assertEquals("hi", tokenizer.decode(ids, 1, ids.length - 3));
        assertThrows(IndexOutOfBoundsException.class, () -> tokenizer.decode(ids, 1, ids.length + 1));
    }

    /** In this file the first byte token has id 4. */
    @Test
    void badBytesBecomeReplacementCharacters() {
        assertEquals("\uFFFD", bytes(0xE5));
        assertEquals("\uFFFD\uFFFD", bytes(0xE5, 0x8F));
        assertEquals("叫", bytes(0xE5, 0x8F, 0xAB));
        assertEquals("\uFFFD\uFFFDA", bytes(0xE5, 0x8F, 'A'));
        assertEquals("\uFFFD叫", bytes(0xE5, 0xE5, 0x8F, 0xAB));
        assertEquals("\uFFFD\uFFFD\uFFFD", bytes(0xED, 0xA0, 0x80), "a surrogate");
        assertEquals("\uFFFD\uFFFD", bytes(0xC0, 0x80), "an overlong form");
        assertEquals("\uFFFD\uFFFD\uFFFD", bytes(0xE0, 0x80, 0x80), "an overlong form");
        assertEquals("\uFFFD\uFFFD\uFFFD\uFFFD", bytes(0xF4, 0x90, 0x80, 0x80), "above U+10FFFF");
        assertEquals("\uDBFF\uDFFF", bytes(0xF4, 0x8F, 0xBF, 0xBF));
        assertEquals("\uFFFD\uFFFDx", tokenizer.decode(4 + 0xE5, 2, 4 + 0x8F, tokenizer.id("x").orElseThrow()));
    }

    @Test
    void scanningAndHeapMergeAlike() {
        RandomText texts = new RandomText(7);
        for (int i = 0; i < 2_000; i++) {
            String text = texts.next();
            assertArrayEquals(tokenizer.encodeByHeap(text), tokenizer.encode(text), text);
        }
    }

    /** Quadratic time would be minutes here. */
    @Test
    void longTextsWithoutBoundaries() {
        assertTimeout(Duration.ofSeconds(10), () -> {
            for (String text : new String[] {"a".repeat(1 << 20), " ".repeat(1 << 20), "\u2581a".repeat(1 << 19), "é".repeat(1 << 19)}) {
                assertEquals(text.replace('\u2581', ' '), roundTrip(text));
            }
        });
    }

    @Test
    void mergesMayBePairsOrStringsAndPrecedeTheVocabulary() {
        String pairs = VARIANT.formatted("\"merges\": [[\"a\", \"b\"], [\"ab\", \"c\"]], ", tinyVocabulary(), "");
        String strings = VARIANT.formatted("", tinyVocabulary(), ", \"merges\": [\"a b\", \"ab c\"]");
        for (String variant : new String[] {pairs, strings}) {
            Tokenizer tiny = TokenizerFiles.read(variant);
            assertArrayEquals(new int[] {tiny.id("abc").orElseThrow(), tiny.id("ab").orElseThrow()}, tiny.encode("abcab"));
        }
    }

    /** What the merges make of a special token's name would be that token: such merges do not count. */
    @Test
    void mergesNeverMakeASpecialToken() {
        String special = "[{\"id\": 259, \"content\": \"ab\", \"special\": true}]";
        Tokenizer tiny =
                TokenizerFiles.read(VARIANT.replace("[]", special).formatted("", tinyVocabulary(), ", \"merges\": [\"a b\", \"ab c\"]"));
        assertTrue(tiny.isSpecial(259));
        assertArrayEquals(new int[] {256, 257, 258}, tiny.encode("abc"));
    }

    @Test
    void ordinaryAddedTokensAreTakenOutOfTheText() {
        String added = "[%s, %s]".formatted(added(261, "bca"), added(262, "bcab"));
        Tokenizer tiny =
                TokenizerFiles.read(VARIANT.replace("[]", added).formatted("", tinyVocabulary(), ", \"merges\": [\"a b\", \"ab c\"]"));
        assertArrayEquals(new int[] {256, 262, 258, 260}, tiny.encode("abcabcabc"));
        assertArrayEquals(new int[] {256, 261}, tiny.encode("abca"));
    }

    private static final String VARIANT = """
            {"added_tokens": [], "normalizer": {"type": "Sequence", "normalizers": [
              {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]}, "pre_tokenizer": null,
             "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
              {"type": "ByteFallback"}, {"type": "Fuse"}]},
             "model": {"type": "BPE", "byte_fallback": true, %s"vocab": {%s}%s}}""";

    private static String added(int id, String content) {
        return "{\"id\": %d, \"content\": \"%s\", \"special\": false, \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
                .formatted(id, content) + "\"normalized\": false}";
    }

    private static String tinyVocabulary() {
        StringBuilder vocabulary = new StringBuilder();
        for (int b = 0; b < 256; b++) {
            vocabulary.append("\"<0x%02X>\": %d, ".formatted(b, b));
        }
        return vocabulary + "\"a\": 256, \"b\": 257, \"c\": 258, \"ab\": 259, \"abc\": 260";
    }

    private String roundTrip(String text) {
        return tokenizer.decode(tokenizer.encode(text));
    }

    private String bytes(int... values) {
        return tokenizer.decode(IntStream.of(values).map(b -> b + 4).toArray());
    }
}
