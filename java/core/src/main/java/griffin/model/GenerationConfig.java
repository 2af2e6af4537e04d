package griffin.model;

import griffin.error.ModelFormatException;
import griffin.json.Json;
import griffin.json.JsonObject;
import griffin.weights.ModelFiles;
import java.util.List;
import java.util.OptionalInt;

/**
 * How a model's authors suggest to generate, from its {@code generation_config.json}. What the file leaves out is off.
 *
 * @param eosIds            ids that end a text; empty if the file names none, then config.json's count
 * @param bosId             id that starts every text, if the file names one
 * @param padId             padding id, if the file names one
 * @param temperature       0 for greedy: the file's do_sample is false or absent, or its temperature is 0
 * @param topK              sample among the k most likely tokens only; 0 for all
 * @param topP              sample among the most likely tokens of at least this share; 1 for all
 * @param minP              sample among tokens at least this likely relative to the likeliest; 0 for all
 * @param repetitionPenalty divides positive and multiplies negative logits of tokens already seen; 1 for none
 * @param maxNewTokens      limit on generated tokens, if the file names one
 */
public record GenerationConfig(List<Integer> eosIds, OptionalInt bosId, OptionalInt padId, float temperature, int topK, float topP,
        float minP, float repetitionPenalty, OptionalInt maxNewTokens) {

    private static final String FILE = "generation_config.json";

    /** What holds for a model without the file: greedy, no end ids, no limit. */
    public static final GenerationConfig GREEDY = new GenerationConfig(List.of(), OptionalInt.empty(), OptionalInt.empty(), 0, 0, 1, 0, 1,
            OptionalInt.empty());

    public GenerationConfig {
        eosIds = List.copyOf(eosIds);
    }

    /** Whether the most likely token is always taken. */
    public boolean greedy() {
        return temperature == 0;
    }

    /**
     * Reads {@code generation_config.json}, or returns {@link #GREEDY} if the model has none.
     *
     * @throws ModelFormatException if it is malformed or a value is out of range
     */
    public static GenerationConfig read(ModelFiles files) {
        return files.exists(FILE) ? of(Json.object(files.open(FILE), files.describe(FILE))) : GREEDY;
    }

    /** Reads the text of a {@code generation_config.json}; {@code file} names it in messages. */
    public static GenerationConfig parse(String json, String file) {
        return of(Json.object(json, file));
    }

    private static GenerationConfig of(JsonObject json) {
        boolean sample = json.bool("do_sample", false);
        OptionalInt limit = json.has("max_new_tokens") ? OptionalInt.of((int) json.integer("max_new_tokens", 1, Integer.MAX_VALUE))
                : OptionalInt.empty();
        float temperature = (float) json.number("temperature", 1, 0, 1000);
        return new GenerationConfig(TokenIds.list(json, "eos_token_id"), TokenIds.one(json, "bos_token_id"),
                TokenIds.one(json, "pad_token_id"), sample ? temperature : 0, (int) json.integer("top_k", 0, 0, Integer.MAX_VALUE),
                (float) json.number("top_p", 1, 0, 1),
                (float) json.number("min_p", 0, 0, 1), (float) json.number("repetition_penalty", 1, 0.01, 100), limit);
    }
}
