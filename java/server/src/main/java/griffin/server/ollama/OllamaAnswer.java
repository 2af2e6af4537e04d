package griffin.server.ollama;

import griffin.FinishReason;
import griffin.Generation;
import griffin.server.engine.Reply;
import griffin.server.engine.ServedModel;
import griffin.server.json.JsonText;
import java.time.Instant;
import java.util.Arrays;
import java.util.function.Consumer;
import tools.jackson.core.JsonGenerator;

/** The form of an answer, for chats and for texts: lines while it grows, and one with the counts at the end. */
final class OllamaAnswer {

    private final ServedModel model;
    private final boolean chat;
    private final long start;
    private final long started;

    /**
     * @param start   when the request came, as of {@link System#nanoTime}
     * @param started when its generation was submitted
     */
    OllamaAnswer(ServedModel model, boolean chat, long start, long started) {
        this.model = model;
        this.chat = chat;
        this.start = start;
        this.started = started;
    }

    /** A piece, as a line. */
    static byte[] line(byte[] object) {
        byte[] line = Arrays.copyOf(object, object.length + 1);
        line[object.length] = '\n';
        return line;
    }

    byte[] piece(String text) {
        return object(text, json -> json.writeBooleanProperty("done", false));
    }

    /** The answer to a request without a prompt, which only asks for the model to be there or to go. */
    byte[] nothing(String reason) {
        return object("", json -> {
            json.writeStringProperty("done_reason", reason);
            json.writeBooleanProperty("done", true);
        });
    }

    /**
     * The end, with all times in nanoseconds.
     *
     * @param text    what is still to be told of the answer
     * @param context ids to go on from, or null
     */
    byte[] end(String text, Reply reply, Generation generation, int[] context) {
        return object(text, json -> {
            json.writeStringProperty("done_reason", generation.finishReason() == FinishReason.LENGTH ? "length" : "stop");
            json.writeBooleanProperty("done", true);
            if (context != null) {
                json.writeArrayPropertyStart("context");
                for (int id : context) {
                    json.writeNumber(id);
                }
                json.writeEndArray();
            }
            json.writeNumberProperty("total_duration", System.nanoTime() - start);
            json.writeNumberProperty("load_duration", started - start);
            json.writeNumberProperty("prompt_eval_count", reply.promptTokens());
            json.writeNumberProperty("prompt_eval_duration", nanos(generation.promptSeconds()));
            json.writeNumberProperty("eval_count", generation.ids().size());
            json.writeNumberProperty("eval_duration", nanos(generation.decodeSeconds()));
            json.writeNumberProperty("cached_tokens", reply.cachedTokens());
        });
    }

    private static long nanos(double seconds) {
        return Math.round(seconds * 1e9);
    }

    private byte[] object(String text, Consumer<JsonGenerator> rest) {
        return JsonText.object(json -> {
            json.writeStringProperty("model", model.name());
            json.writeStringProperty("created_at", Instant.now().toString());
            if (chat) {
                JsonText.object(json, "message", () -> {
                    json.writeStringProperty("role", "assistant");
                    json.writeStringProperty("content", text);
                });
            } else {
                json.writeStringProperty("response", text);
            }
            rest.accept(json);
        });
    }
}
