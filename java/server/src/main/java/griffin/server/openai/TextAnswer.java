package griffin.server.openai;

import griffin.Completion.Piece;
import griffin.Generation;
import griffin.server.engine.ServedModel;
import java.util.List;
import tools.jackson.core.JsonGenerator;

/** {@code text_completion}, whole and in pieces. */
final class TextAnswer extends Answer {

    private final List<String> echoes;
    private final int[] offsets;

    /** @param echoes what stands before the text of each choice */
    TextAnswer(ServedModel model, TextRequest request, List<String> echoes) {
        super(model, request, "cmpl-", "text_completion", "text_completion");
        this.echoes = echoes;
        offsets = echoes.stream().mapToInt(String::length).toArray();
    }

    @Override
    void choice(JsonGenerator json, int index, Generation generation) {
        json.writeStringProperty("text", echoes.get(index) + generation.text());
        logprobs(json, index, generation.logProbabilities());
    }

    @Override
    void delta(JsonGenerator json, int index, Piece piece) {
        json.writeStringProperty("text", piece == null ? "" : piece.text());
        logprobs(json, index, piece == null ? List.of() : piece.logProbabilities());
    }

    private void logprobs(JsonGenerator json, int index, List<Generation.TokenLogProbability> tokens) {
        if (request.logprobs() && !tokens.isEmpty()) {
            offsets[index] = Logprobs.completion(json, model.griffin().tokenizer(), tokens, offsets[index]);
        } else {
            json.writeNullProperty("logprobs");
        }
    }

    @Override
    byte[] opening(int index) {
        String echo = echoes.get(index);
        return echo.isEmpty() ? null : chunk(index, json -> {
            json.writeStringProperty("text", echo);
            json.writeNullProperty("logprobs");
        }, null);
    }
}
