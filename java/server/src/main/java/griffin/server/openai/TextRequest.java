package griffin.server.openai;

import griffin.GenerationOptions;
import griffin.sampling.SamplingParams;
import griffin.server.engine.Fields;
import griffin.server.engine.ServedModel;
import griffin.server.json.JsonObject;
import java.util.List;

/**
 * What chat completions and completions have in common.
 *
 * @param options      how to generate
 * @param choices      how many continuations of each prompt
 * @param stream       whether text is sent as it comes
 * @param includeUsage whether a stream ends with the counts
 * @param logprobs     whether log-probabilities are wanted
 */
record TextRequest(GenerationOptions options, int choices, boolean stream, boolean includeUsage, boolean logprobs) {

    private static final int MOST_CHOICES = 128;
    private static final int MOST_STOPS = 16;

    /** Fields that change what is generated, in ways that this server does not know: better refused than ignored. */
    private static final List<String> UNSUPPORTED = List.of("tools", "functions", "logit_bias", "frequency_penalty", "presence_penalty",
            "suffix", "audio", "prediction", "web_search_options");

    static TextRequest read(JsonObject body, ServedModel model, boolean chat) {
        model.require(body.requiredString("model"));
        for (String name : UNSUPPORTED) {
            if (body.isSet(name)) {
                throw body.refuse(name, "not supported by this server");
            }
        }
        refuseFormats(body);
        int logprobs = chat ? chatLogprobs(body) : (int) (long) body.integer("logprobs", 0, 20).orElse(-1L);
        SamplingParams sampling = Fields.sampling(body, model.sampling(), "repetition_penalty").withLogProbabilities(logprobs);
        List<String> stop = body.strings("stop");
        if (stop.size() > MOST_STOPS || stop.contains("")) {
            throw body.refuse("stop", "up to " + MOST_STOPS + " texts, none of them empty");
        }
        int choices = (int) (long) body.integer("n", 1, MOST_CHOICES).orElse(1L);
        long bestOf = body.integer("best_of", 1, MOST_CHOICES).orElse((long) choices);
        if (bestOf != choices) {
            throw body.refuse("best_of", "not supported by this server unless it equals n");
        }
        boolean usage = body.object("stream_options").flatMap(o -> o.bool("include_usage")).orElse(false);
        return new TextRequest(new GenerationOptions(sampling, maxTokens(body, model, chat), stop, body.bool("ignore_eos").orElse(false)),
                choices, body.bool("stream").orElse(false), usage, logprobs >= 0);
    }

    private static int maxTokens(JsonObject body, ServedModel model, boolean chat) {
        int least = chat ? 1 : 0;
        long plain = body.integer("max_tokens", least, Integer.MAX_VALUE).orElse((long) model.maxTokens());
        return Math.toIntExact(chat ? body.integer("max_completion_tokens", least, Integer.MAX_VALUE).orElse(plain) : plain);
    }

    private static int chatLogprobs(JsonObject body) {
        boolean wanted = body.bool("logprobs").orElse(false);
        long alternatives = body.integer("top_logprobs", 0, 20).orElse(0L);
        if (!wanted && alternatives > 0) {
            throw body.refuse("top_logprobs", "needs logprobs to be true");
        }
        return wanted ? (int) alternatives : -1;
    }

    private static void refuseFormats(JsonObject body) {
        body.object("response_format").ifPresent(format -> {
            String type = format.string("type").orElse("text");
            if (!type.equals("text")) {
                throw format.refuse("type", "'" + type + "' is not supported by this server; it has text");
            }
        });
        if (body.raw("tool_choice") instanceof String choice && !choice.equals("none") && !choice.equals("auto")) {
            throw body.refuse("tool_choice", "this server has no tools");
        }
    }
}
