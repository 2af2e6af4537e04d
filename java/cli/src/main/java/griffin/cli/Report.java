package griffin.cli;

import griffin.Generation;
import griffin.Generation.Alternative;
import griffin.Generation.TokenLogProbability;
import griffin.GenerationOptions;
import griffin.Griffin;
import griffin.WeightPlace;
import griffin.sampling.SamplingParams;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.stream.Collectors;
import tools.jackson.core.JsonGenerator;

/** What is told about a generation, in words and in JSON. */
final class Report {

    private Report() {}

    /** Counts and speeds in one line. */
    static String stats(Generation g) {
        return String.format(Locale.ROOT, "read %d tokens in %.2f s (%.1f tokens/s), generated %d in %.2f s (%.1f tokens/s), ended by %s",
                g.promptIds().size(), g.promptSeconds(), g.promptTokensPerSecond(), g.ids().size(), g.decodeSeconds(), g.tokensPerSecond(),
                g.finishReason().word());
    }

    /** What the device has to say about its speed and memory, in one line; empty on a CPU. */
    static String device(Griffin griffin, Generation g) {
        return griffin.deviceStatistics(g.tokensPerSecond()).entrySet().stream().map(entry -> entry.getKey() + " " + entry.getValue())
                .collect(Collectors.joining(", "));
    }

    /** Where the weights are, in one line; nothing on a GPU. */
    static Optional<String> weights(Griffin griffin) {
        if (griffin.weightPlace() == WeightPlace.DEVICE) {
            return Optional.empty();
        }
        String mapped = griffin.weightPlace() == WeightPlace.MAPPED
                ? "; the time to read includes bringing the mapped weights into memory; a later turn of a chat is without it"
                : "";
        OptionalLong large = griffin.weightBytesInLargePages();
        String pages = large.isEmpty() ? "" : String.format(Locale.ROOT, ", %d of %d MiB in large pages", large.getAsLong() >> 20,
                griffin.weightBytes() >> 20);
        return Optional.of("weights " + griffin.weightPlace().words() + pages + mapped);
    }

    /** What the generation ran with, in one line; a greedy one draws no numbers, so it has no seed. */
    static String settings(String model, Griffin griffin, SamplingParams s) {
        return String.format(Locale.ROOT, "model %s on %s (%s), %stemperature %s, top-k %d, top-p %s, min-p %s, repetition penalty %s",
                model, griffin.device().kind(), griffin.device().name(), s.greedy() ? "" : "seed " + s.seed() + ", ", s.temperature(),
                s.topK(), s.topP(), s.minP(), s.repetitionPenalty());
    }

    /** One line per token. */
    static void logprobs(Terminal terminal, Griffin griffin, Generation generation) {
        for (TokenLogProbability token : generation.logProbabilities()) {
            StringBuilder line = new StringBuilder(entry(griffin, token.id(), token.logProbability()));
            String between = "    among ";
            for (Alternative other : token.alternatives()) {
                line.append(between).append(entry(griffin, other.id(), other.logProbability()));
                between = ", ";
            }
            terminal.err().println(line.toString());
        }
    }

    private static String entry(Griffin griffin, int id, float logProbability) {
        String piece = griffin.hasTokenizer() ? " '" + escaped(piece(griffin, id)) + "'" : "";
        return String.format(Locale.ROOT, "%d%s %.4f", id, piece, logProbability);
    }

    private static String piece(Griffin griffin, int id) {
        return id < griffin.tokenizer().vocabularySize() ? griffin.tokenizer().piece(id) : "";
    }

    private static String escaped(String text) {
        StringBuilder out = new StringBuilder();
        text.chars().forEach(c -> out.append(c < ' ' ? String.format(Locale.ROOT, "\\u%04x", c) : Character.toString(c)));
        return out.toString();
    }

    /** The fields of where and how it ran. */
    static void settings(JsonGenerator json, String model, Griffin griffin, GenerationOptions options) {
        SamplingParams s = options.sampling();
        json.writeStringProperty("model", model);
        json.writeStringProperty("device", griffin.device().kind());
        json.writeStringProperty("device_name", griffin.device().name());
        if (!s.greedy()) {
            json.writeNumberProperty("seed", s.seed());
        }
        Json.number(json, "temperature", s.temperature());
        json.writeNumberProperty("top_k", s.topK());
        Json.number(json, "top_p", s.topP());
        Json.number(json, "min_p", s.minP());
        Json.number(json, "repetition_penalty", s.repetitionPenalty());
        json.writeNumberProperty("max_tokens", options.maxTokens());
    }

    /** The fields of one generation. */
    static void generation(JsonGenerator json, Griffin griffin, Generation g, boolean logprobs) {
        Json.ids(json, "prompt_ids", g.promptIds());
        Json.ids(json, "ids", g.ids());
        json.writeName("text");
        if (griffin.hasTokenizer()) {
            json.writeString(g.text());
        } else {
            json.writeNull();
        }
        json.writeStringProperty("finish_reason", g.finishReason().word());
        json.writeNumberProperty("prompt_tokens", g.promptIds().size());
        json.writeNumberProperty("generated_tokens", g.ids().size());
        Json.number(json, "prompt_seconds", g.promptSeconds());
        Json.number(json, "seconds", g.decodeSeconds());
        Json.number(json, "prompt_tokens_per_second", g.promptTokensPerSecond());
        Json.number(json, "tokens_per_second", g.tokensPerSecond());
        if (logprobs) {
            json.writeArrayPropertyStart("logprobs");
            for (TokenLogProbability token : g.logProbabilities()) {
                json.writeStartObject();
                token(json, griffin, token.id(), token.logProbability());
                json.writeArrayPropertyStart("top");
                for (Alternative other : token.alternatives()) {
                    json.writeStartObject();
                    token(json, griffin, other.id(), other.logProbability());
                    json.writeEndObject();
                }
                json.writeEndArray();
                json.writeEndObject();
            }
            json.writeEndArray();
        }
    }

    private static void token(JsonGenerator json, Griffin griffin, int id, float logProbability) {
        json.writeNumberProperty("id", id);
        if (griffin.hasTokenizer()) {
            json.writeStringProperty("token", piece(griffin, id));
        }
        Json.number(json, "logprob", logProbability);
    }
}
