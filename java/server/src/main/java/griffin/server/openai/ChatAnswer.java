package griffin.server.openai;

import griffin.Completion.Piece;
import griffin.Generation;
import griffin.server.engine.ServedModel;
import griffin.server.json.JsonText;
import java.util.List;
import tools.jackson.core.JsonGenerator;

/** {@code chat.completion} and {@code chat.completion.chunk}. */
final class ChatAnswer extends Answer {

    ChatAnswer(ServedModel model, TextRequest request) {
        super(model, request, "chatcmpl-", "chat.completion", "chat.completion.chunk");
    }

    @Override
    void choice(JsonGenerator json, int index, Generation generation) {
        JsonText.object(json, "message", () -> {
            json.writeStringProperty("role", "assistant");
            json.writeStringProperty("content", generation.text());
            json.writeNullProperty("refusal");
        });
        logprobs(json, generation.logProbabilities());
    }

    @Override
    void delta(JsonGenerator json, int index, Piece piece) {
        JsonText.object(json, "delta", () -> {
            if (piece != null) {
                json.writeStringProperty("content", piece.text());
            }
        });
        logprobs(json, piece == null ? List.of() : piece.logProbabilities());
    }

    private void logprobs(JsonGenerator json, List<Generation.TokenLogProbability> tokens) {
        if (request.logprobs() && !tokens.isEmpty()) {
            Logprobs.chat(json, model.griffin().tokenizer(), tokens);
        } else {
            json.writeNullProperty("logprobs");
        }
    }

    @Override
    byte[] opening(int index) {
        return chunk(index, json -> {
            JsonText.object(json, "delta", () -> {
                json.writeStringProperty("role", "assistant");
                json.writeStringProperty("content", "");
            });
            json.writeNullProperty("logprobs");
        }, null);
    }
}
