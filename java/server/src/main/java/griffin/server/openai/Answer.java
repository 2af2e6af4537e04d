package griffin.server.openai;

import griffin.Completion.Piece;
import griffin.FinishReason;
import griffin.Generation;
import griffin.server.engine.Reply;
import griffin.server.engine.ServedModel;
import griffin.server.json.JsonText;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.UUID;
import java.util.function.Consumer;
import tools.jackson.core.JsonGenerator;

/** The form of an answer: its object and its stream's chunks, for chats and for texts. */
abstract class Answer {

    static final byte[] DONE = "data: [DONE]\n\n".getBytes(StandardCharsets.UTF_8);

    final ServedModel model;
    final TextRequest request;
    private final String id;
    private final String object;
    private final String chunkObject;
    private final long created = System.currentTimeMillis() / 1000;

    Answer(ServedModel model, TextRequest request, String prefix, String object, String chunkObject) {
        this.model = model;
        this.request = request;
        this.id = prefix + UUID.randomUUID().toString().replace("-", "");
        this.object = object;
        this.chunkObject = chunkObject;
    }

    /** Counts of one request. */
    record Usage(int prompt, int cached, int generated) {

        /** Of all choices of all prompts; a prompt counts once. */
        static Usage of(List<Reply> replies, List<Generation> generations, int choices) {
            int prompt = 0;
            int cached = 0;
            int generated = 0;
            for (int i = 0; i < replies.size(); i++) {
                if (i % choices == 0) {
                    prompt += replies.get(i).promptTokens();
                    cached += replies.get(i).cachedTokens();
                }
                generated += generations.get(i).ids().size();
            }
            return new Usage(prompt, cached, generated);
        }

        private void write(JsonGenerator json) {
            JsonText.object(json, "usage", () -> {
                json.writeNumberProperty("prompt_tokens", prompt);
                json.writeNumberProperty("completion_tokens", generated);
                json.writeNumberProperty("total_tokens", prompt + generated);
                JsonText.object(json, "prompt_tokens_details", () -> json.writeNumberProperty("cached_tokens", cached));
            });
        }
    }

    /** The fields of a finished choice beside index and finish_reason. */
    abstract void choice(JsonGenerator json, int index, Generation generation);

    /** The fields of a piece of a choice, and what begins or ends a choice's stream: piece is null then. */
    abstract void delta(JsonGenerator json, int index, Piece piece);

    /** What is sent before the first piece of a choice, or null for nothing. */
    abstract byte[] opening(int index);

    byte[] whole(List<Generation> generations, Usage usage) {
        return JsonText.object(json -> {
            head(json, object);
            json.writeArrayPropertyStart("choices");
            for (int i = 0; i < generations.size(); i++) {
                json.writeStartObject();
                json.writeNumberProperty("index", i);
                choice(json, i, generations.get(i));
                json.writeStringProperty("finish_reason", reason(generations.get(i)));
                json.writeEndObject();
            }
            json.writeEndArray();
            usage.write(json);
        });
    }

    /** A piece of a choice. */
    byte[] piece(int index, Piece piece) {
        return chunk(index, json -> delta(json, index, piece), null);
    }

    /** The end of a choice. */
    byte[] ending(int index, Generation generation) {
        return chunk(index, json -> delta(json, index, null), reason(generation));
    }

    /** The counts, at the end of a stream. */
    byte[] usage(Usage usage) {
        return event(JsonText.object(json -> {
            head(json, chunkObject);
            json.writeArrayPropertyStart("choices");
            json.writeEndArray();
            usage.write(json);
        }));
    }

    byte[] chunk(int index, Consumer<JsonGenerator> fields, String finishReason) {
        return event(JsonText.object(json -> {
            head(json, chunkObject);
            json.writeArrayPropertyStart("choices");
            json.writeStartObject();
            json.writeNumberProperty("index", index);
            fields.accept(json);
            json.writeName("finish_reason");
            if (finishReason == null) {
                json.writeNull();
            } else {
                json.writeString(finishReason);
            }
            json.writeEndObject();
            json.writeEndArray();
            if (request.includeUsage()) {
                json.writeNullProperty("usage");
            }
        }));
    }

    private void head(JsonGenerator json, String kind) {
        json.writeStringProperty("id", id);
        json.writeStringProperty("object", kind);
        json.writeNumberProperty("created", created);
        json.writeStringProperty("model", model.name());
    }

    static byte[] event(byte[] data) {
        byte[] out = new byte[data.length + 8];
        System.arraycopy("data: ".getBytes(StandardCharsets.US_ASCII), 0, out, 0, 6);
        System.arraycopy(data, 0, out, 6, data.length);
        out[out.length - 2] = '\n';
        out[out.length - 1] = '\n';
        return out;
    }

    private static String reason(Generation generation) {
        return generation.finishReason() == FinishReason.LENGTH ? "length" : "stop";
    }
}
