package griffin.server.openai;

import griffin.Generation.Alternative;
import griffin.Generation.TokenLogProbability;
import griffin.server.engine.TokenText;
import griffin.tokenizer.Tokenizer;
import java.util.List;
import tools.jackson.core.JsonGenerator;

/** Log-probabilities in the two forms of the API. */
final class Logprobs {

    /** What the API itself says where there is no number. */
    private static final float UNKNOWN = -9999;

    private Logprobs() {}

    /** {@code "logprobs": {"content": [...], "refusal": null}}. */
    static void chat(JsonGenerator json, Tokenizer tokenizer, List<TokenLogProbability> tokens) {
        json.writeObjectPropertyStart("logprobs");
        json.writeArrayPropertyStart("content");
        for (TokenLogProbability token : tokens) {
            json.writeStartObject();
            token(json, tokenizer, token.id(), token.logProbability());
            json.writeArrayPropertyStart("top_logprobs");
            for (Alternative alternative : token.alternatives()) {
                json.writeStartObject();
                token(json, tokenizer, alternative.id(), alternative.logProbability());
                json.writeEndObject();
            }
            json.writeEndArray();
            json.writeEndObject();
        }
        json.writeEndArray();
        json.writeNullProperty("refusal");
        json.writeEndObject();
    }

    private static void token(JsonGenerator json, Tokenizer tokenizer, int id, float logProbability) {
        json.writeStringProperty("token", TokenText.text(tokenizer, id));
        json.writeNumberProperty("logprob", finite(logProbability));
        json.writeArrayPropertyStart("bytes");
        for (byte b : TokenText.bytes(tokenizer, id)) {
            json.writeNumber(b & 0xFF);
        }
        json.writeEndArray();
    }

    /**
     * {@code "logprobs": {"tokens", "token_logprobs", "top_logprobs", "text_offset"}}.
     *
     * @param offset where the text of the first token begins
     * @return where the text of the next token would
     */
    static int completion(JsonGenerator json, Tokenizer tokenizer, List<TokenLogProbability> tokens, int offset) {
        json.writeObjectPropertyStart("logprobs");
        json.writeArrayPropertyStart("tokens");
        tokens.forEach(token -> json.writeString(TokenText.text(tokenizer, token.id())));
        json.writeEndArray();
        json.writeArrayPropertyStart("token_logprobs");
        tokens.forEach(token -> json.writeNumber(finite(token.logProbability())));
        json.writeEndArray();
        json.writeArrayPropertyStart("top_logprobs");
        for (TokenLogProbability token : tokens) {
            json.writeStartObject();
            token.alternatives().stream().collect(java.util.stream.Collectors.toMap(a -> TokenText.text(tokenizer, a.id()),
                    a -> finite(a.logProbability()), Math::max, java.util.LinkedHashMap::new)).forEach(json::writeNumberProperty);
            json.writeEndObject();
        }
        json.writeEndArray();
        json.writeArrayPropertyStart("text_offset");
        int at = offset;
        for (TokenLogProbability token : tokens) {
            json.writeNumber(at);
            at += TokenText.text(tokenizer, token.id()).length();
        }
        json.writeEndArray();
        json.writeEndObject();
        return at;
    }

    private static float finite(float value) {
        return Float.isFinite(value) ? value : UNKNOWN;
    }
}
