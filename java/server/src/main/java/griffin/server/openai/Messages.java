package griffin.server.openai;

import griffin.server.json.JsonObject;
import griffin.tokenizer.ChatTemplate.Message;
import java.util.ArrayList;
import java.util.List;

/** The messages of a chat: a content is a text, or parts that are texts. */
final class Messages {

    private Messages() {}

    static List<Message> read(JsonObject body) {
        List<Message> messages = new ArrayList<>();
        for (JsonObject message : body.objects("messages").orElseThrow(() -> body.missing("messages", "an array of objects"))) {
            if (message.isSet("tool_calls") || message.isSet("function_call")) {
                throw message.refuse("tool_calls", "not supported by this server");
            }
            messages.add(new Message(message.requiredString("role"), content(message)));
        }
        return messages;
    }

    private static String content(JsonObject message) {
        if (!(message.raw("content") instanceof List<?>)) {
            return message.requiredString("content");
        }
        StringBuilder text = new StringBuilder();
        for (JsonObject part : message.objects("content").orElseThrow()) {
            String type = part.requiredString("type");
            if (!type.equals("text")) {
                throw part.refuse("type", "'" + type + "' is not supported by this server; it has text");
            }
            text.append(part.requiredString("text"));
        }
        return text.toString();
    }
}
