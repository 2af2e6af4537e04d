package griffin.server.ollama;

import griffin.backend.DType;
import griffin.model.GriffinConfig;
import griffin.server.engine.ServedModel;
import griffin.server.http.Exchange;
import griffin.server.http.HttpError;
import griffin.server.http.Route;
import griffin.server.json.JsonObject;
import griffin.server.json.JsonText;
import java.util.List;
import tools.jackson.core.JsonGenerator;

/** Ollama's API over one model: what there is to say of it. */
public final class OllamaModels {

    private static final String TURNS = "{{ if .System }}{{ .System }}\n\n{{ end }}<start_of_turn>user\n{{ .Prompt }}<end_of_turn>\n"
            + "<start_of_turn>model\n{{ .Response }}<end_of_turn>\n";
    private static final String PLAIN = "{{ .Prompt }}";

    private final ServedModel model;
    private final String version;
    private final KeepAlive keepAlive;

    public OllamaModels(ServedModel model, String version, KeepAlive keepAlive) {
        this.model = model;
        this.version = version;
        this.keepAlive = keepAlive;
    }

    public List<Route> routes() {
        return List.of(new Route("GET", "/api/tags", false, Ollama.ERRORS, this::tags),
                new Route("GET", "/api/ps", false, Ollama.ERRORS, this::running),
                new Route("POST", "/api/show", false, Ollama.ERRORS, Ollama.judged(this::show)),
                new Route("GET", "/api/version", true, Ollama.ERRORS, exchange -> exchange.send(200, Exchange.JSON,
                        JsonText.object(json -> json.writeStringProperty("version", version)))));
    }

    private void tags(Exchange exchange) {
        models(exchange, json -> {
            json.writeStringProperty("modified_at", model.since().toString());
        });
    }

    private void running(Exchange exchange) {
        models(exchange, json -> {
            json.writeStringProperty("expires_at", keepAlive.until().toString());
            boolean card = !model.griffin().device().kind().equals("cpu");
            json.writeNumberProperty("size_vram", card ? model.griffin().weightBytes() : 0);
        });
    }

    private interface More {
        void write(JsonGenerator json);
    }

    private void models(Exchange exchange, More more) {
        exchange.send(200, Exchange.JSON, JsonText.object(json -> {
            json.writeArrayPropertyStart("models");
            json.writeStartObject();
            json.writeStringProperty("name", model.name());
            json.writeStringProperty("model", model.name());
            json.writeNumberProperty("size", model.griffin().weightBytes());
            json.writeStringProperty("digest", model.digest());
            details(json);
            more.write(json);
            json.writeEndObject();
            json.writeEndArray();
        }));
    }

    private void details(JsonGenerator json) {
        JsonText.object(json, "details", () -> {
            json.writeStringProperty("parent_model", "");
            json.writeStringProperty("format", "safetensors");
            json.writeStringProperty("family", "griffin");
            json.writeArrayPropertyStart("families");
            json.writeString("griffin");
            json.writeEndArray();
            json.writeStringProperty("parameter_size", model.parameterSize());
            json.writeStringProperty("quantization_level", weightType());
        });
    }

    /** The type by the size of a parameter; a model's tensors have one type by and large. */
    private String weightType() {
        return model.griffin().weightBytes() > 3 * model.griffin().config().parameters() ? "F32" : "BF16";
    }

    private void show(Exchange exchange, JsonObject body) {
        String asked = body.string("model").or(() -> body.string("name")).orElseThrow(() -> body.missing("model", "a string"));
        try {
            model.require(asked);
        } catch (HttpError e) {
            throw HttpError.notFound("model '" + asked + "' not found; this server has '" + model.name() + "'", e.code(), e.field());
        }
        GriffinConfig config = model.griffin().config();
        exchange.send(200, Exchange.JSON, JsonText.object(json -> {
            json.writeStringProperty("modelfile", "");
            json.writeStringProperty("parameters", "");
            json.writeStringProperty("template", model.chat().hasTurns() ? TURNS : PLAIN);
            details(json);
            JsonText.object(json, "model_info", () -> info(json, config));
            json.writeArrayPropertyStart("capabilities");
            json.writeString("completion");
            json.writeEndArray();
            json.writeStringProperty("modified_at", model.since().toString());
        }));
    }

    private void info(JsonGenerator json, GriffinConfig config) {
        json.writeStringProperty("general.architecture", "griffin");
        json.writeStringProperty("general.basename", model.name());
        json.writeNumberProperty("general.parameter_count", config.parameters());
        json.writeNumberProperty("griffin.block_count", config.layers());
        json.writeNumberProperty("griffin.embedding_length", config.width());
        json.writeNumberProperty("griffin.attention.head_count", config.heads());
        json.writeNumberProperty("griffin.attention.head_count_kv", 1);
        json.writeNumberProperty("griffin.attention.sliding_window", config.window());
        json.writeNumberProperty("griffin.context_length", Integer.MAX_VALUE);
        json.writeNumberProperty("griffin.vocab_size", config.vocabulary());
        json.writeNumberProperty("griffin.state_bytes", model.griffin().stateBytes());
        json.writeNumberProperty("griffin.state_bytes_f32", config.stateBytes(DType.F32));
    }
}
