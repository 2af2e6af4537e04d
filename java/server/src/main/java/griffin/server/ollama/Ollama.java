package griffin.server.ollama;

import griffin.Generation;
import griffin.GenerationOptions;
import griffin.server.engine.Choices;
import griffin.server.engine.Fields;
import griffin.server.engine.Generations;
import griffin.server.engine.JsonAction;
import griffin.server.engine.Reply;
import griffin.server.engine.ServedModel;
import griffin.server.engine.Sessions;
import griffin.server.engine.Talk;
import griffin.server.http.ErrorShape;
import griffin.server.http.Exchange;
import griffin.server.http.Route;
import griffin.server.json.JsonObject;
import griffin.tokenizer.ChatTemplate.Message;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** Ollama's API over one model: what generates. */
public final class Ollama {

    /** The form of its errors, which the server's own paths share. */
    public static final ErrorShape ERRORS = new OllamaErrors();
    private static final String LINES = "application/x-ndjson";
    /** Fields that change what is generated, in ways that this server does not know. */
    private static final List<String> UNSUPPORTED = List.of("images", "suffix", "format", "template", "tools", "think");

    private final ServedModel model;
    private final Generations generations;
    private final Sessions sessions;
    private final KeepAlive keepAlive;

    public Ollama(ServedModel model, Generations generations, Sessions sessions, KeepAlive keepAlive) {
        this.model = model;
        this.generations = generations;
        this.sessions = sessions;
        this.keepAlive = keepAlive;
    }

    public List<Route> routes() {
        return List.of(new Route("POST", "/api/generate", false, ERRORS, judged(this::generate)),
                new Route("POST", "/api/chat", false, ERRORS, judged(this::chat)));
    }

    static Route.Action judged(JsonAction action) {
        return JsonAction.judged(ERRORS, OllamaAnswer::line, action);
    }

    private void judge(JsonObject body) {
        model.require(body.requiredString("model"));
        for (String name : UNSUPPORTED) {
            if (body.isSet(name)) {
                throw body.refuse(name, "not supported by this server");
            }
        }
    }

    private void generate(Exchange exchange, JsonObject body) throws InterruptedException {
        long start = System.nanoTime();
        judge(body);
        String prompt = body.string("prompt").orElse("");
        int[] context = context(body);
        if (prompt.isEmpty() && context.length == 0 && Fields.session(body, exchange).isEmpty()) {
            nothing(exchange, body, false, start);
            return;
        }
        boolean raw = body.bool("raw").orElse(false) || !model.chat().hasTurns();
        try (Sessions.Lease lease = session(exchange, body)) {
            if (lease != null && context.length > 0) {
                throw body.refuse("context", "give a context or a session, not both");
            }
            String system = body.string("system").orElse("");
            Talk talk = lease == null && context.length > 0 ? Talk.ids(model, null, after(context, system, prompt, raw))
                    : raw ? Talk.text(model, lease, system + prompt) : Talk.chat(model, lease, messages(system, prompt));
            answer(exchange, body, talk, false, start);
        }
    }

    private void chat(Exchange exchange, JsonObject body) throws InterruptedException {
        long start = System.nanoTime();
        judge(body);
        List<Message> messages = new ArrayList<>();
        for (JsonObject message : body.objects("messages").orElse(List.of())) {
            if (message.isSet("images") || message.isSet("tool_calls")) {
                throw message.refuse(message.isSet("images") ? "images" : "tool_calls", "not supported by this server");
            }
            messages.add(new Message(message.requiredString("role"), message.requiredString("content")));
        }
        if (messages.isEmpty()) {
            nothing(exchange, body, true, start);
            return;
        }
        try (Sessions.Lease lease = session(exchange, body)) {
            answer(exchange, body, Talk.chat(model, lease, messages), true, start);
        }
    }

    private static List<Message> messages(String system, String prompt) {
        return system.isEmpty() ? List.of(new Message("user", prompt))
                : List.of(new Message("system", system), new Message("user", prompt));
    }

    /** The ids of an earlier answer with those of the new prompt. */
    private int[] after(int[] context, String system, String prompt, boolean raw) throws InterruptedException {
        int[] more = raw ? model.prompts().text(system + prompt, false)
                : model.chat().following(model.chat().arrange(messages(system, prompt)), model.isEndOfTurn(context[context.length - 1]));
        return join(context, more);
    }

    private static int[] join(int[] a, int[] b) {
        return IntStream.concat(IntStream.of(a), IntStream.of(b)).toArray();
    }

    private static int[] context(JsonObject body) {
        return body.listOrOne("context").stream().mapToInt(value -> {
            if (!(value instanceof Long id) || id < 0 || id > Integer.MAX_VALUE) {
                throw body.wrong("context", "an array of token ids", value);
            }
            return (int) (long) id;
        }).toArray();
    }

    private Sessions.Lease session(Exchange exchange, JsonObject body) {
        return Fields.session(body, exchange).map(sessions::take).orElse(null);
    }

    private void nothing(Exchange exchange, JsonObject body, boolean chat, long start) {
        Duration keep = Fields.keepAlive(body).orElse(KeepAlive.DEFAULT);
        keepAlive.used(keep);
        byte[] answer = new OllamaAnswer(model, chat, start, start).nothing(keep.isZero() ? "unload" : "load");
        exchange.send(200, Exchange.JSON, answer);
    }

    private void answer(Exchange exchange, JsonObject body, Talk talk, boolean chat, long start) throws InterruptedException {
        GenerationOptions options = OllamaOptions.read(body, model);
        boolean stream = body.bool("stream").orElse(true);
        Duration keep = Fields.keepAlive(body).orElse(Fields.KEEP);
        List<Reply> replies = generations.start(talk.ask(options, 1), exchange);
        OllamaAnswer answer = new OllamaAnswer(model, chat, start, System.nanoTime());
        if (stream) {
            exchange.stream(LINES);
        }
        Generation done = Choices.read(replies, exchange, (choice, piece) -> {
            if (stream && !piece.text().isEmpty()) {
                exchange.write(OllamaAnswer.line(answer.piece(piece.text())));
            }
        }).getFirst();
        Reply reply = replies.getFirst();
        talk.keep(reply, done, keep);
        keepAlive.used(Fields.keepAlive(body).orElse(KeepAlive.DEFAULT));
        // The ids of a session are in its state, and an answer that repeated them would grow with it.
        int[] context = chat || reply.promptTokens() > talk.ids().length ? null
                : join(talk.ids(), done.ids().stream().mapToInt(id -> id).toArray());
        byte[] end = answer.end(stream ? "" : done.text(), reply, done, context);
        if (stream) {
            exchange.write(OllamaAnswer.line(end));
            exchange.end();
        } else {
            exchange.send(200, Exchange.JSON, end);
        }
    }
}
