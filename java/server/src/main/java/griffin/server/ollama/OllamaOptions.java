package griffin.server.ollama;

import griffin.GenerationOptions;
import griffin.sampling.SamplingParams;
import griffin.server.engine.Fields;
import griffin.server.engine.ServedModel;
import griffin.server.json.JsonObject;
import java.util.List;

/**
 * The {@code options} of a request. Those that say how to run a model (num_ctx, num_gpu, num_thread, ...) have no meaning here, and are
 * passed over, as Ollama passes over what it does not know.
 */
final class OllamaOptions {

    /** What {@code num_predict} calls no limit, and as much as the context holds: here there is none. */
    private static final long UNLIMITED = -2;

    private OllamaOptions() {}

    static GenerationOptions read(JsonObject body, ServedModel model) {
        JsonObject options = body.object("options").orElse(JsonObject.empty());
        SamplingParams sampling = Fields.sampling(options, model.sampling(), "repeat_penalty");
        long most = options.integer("num_predict", UNLIMITED, Integer.MAX_VALUE).orElse((long) model.maxTokens());
        List<String> stop = options.strings("stop");
        if (stop.size() > 16 || stop.contains("")) {
            throw options.refuse("options.stop", "up to 16 texts, none of them empty");
        }
        return new GenerationOptions(sampling, most < 0 ? Integer.MAX_VALUE : (int) most, stop, false);
    }
}
