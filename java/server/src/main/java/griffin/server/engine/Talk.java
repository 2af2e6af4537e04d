package griffin.server.engine;

import griffin.Generation;
import griffin.GenerationOptions;
import griffin.tokenizer.ChatTemplate.Message;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A prompt in the light of its session: without one, or with a new one, all of it is read; else the session's state is resumed and only
 * what is new is read. After the reply the session keeps the new state.
 */
public final class Talk {

    private final ServedModel model;
    private final Sessions.Lease lease;
    private final Optional<SessionState> from;
    private final int[] ids;
    private final Optional<List<Message>> messages;

    private Talk(ServedModel model, Sessions.Lease lease, Optional<SessionState> from, int[] ids, Optional<List<Message>> messages) {
        this.model = model;
        this.lease = lease;
        this.from = from;
        this.ids = model.prompts().check(ids);
        this.messages = messages;
    }

    /**
     * A conversation. A session goes on with it if it begins with what the session knows, or is a single message; otherwise it begins the
     * session anew.
     *
     * @param lease the session, or null
     */
    public static Talk chat(ServedModel model, Sessions.Lease lease, List<Message> given) throws InterruptedException {
        List<Message> messages = model.chat().arrange(given);
        Optional<SessionState> known = lease == null ? Optional.empty() : lease.state();
        Optional<List<Message>> fresh = known.flatMap(state -> state.newIn(messages));
        if (fresh.isEmpty()) {
            return new Talk(model, lease, Optional.empty(), model.chat().whole(messages), Optional.of(messages));
        }
        SessionState state = known.orElseThrow();
        Optional<List<Message>> all = state.transcript().map(before -> {
            List<Message> joined = new ArrayList<>(before);
            joined.addAll(fresh.get());
            return joined;
        });
        return new Talk(model, lease, known, model.chat().following(fresh.get(), state.endOfTurnRead()), all);
    }

    /** A text; a session goes on with it. */
    public static Talk text(ServedModel model, Sessions.Lease lease, String text) throws InterruptedException {
        Optional<SessionState> known = lease == null ? Optional.empty() : lease.state();
        return new Talk(model, lease, known, model.prompts().text(text, known.isEmpty()), Optional.empty());
    }

    /** Token ids, taken as they are; a session goes on with them. */
    public static Talk ids(ServedModel model, Sessions.Lease lease, int[] ids) {
        return new Talk(model, lease, lease == null ? Optional.empty() : lease.state(), ids, Optional.empty());
    }

    /** The prompt's ids; after a state, what is new. */
    public int[] ids() {
        return ids;
    }

    /** The generation that it is. */
    public Ask ask(GenerationOptions options, int choices) {
        return new Ask(ids, from.map(SessionState::snapshot).orElse(null), from.map(SessionState::tokens).orElse(0), options, choices,
                lease != null);
    }

    /**
     * Keeps the state after the reply.
     *
     * @param keep how long without being used
     */
    public void keep(Reply reply, Generation generation, Duration keep) {
        if (lease == null || reply.state().isEmpty()) {
            return;
        }
        int tokens = reply.promptTokens() + generation.ids().size();
        boolean endRead = !generation.ids().isEmpty() && model.isEndOfTurn(generation.ids().getLast());
        Optional<List<Message>> transcript = messages.map(before -> {
            List<Message> joined = new ArrayList<>(before);
            joined.add(ServedModel.reply(generation.text()));
            return List.copyOf(joined);
        });
        lease.keep(new SessionState(reply.state().get(), tokens, endRead, transcript, keep));
    }
}
