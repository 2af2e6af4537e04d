package griffin.server.own;

import griffin.error.GriffinException;
import griffin.server.engine.Fields;
import griffin.server.engine.Generations;
import griffin.server.engine.Measures;
import griffin.server.engine.ServedModel;
import griffin.server.engine.SessionState;
import griffin.server.engine.Sessions;
import griffin.server.http.ErrorShape;
import griffin.server.http.Exchange;
import griffin.server.http.HttpError;
import griffin.server.http.Route;
import griffin.server.json.JsonText;
import griffin.server.ollama.Ollama;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import tools.jackson.core.JsonGenerator;

/** The server's own paths. */
public final class OwnRoutes {

    private static final ErrorShape ERRORS = Ollama.ERRORS;
    private static final String SESSIONS = "/griffin/sessions/";
    private static final String STATE = "/state";
    /** Nothing but the page's own script and style, and requests to this server. */
    private static final String POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
            + "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    private final ServedModel model;
    private final Sessions sessions;
    private final Measures measures;
    private final StateCheck stateCheck;
    private final BooleanSupplier draining;
    private final byte[] page;

    /** Judges a state that a client brings. */
    @FunctionalInterface
    public interface StateCheck {

        /**
         * Tokens that a state has.
         *
         * @throws GriffinException when it is damaged or another model's
         */
        int tokens(byte[] snapshot);
    }

    public OwnRoutes(ServedModel model, Sessions sessions, Measures measures, StateCheck stateCheck, BooleanSupplier draining) {
        this.model = model;
        this.sessions = sessions;
        this.measures = measures;
        this.stateCheck = stateCheck;
        this.draining = draining;
        page = page();
    }

    private static byte[] page() {
        try (InputStream in = OwnRoutes.class.getResourceAsStream("page.html")) {
            return in.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public List<Route> routes() {
        return List.of(
                new Route("GET", "/", true, ERRORS, exchange -> exchange.send(200, "text/html; charset=utf-8", page,
                        Map.of("Content-Security-Policy", POLICY, "Cache-Control", "no-cache"))),
                new Route("GET", "/health", true, ERRORS, this::health),
                new Route("GET", "/metrics", false, ERRORS, exchange -> exchange.send(200, Measures.CONTENT_TYPE, measures.text())),
                new Route("GET", "/griffin/sessions", false, ERRORS, this::list), new Route("GET", SESSIONS, false, ERRORS, this::get),
                new Route("PUT", SESSIONS, false, ERRORS, this::put), new Route("DELETE", SESSIONS, false, ERRORS, this::delete));
    }

    private void health(Exchange exchange) {
        boolean ends = draining.getAsBoolean();
        exchange.send(ends ? 503 : 200, Exchange.JSON,
                JsonText.object(json -> json.writeStringProperty("status", ends ? "draining" : "ok")));
    }

    private void list(Exchange exchange) {
        exchange.send(200, Exchange.JSON, JsonText.object(json -> {
            json.writeArrayPropertyStart("sessions");
            for (String name : sessions.names()) {
                sessions.find(name).ifPresent(state -> {
                    json.writeStartObject();
                    describe(json, name, state);
                    json.writeEndObject();
                });
            }
            json.writeEndArray();
        }));
    }

    private void describe(JsonGenerator json, String name, SessionState state) {
        json.writeStringProperty("id", name);
        json.writeNumberProperty("tokens", state.tokens());
        json.writeNumberProperty("snapshot_bytes", state.snapshot().length);
        json.writeNumberProperty("state_bytes", model.griffin().stateBytes());
    }

    /** The name in a path, with or without the part that means its state. */
    private static String name(Exchange exchange, boolean ofState) {
        String rest = exchange.path().substring(SESSIONS.length());
        if (rest.endsWith(STATE) != ofState) {
            throw HttpError.notFound("there is nothing at " + exchange.path(), "not_found", null);
        }
        return ofState ? rest.substring(0, rest.length() - STATE.length()) : rest;
    }

    private static HttpError noSession(String name) {
        return HttpError.notFound("there is no session " + name, "not_found", null);
    }

    private void get(Exchange exchange) {
        boolean ofState = exchange.path().endsWith(STATE);
        String name = name(exchange, ofState);
        SessionState state = sessions.find(name).orElseThrow(() -> noSession(name));
        if (ofState) {
            exchange.send(200, "application/octet-stream", state.snapshot(),
                    Map.of("Content-Disposition", "attachment; filename=\"" + name + ".state\""));
        } else {
            exchange.send(200, Exchange.JSON, JsonText.object(json -> describe(json, name, state)));
        }
    }

    private void put(Exchange exchange) throws InterruptedException {
        String name = name(exchange, true);
        try (Sessions.Lease lease = sessions.take(name)) {
            byte[] snapshot = exchange.body(model.griffin().stateBytes() * 2 + (1 << 20));
            int tokens;
            try {
                tokens = stateCheck.tokens(snapshot);
            } catch (GriffinException e) {
                throw Generations.explain(e);
            }
            SessionState state = new SessionState(snapshot, tokens, false, Optional.empty(), Fields.KEEP);
            lease.keep(state);
            exchange.send(200, Exchange.JSON, JsonText.object(json -> describe(json, name, state)));
        }
    }

    private void delete(Exchange exchange) {
        String name = name(exchange, false);
        if (!sessions.remove(name)) {
            throw noSession(name);
        }
        exchange.send(200, Exchange.JSON, JsonText.object(json -> json.writeStringProperty("deleted", name)));
    }
}
