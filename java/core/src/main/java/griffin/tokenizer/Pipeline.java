package griffin.tokenizer;

import griffin.error.ModelFormatException;
import griffin.json.Excerpt;
import java.util.List;
import java.util.Map;

/**
 * Checks the parts of a {@code tokenizer.json} around the model: only what {@link Tokenizer} does is let through. Parts
 * that do not change the ids of a text (post-processor, truncation, padding) are not looked at.
 */
final class Pipeline {

    private static final Map<String, Object> SPACE = Map.of("String", " ");
    private static final String SPACE_MARK = String.valueOf(Vocabulary.SPACE);
    private static final Map<String, Object> NORMALIZER = Map.of("type", "Replace", "pattern", SPACE, "content", SPACE_MARK);
    private static final Map<String, Object> SPLIT =
            Map.of("type", "Split", "pattern", SPACE, "behavior", "MergedWithPrevious", "invert", false);
    private static final List<Object> DECODERS = List.of(
            Map.of("type", "Replace", "pattern", Map.of("String", SPACE_MARK), "content", " "),
            Map.of("type", "ByteFallback"), Map.of("type", "Fuse"));

    private Pipeline() {}

    static void check(String file, Map<String, Object> sections) {
        expect(file, "normalizer", "Replace \" \" by \"" + SPACE_MARK + "\"", sections.get("normalizer"),
                flat(sections.get("normalizer"), "normalizers").equals(List.of(NORMALIZER)));
        // After the normalizer no space is left to split at: the split is there in name only.
        Object splitter = sections.get("pre_tokenizer");
        expect(file, "pre_tokenizer", "none, or Split at \" \" with MergedWithPrevious", splitter,
                splitter == null || flat(splitter, "pretokenizers").stream().allMatch(SPLIT::equals));
        expect(file, "decoder", "the sequence Replace \"" + SPACE_MARK + "\" by \" \", ByteFallback, Fuse", sections.get("decoder"),
                flat(sections.get("decoder"), "decoders").equals(DECODERS));
    }

    static void checkModel(String file, Map<String, Object> options) {
        expect(file, "model type", "BPE", options.get("type"), "BPE".equals(options.get("type")));
        expect(file, "model byte_fallback", "true", options.get("byte_fallback"), Boolean.TRUE.equals(options.get("byte_fallback")));
        options.forEach((key, value) -> {
            switch (key) {
                case "type", "byte_fallback" -> {}
                // With a token for every byte there is nothing unknown.
                case "unk_token", "fuse_unk" -> {}
                default -> expect(file, "model " + key, "none (this option is not implemented)", value, isOff(value));
            }
        });
    }

    private static boolean isOff(Object value) {
        return value == null || value.equals(false) || value.equals("") || value.equals(0L) || value.equals(0.0);
    }

    private static List<?> flat(Object section, String members) {
        if (section instanceof Map<?, ?> map && "Sequence".equals(map.get("type"))) {
            return map.get(members) instanceof List<?> list ? list : List.of();
        }
        return section == null ? List.of() : List.of(section);
    }

    private static void expect(String file, String what, String expected, Object found, boolean ok) {
        if (!ok) {
            String shown = found == null ? "none" : Excerpt.of(found.toString());
            throw new ModelFormatException(file + ": " + what + ": expected " + expected + ", found " + shown
                    + "; only tokenizers of Gemma's kind (BPE with byte fallback) are supported");
        }
    }
}
