package griffin.server.engine;

import griffin.Griffin;
import griffin.sampling.SamplingParams;
import griffin.server.http.HttpError;
import griffin.tokenizer.ChatTemplate;
import java.time.Instant;
import java.util.Locale;
import java.util.Set;

/**
 * The model that is served: what it is called, what there is to say of it, and how its prompts are made.
 *
 * @param names     what requests may call it; a suffix {@code :latest} is understood, too
 * @param since     when it was opened
 * @param maxTokens most tokens of a generation where the request does not say
 */
public record ServedModel(Griffin griffin, String name, Set<String> names, Instant since, int maxTokens, Prompts prompts, ChatForm chat,
        String digest) {

    private static final String LATEST = ":latest";

    /**
     * Asserts that a request means this model.
     *
     * @throws HttpError 404 otherwise
     */
    public void require(String asked) {
        if (!isCalled(asked)) {
            throw HttpError.notFound("the model '" + asked + "' is not served here; this server has '" + name + "'", "model_not_found",
                    "model");
        }
    }

    private boolean isCalled(String asked) {
        String plain = asked.endsWith(LATEST) ? asked.substring(0, asked.length() - LATEST.length()) : asked;
        return plain.equals(name) || names.contains(plain) || names.contains(asked);
    }

    /** The model's own suggestion, with a fresh seed. */
    public SamplingParams sampling() {
        return griffin.defaultSampling();
    }

    /** Parameters in a form for people: 15.0M, 2.7B. */
    public String parameterSize() {
        double count = griffin.config().parameters();
        return count >= 1e9 ? String.format(Locale.ROOT, "%.1fB", count / 1e9) : String.format(Locale.ROOT, "%.1fM", count / 1e6);
    }

    /** Whether an id ends a turn. */
    public boolean isEndOfTurn(int id) {
        return chat.endOfTurn().orElse(-1) == id;
    }

    /** The roles that a conversation has. */
    static ChatTemplate.Message reply(String text) {
        return new ChatTemplate.Message("assistant", text);
    }
}
