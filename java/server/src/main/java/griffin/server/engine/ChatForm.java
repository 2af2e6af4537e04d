package griffin.server.engine;

import griffin.Griffin;
import griffin.error.InvalidRequestException;
import griffin.server.http.HttpError;
import griffin.tokenizer.ChatTemplate;
import griffin.tokenizer.ChatTemplate.Message;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * How messages become tokens. A model with turn markers gets Gemma's turns. One without was trained on plain text alone, so that roles mean
 * nothing to it: it continues the contents, in order, as one text.
 */
public final class ChatForm {

    private final Prompts prompts;
    private final ChatTemplate template;

    private ChatForm(Prompts prompts, ChatTemplate template) {
        this.prompts = prompts;
        this.template = template;
    }

    static ChatForm of(Griffin griffin, Prompts prompts) {
        try {
            return new ChatForm(prompts, griffin.hasTokenizer() ? new ChatTemplate(griffin.tokenizer()) : null);
        } catch (InvalidRequestException e) {
            return new ChatForm(prompts, null); // no markers
        }
    }

    /** Whether the model knows turns. */
    public boolean hasTurns() {
        return template != null;
    }

    /** The id that ends a turn, if the model knows turns. */
    Optional<Integer> endOfTurn() {
        return hasTurns() ? Optional.of(template.endOfTurn()) : Optional.empty();
    }

    /**
     * Messages as the model can take them: the model has no system role, so that such a text goes to the beginning of the next user's.
     *
     * @throws HttpError when there is none, a role is unknown, or the last one is not the user's
     */
    public List<Message> arrange(List<Message> messages) {
        List<Message> out = new ArrayList<>();
        StringBuilder system = new StringBuilder();
        for (int i = 0; i < messages.size(); i++) {
            Message message = messages.get(i);
            switch (message.role()) {
                case "system", "developer" -> system.append(message.content()).append("\n\n");
                case "user" -> {
                    out.add(new Message("user", system + message.content()));
                    system.setLength(0);
                }
                case "assistant", "model" -> out.add(new Message("assistant", message.content()));
                default -> throw HttpError.badRequest("messages[" + i + "].role is '" + message.role()
                        + "'; this model knows system, user and assistant", "messages[" + i + "].role");
            }
        }
        if (out.isEmpty() || !out.getLast().role().equals("user") || !system.isEmpty()) {
            throw HttpError.badRequest(messages.isEmpty() ? "messages is empty: give at least one of role user"
                    : "the last message must be the user's, for the model to answer", "messages");
        }
        return out;
    }

    /** A whole conversation, arranged, up to where the model answers. */
    public int[] whole(List<Message> messages) throws InterruptedException {
        return hasTurns() ? prompts.encode(length(messages), () -> template.render(messages)) : prompts.text(plain("", messages), true);
    }

    /**
     * What follows a reply, up to where the model answers again.
     *
     * @param endOfTurnRead whether the state has the end of the reply's turn
     */
    public int[] following(List<Message> messages, boolean endOfTurnRead) throws InterruptedException {
        if (!hasTurns()) {
            return prompts.text(plain("\n", messages), false);
        }
        int[] begin = template.nextUserTurn(messages.getFirst().content(), endOfTurnRead);
        if (messages.size() == 1) {
            return begin;
        }
        int[] first = template.firstUserTurn(messages.getFirst().content());
        int[] all = prompts.encode(length(messages), () -> template.render(messages));
        int lead = begin.length - first.length + 1; // what stands before the user's turn instead of BOS
        int[] out = new int[lead + all.length - 1];
        System.arraycopy(begin, 0, out, 0, lead);
        System.arraycopy(all, 1, out, lead, all.length - 1);
        return out;
    }

    private static String plain(String before, List<Message> messages) {
        StringBuilder text = new StringBuilder();
        for (Message message : messages) {
            boolean reply = message.role().equals("assistant"); // it went on from where the text before it ended
            text.append(reply ? "" : text.isEmpty() ? before : "\n").append(message.content());
        }
        return text.toString();
    }

    private static int length(List<Message> messages) {
        return messages.stream().mapToInt(message -> message.content().length()).sum();
    }
}
