package griffin.server.openai;

import griffin.Generation;
import griffin.server.engine.Ask;
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
import griffin.server.json.JsonText;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import tools.jackson.core.JsonGenerator;

/** OpenAI's API over one model. */
public final class OpenAi {

    private static final ErrorShape ERRORS = new OpenAiErrors();
    private static final String EVENTS = "text/event-stream";

    private final ServedModel model;
    private final Generations generations;
    private final Sessions sessions;

    public OpenAi(ServedModel model, Generations generations, Sessions sessions) {
        this.model = model;
        this.generations = generations;
        this.sessions = sessions;
    }

    public List<Route> routes() {
        return List.of(new Route("POST", "/v1/chat/completions", false, ERRORS, judged(this::chat)),
                new Route("POST", "/v1/completions", false, ERRORS, judged(this::complete)),
                new Route("GET", "/v1/models", false, ERRORS, this::models),
                new Route("GET", "/v1/models/", false, ERRORS, this::oneModel));
    }

    private static Route.Action judged(JsonAction action) {
        return JsonAction.judged(ERRORS, Answer::event, action);
    }

    private void chat(Exchange exchange, JsonObject body) throws InterruptedException {
        TextRequest request = TextRequest.read(body, model, true);
        var messages = Messages.read(body);
        Duration keep = Fields.keepAlive(body).orElse(Fields.KEEP);
        try (Sessions.Lease lease = session(exchange, body, request)) {
            Talk talk = Talk.chat(model, lease, messages);
            List<Reply> replies = generations.start(talk.ask(request.options(), request.choices()), exchange);
            answer(exchange, new ChatAnswer(model, request), replies,
                    generation -> talk.keep(replies.getFirst(), generation, keep));
        }
    }

    private void complete(Exchange exchange, JsonObject body) throws InterruptedException {
        TextRequest request = TextRequest.read(body, model, false);
        List<Object> prompts = TextPrompts.read(body);
        boolean echo = body.bool("echo").orElse(false);
        if (echo && request.logprobs()) {
            throw body.refuse("echo", "not supported by this server together with logprobs");
        }
        Duration keep = Fields.keepAlive(body).orElse(Fields.KEEP);
        try (Sessions.Lease lease = session(exchange, body, request)) {
            if (lease != null && prompts.size() > 1) {
                throw body.refuse("prompt", "a session takes one prompt at a time");
            }
            List<Talk> talks = new ArrayList<>();
            List<String> echoes = new ArrayList<>();
            for (Object prompt : prompts) {
                talks.add(prompt instanceof String text ? Talk.text(model, lease, text) : Talk.ids(model, lease, (int[]) prompt));
                String shown = !echo ? "" : prompt instanceof String text ? text : model.griffin().tokenizer().decode((int[]) prompt);
                echoes.addAll(Collections.nCopies(request.choices(), shown));
            }
            List<Ask> asks = talks.stream().map(talk -> talk.ask(request.options(), request.choices())).toList();
            List<Reply> replies = generations.start(asks, exchange);
            try {
                answer(exchange, new TextAnswer(model, request, echoes), replies,
                        generation -> talks.getFirst().keep(replies.getFirst(), generation, keep));
            } finally {
                replies.forEach(Reply::close);
            }
        }
    }

    private Sessions.Lease session(Exchange exchange, JsonObject body, TextRequest request) {
        String id = Fields.session(body, exchange).orElse(null);
        if (id != null && request.choices() > 1) {
            throw body.refuse("n", "a session goes on in one way only: n must be 1");
        }
        return id == null ? null : sessions.take(id);
    }

    private interface Ended {
        void keep(Generation first);
    }

    private static void answer(Exchange exchange, Answer answer, List<Reply> replies, Ended ended) throws InterruptedException {
        if (answer.request.stream()) {
            stream(exchange, answer, replies, ended);
            return;
        }
        List<Generation> done = Choices.read(replies, exchange, (choice, piece) -> {});
        ended.keep(done.getFirst());
        exchange.send(200, Exchange.JSON, answer.whole(done, Answer.Usage.of(replies, done, answer.request.choices())));
    }

    private static void stream(Exchange exchange, Answer answer, List<Reply> replies, Ended ended) throws InterruptedException {
        boolean[] opened = new boolean[replies.size()];
        exchange.stream(EVENTS);
        List<Generation> done = Choices.read(replies, exchange, (choice, piece) -> {
            open(exchange, answer, choice, opened);
            if (!piece.text().isEmpty() || answer.request.logprobs() && !piece.logProbabilities().isEmpty()) {
                exchange.write(answer.piece(choice, piece));
            }
        });
        ended.keep(done.getFirst());
        for (int i = 0; i < done.size(); i++) {
            open(exchange, answer, i, opened);
            exchange.write(answer.ending(i, done.get(i)));
        }
        if (answer.request.includeUsage()) {
            exchange.write(answer.usage(Answer.Usage.of(replies, done, answer.request.choices())));
        }
        exchange.write(Answer.DONE);
        exchange.end();
    }

    private static void open(Exchange exchange, Answer answer, int choice, boolean[] opened) {
        if (!opened[choice]) {
            opened[choice] = true;
            byte[] opening = answer.opening(choice);
            if (opening != null) {
                exchange.write(opening);
            }
        }
    }

    private void models(Exchange exchange) {
        exchange.send(200, Exchange.JSON, JsonText.object(json -> {
            json.writeStringProperty("object", "list");
            json.writeArrayPropertyStart("data");
            json.writeStartObject();
            model(json);
            json.writeEndObject();
            json.writeEndArray();
        }));
    }

    private void oneModel(Exchange exchange) {
        String asked = exchange.path().substring("/v1/models/".length());
        model.require(URLDecoder.decode(asked.replace("+", "%2B"), StandardCharsets.UTF_8));
        exchange.send(200, Exchange.JSON, JsonText.object(this::model));
    }

    private void model(JsonGenerator json) {
        json.writeStringProperty("id", model.name());
        json.writeStringProperty("object", "model");
        json.writeNumberProperty("created", model.since().getEpochSecond());
        json.writeStringProperty("owned_by", "griffin");
    }
}
