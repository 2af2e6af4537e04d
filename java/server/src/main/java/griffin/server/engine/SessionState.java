package griffin.server.engine;

import griffin.tokenizer.ChatTemplate.Message;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * What is kept of a session between two requests.
 *
 * @param snapshot      the state
 * @param tokens        tokens of the session so far
 * @param endOfTurnRead whether the state has the end of the last reply's turn
 * @param transcript    the messages that led here, replies included, or nothing where it was not a conversation from its beginning
 * @param keep          how long it is kept without being used
 */
public record SessionState(byte[] snapshot, int tokens, boolean endOfTurnRead, Optional<List<Message>> transcript, Duration keep) {

    /** Bytes beside a message's two texts: objects and their references. */
    private static final int MESSAGE_BYTES = 128;

    /** Memory that it takes: the state, and the transcript at two bytes a character. */
    long bytes() {
        return snapshot.length + transcript.stream().flatMap(List::stream)
                .mapToLong(message -> MESSAGE_BYTES + 2L * (message.role().length() + message.content().length())).sum();
    }

    /** What of a request's messages is new; nothing where the request is another conversation, which takes this one's place. */
    Optional<List<Message>> newIn(List<Message> messages) {
        if (transcript.isPresent() && continues(transcript.get(), messages)) {
            return Optional.of(messages.subList(transcript.get().size(), messages.size()));
        }
        return messages.size() == 1 ? Optional.of(messages) : Optional.empty();
    }

    private static boolean continues(List<Message> known, List<Message> messages) {
        if (messages.size() <= known.size()) {
            return false;
        }
        for (int i = 0; i < known.size(); i++) {
            if (!known.get(i).role().equals(messages.get(i).role())
                    || !known.get(i).content().strip().equals(messages.get(i).content().strip())) {
                return false;
            }
        }
        return true;
    }
}
