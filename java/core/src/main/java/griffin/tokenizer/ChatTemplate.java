package griffin.tokenizer;

import griffin.error.InvalidRequestException;
import java.util.List;
import java.util.Objects;

/**
 * Gemma's form of a conversation, as token ids: {@code <bos>}, then per message {@code <start_of_turn>ROLE}, line end, the
 * trimmed content, {@code <end_of_turn>}, line end; then {@code <start_of_turn>model}, line end, where the model goes on.
 *
 * <p>The markers are put in as ids, found by name in the model's tokenizer; whatever a content spells is ordinary text, so
 * nobody can end a turn by writing {@code <end_of_turn>}. For contents without such text the ids are those of the model's
 * own template rendered to text and tokenised.
 *
 * <p>A conversation that lives in a model's state is fed turn by turn: {@link #firstUserTurn}, then, after each reply,
 * {@link #nextUserTurn}. Immutable.
 */
public final class ChatTemplate {

    private static final String USER = "user";
    private static final String MODEL = "model";

    /**
     * One turn.
     *
     * @param role {@code user}, or {@code assistant} (also called {@code model})
     * @param content its text; white space around it is removed
     */
    public record Message(String role, String content) {

        public Message {
            Objects.requireNonNull(role, "role");
            Objects.requireNonNull(content, "content");
        }
    }

    private final Tokenizer tokenizer;
    private final int bos;
    private final int startOfTurn;
    private final int endOfTurn;
    private final int[] lineEnd;

    /**
     * @throws InvalidRequestException if the tokenizer has no turn markers, or markers that plain text could be encoded to:
     *         the model was not made for chat
     */
    public ChatTemplate(Tokenizer tokenizer) {
        this.tokenizer = Objects.requireNonNull(tokenizer, "tokenizer");
        this.bos = marker("<bos>");
        this.startOfTurn = marker("<start_of_turn>");
        this.endOfTurn = marker("<end_of_turn>");
        this.lineEnd = tokenizer.encode("\n");
    }

    private int marker(String name) {
        int id = tokenizer.id(name).orElseThrow(() -> new InvalidRequestException("a chat was asked for; this model's tokenizer has "
                + "no token " + name + ", so the model was not trained on turns: give it a prompt to continue instead"));
        if (tokenizer.isText(id)) {
            throw new InvalidRequestException("a chat was asked for; this model's tokenizer makes its turn marker " + name
                    + " out of plain text, so that any text could end a turn: give it a prompt to continue instead");
        }
        return id;
    }

    /** Id of {@code <bos>}, with which every conversation begins. */
    public int bos() {
        return bos;
    }

    /** Id of {@code <start_of_turn>}. */
    public int startOfTurn() {
        return startOfTurn;
    }

    /** Id of {@code <end_of_turn>}, with which the model ends its turn: one of the ids to stop at. */
    public int endOfTurn() {
        return endOfTurn;
    }

    /** What opens a conversation: BOS, the user's turn, and the beginning of the model's. */
    public int[] firstUserTurn(String text) {
        IntList ids = new IntList(text.length() / 2);
        ids.add(bos);
        turn(USER, text, ids);
        open(ids);
        return ids.toArray();
    }

    /**
     * What follows the model's reply: the end of its turn, the user's next turn, and the beginning of the model's.
     *
     * @param endOfTurnConsumed whether the state has consumed the {@code <end_of_turn>} that ended the reply. False if that
     *        token was generated but never fed, and if the reply ended otherwise (length, stop string, interruption).
     */
    public int[] nextUserTurn(String text, boolean endOfTurnConsumed) {
        IntList ids = new IntList(text.length() / 2);
        if (!endOfTurnConsumed) {
            ids.add(endOfTurn);
        }
        ids.addAll(lineEnd);
        turn(USER, text, ids);
        open(ids);
        return ids.toArray();
    }

    /** {@link #render(List, boolean)} with the beginning of the model's turn: what to feed for its answer. */
    public int[] render(List<Message> messages) {
        return render(messages, true);
    }

    /**
     * A whole conversation, BOS first.
     *
     * @param messages at least one, user and assistant in turn, user first
     * @param openModelTurn whether the beginning of the model's next turn follows
     * @throws InvalidRequestException if there are no messages, roles do not alternate, or one is a system message
     */
    public int[] render(List<Message> messages, boolean openModelTurn) {
        if (messages.isEmpty()) {
            throw new InvalidRequestException("a conversation was asked for; it has no messages: give at least one of role user");
        }
        IntList ids = new IntList(64);
        ids.add(bos);
        for (int i = 0; i < messages.size(); i++) {
            turn(checkedRole(i, messages.get(i).role()), messages.get(i).content(), ids);
        }
        if (openModelTurn) {
            open(ids);
        }
        return ids.toArray();
    }

    private static String checkedRole(int index, String role) {
        String expected = index % 2 == 0 ? USER : MODEL;
        String found = role.equals("assistant") ? MODEL : role;
        if (found.equals("system")) {
            throw new InvalidRequestException("message " + index + " has the role system, which this model's chat form does not have: "
                    + "put the text at the beginning of the first user message");
        }
        if (!found.equals(expected)) {
            throw new InvalidRequestException("message " + index + " has the role '" + role + "', expected "
                    + (index % 2 == 0 ? "user" : "assistant") + ": roles alternate user, assistant, user, ...");
        }
        return expected;
    }

    /** Role and content are one text between two markers: the line end between them may be part of a longer token. */
    private void turn(String role, String content, IntList ids) {
        ids.add(startOfTurn);
        ids.addAll(tokenizer.encode(role + "\n" + strip(content)));
        ids.add(endOfTurn);
        ids.addAll(lineEnd);
    }

    private void open(IntList ids) {
        ids.add(startOfTurn);
        ids.addAll(tokenizer.encode(MODEL + "\n"));
    }

    /** Removes white space as the template's {@code trim} does, which is Python's {@code str.strip()}. */
    static String strip(String text) {
        int from = 0;
        int to = text.length();
        while (from < to && isPythonSpace(text.charAt(from))) {
            from++;
        }
        while (to > from && isPythonSpace(text.charAt(to - 1))) {
            to--;
        }
        return text.substring(from, to);
    }

    /** Neither {@link Character#isWhitespace} (lacks the no-break spaces and U+0085) nor isSpaceChar is this set. */
    private static boolean isPythonSpace(char c) {
        return c >= '\t' && c <= '\r' || c >= 0x1C && c <= 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || c >= 0x2000 && c <= 0x200A
                || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
    }
}
