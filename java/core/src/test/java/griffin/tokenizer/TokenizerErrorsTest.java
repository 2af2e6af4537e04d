package griffin.tokenizer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.error.ModelFormatException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

/** Every refusal names the file, what was expected and what was found. */
class TokenizerErrorsTest {

    private static final String NORMALIZER = "{\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": \"\u2581\"}";

    private final String json = new String(TokenizerFiles.stories(), StandardCharsets.UTF_8);

    @Test
    void whatIsNotImplementedIsRefused() {
        refused("\"type\": \"BPE\"", "\"type\": \"Unigram\"", "model type: expected BPE, found Unigram");
        refused("\"byte_fallback\": true", "\"byte_fallback\": false", "byte_fallback: expected true, found false");
        refused("\"dropout\": null", "\"dropout\": 0.1", "dropout");
        refused("\"ignore_merges\": false", "\"ignore_merges\": true", "ignore_merges");
        refused("\"end_of_word_suffix\": null", "\"end_of_word_suffix\": \"</w>\"", "</w>");
        refused("\"normalizer\": " + NORMALIZER, "\"normalizer\": null", "normalizer: expected Replace");
        refused("\"normalizer\": " + NORMALIZER, "\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"Prepend\", "
                + "\"prepend\": \"\u2581\"}, " + NORMALIZER + "]}", "Prepend");
        refused("\"type\": \"Split\"", "\"type\": \"ByteLevel\"", "pre_tokenizer");
        refused("{\"type\": \"Fuse\"}", "{\"type\": \"Fuse\"}, {\"type\": \"Strip\"}", "decoder");
        refused("\"normalized\": false, \"special\": true}]", "\"normalized\": true, \"special\": false}]", "normalized false, found true");
    }

    @Test
    void badVocabulariesAreRefused() {
        refused("\"<0x01>\": 5", "\"<0x01>\": 4", "a second id 4");
        refused("\"<0x01>\": 5", "\"<0x01>\": 2000000000", "id 2000000000");
        refused("\"<0x01>\": 5", "\"<0x01>\": -5", "out of range");
        refused("\"<0x01>\": 5", "\"<0x01>\": 99999999999999999999999", "integer id");
        refused("\"<0x01>\": 5", "\"<0x01>\": 5.5", "integer id");
        refused("\"<0x01>\": 5", "\"<0x00>\": 5", "appears twice");
        refused("\"<0xC3>\":", "\"<0xc3>\":", "'<0xC3>'");
        refused("\"<0x01>\": 5", "\"\\ud800\": 5", "surrogate");
        refused("\"id\": 1, ", "\"id\": 9, ", "expected the vocabulary's id 1, found 9");
        refused("\"id\": 1, ", "\"id\": \"1\", ", "expected added_tokens with id");
    }

    @Test
    void badMergesAreRefused() {
        refused("[\"h\", \"e\"]", "[\"h\", \"no such\"]", "no token 'no such'");
        refused("[\"h\", \"e\"]", "[\"h\", \"\"]", "merge 1");
        refused("[\"h\", \"e\"]", "[\"h\"]", "expected two strings");
        refused("[\"h\", \"e\"]", "[\"h\", \"e\", \"y\"]", "a third element");
        refused("[\"h\", \"e\"]", "\"h e y\"", "one space");
        refused("[\"h\", \"e\"]", "\"he\"", "one space");
        refused("[\"h\", \"e\"]", "7", "expected a pair");
    }

    @Test
    void badJsonIsRefused() {
        refusedText("", "the document");
        refusedText("[]", "an object");
        refusedText("{}", "'model'");
        refusedText(json + "{}", "end of the file");
        refusedText(json.substring(0, json.length() / 2), "JSON");
        refusedText("{\"normalizer\": " + "[".repeat(400) + "]".repeat(400) + "}", "levels of nesting");
        refusedText("{\"normalizer\": " + "[".repeat(100_000), "nesting");
        refusedText("{\"other\": " + "{\"a\":".repeat(100_000), "nesting");
        refusedText("{\"model\": " + "9".repeat(5_000) + "}", "JSON");
        refused("\"version\": \"1.0\"", "\"model\": {}", "twice");
        refused("\"dropout\": null", "\"type\": null", "twice");
    }

    @Test
    void anUnreadableStreamIsReported() {
        InputStream broken = new InputStream() {
            @Override
            public int read() throws IOException {
                throw new IOException("disk on fire");
            }
        };
        ModelFormatException e = assertThrows(ModelFormatException.class, () -> Tokenizer.read(broken, "x.json"));
        assertTrue(e.getMessage().contains("x.json") && e.getMessage().contains("disk on fire"), e.getMessage());
    }

    private void refused(String part, String replacement, String reason) {
        int at = json.indexOf(part);
        assertTrue(at >= 0, () -> "the file has no " + part);
        refusedText(json.substring(0, at) + replacement + json.substring(at + part.length()), reason);
    }

    private static void refusedText(String text, String reason) {
        ModelFormatException e = assertThrows(ModelFormatException.class, () -> TokenizerFiles.read(text));
        assertEquals(0, e.getMessage().indexOf("tokenizer.json: "), e.getMessage());
        assertTrue(e.getMessage().contains(reason), e.getMessage());
        assertTrue(e.getMessage().length() < 600, e.getMessage());
    }
}
