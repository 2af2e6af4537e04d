package griffin.server;

import griffin.Griffin;
import griffin.PrefixCache;
import griffin.Scheduler;
import griffin.server.engine.CacheFailures;
import griffin.server.engine.Generations;
import griffin.server.engine.ServedModel;
import griffin.server.engine.ServerEngine;
import griffin.server.http.HttpFront;
import griffin.server.http.RequestObserver;
import griffin.server.http.Route;
import griffin.server.ollama.KeepAlive;
import griffin.server.ollama.Ollama;
import griffin.server.ollama.OllamaModels;
import griffin.server.openai.OpenAi;
import griffin.server.own.OwnRoutes;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;

/**
 * A model behind OpenAI's and Ollama's HTTP interfaces, with a page to chat from a browser.
 *
 * <pre>{@code
 * try (Griffin griffin = Griffin.builder(files).parallel(8).open();
 *         Scheduler scheduler = Scheduler.builder(griffin).start();
 *         GriffinServer server = GriffinServer.builder(griffin, scheduler, "my-model").port(11434).start()) {
 *     ...
 *     server.drain(Duration.ofSeconds(30));
 * }
 * }</pre>
 */
public final class GriffinServer implements AutoCloseable {

    private final HttpFront http;
    private final Scheduler scheduler;
    private final Generations generations;

    private GriffinServer(Builder b) {
        scheduler = b.scheduler;
        ServerEngine engine =
                new ServerEngine(b.griffin, scheduler, b.cache, b.name, b.names, b.maxTokens, b.mostPromptTokens, b.sessionBytes);
        ServedModel model = engine.model();
        generations = engine.generations();
        KeepAlive keepAlive = new KeepAlive();
        List<Route> routes = new ArrayList<>();
        routes.addAll(new OwnRoutes(model, engine.sessions(), engine.measures(), engine::tokens, this::draining).routes());
        routes.addAll(new OpenAi(model, generations, engine.sessions()).routes());
        routes.addAll(new Ollama(model, generations, engine.sessions(), keepAlive).routes());
        routes.addAll(new OllamaModels(model, version(), keepAlive).routes());
        CacheFailures failures = new CacheFailures(b.cache, b.notices);
        RequestObserver observer = (path, status, nanos) -> {
            engine.measures().served(path, status, nanos);
            failures.look();
        };
        http = new HttpFront(b.host, b.port, b.apiKey, b.allowedHosts, b.limits.http(), routes, observer, b.notices);
        engine.measures().gauge("griffin_http_connections", "Open connections", http::connections);
        engine.measures().gauge("griffin_http_requests", "Requests being served", http::serving);
        http.start();
    }

    /** This build's version, a semantic one as Ollama's clients expect. */
    private static String version() {
        try (InputStream in = GriffinServer.class.getResourceAsStream("version.txt")) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8).strip();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * A server of one model.
     *
     * @param griffin   the model
     * @param scheduler runs its generations; both stay the caller's to close, after the server
     * @param name      what clients call the model
     */
    public static Builder builder(Griffin griffin, Scheduler scheduler, String name) {
        return new Builder(griffin, scheduler, name);
    }

    /** How to serve. */
    public static final class Builder {

        private final Griffin griffin;
        private final Scheduler scheduler;
        private final String name;
        private PrefixCache cache;
        private Set<String> names = Set.of();
        private String host = "127.0.0.1";
        private int port = 11434;
        private String apiKey;
        private Set<String> allowedHosts = Set.of();
        private int maxTokens;
        private int mostPromptTokens = 1 << 20;
        private long sessionBytes = 1L << 30;
        private ServerLimits limits = ServerLimits.DEFAULT;
        private Consumer<String> notices = notice -> {};

        private Builder(Griffin griffin, Scheduler scheduler, String name) {
            this.griffin = griffin;
            this.scheduler = scheduler;
            this.name = name;
            maxTokens = griffin.defaultMaxTokens();
        }

        /** Further names for the model. */
        public Builder names(Set<String> value) {
            names = Set.copyOf(value);
            return this;
        }

        /** The scheduler's prefix cache, for the measures; null, the default, without one. */
        public Builder prefixCache(PrefixCache value) {
            cache = value;
            return this;
        }

        /** The address to listen at; by default this machine's own, 127.0.0.1. */
        public Builder host(String value) {
            host = value;
            return this;
        }

        /** The port, 11434 by default; 0 takes a free one. */
        public Builder port(int value) {
            port = value;
            return this;
        }

        /** What clients must send as {@code Authorization: Bearer KEY}; null, the default, asks for nothing. */
        public Builder apiKey(String value) {
            apiKey = value;
            return this;
        }

        /**
         * Names by which clients may call this machine, beside localhost. Requests that name another one in their Host header are refused,
         * since a page of another site may have made it lead here: unless a key is asked for and the server listens beyond this machine;
         * there, addresses pass as well.
         */
        public Builder allowedHosts(Set<String> value) {
            allowedHosts = Set.copyOf(value);
            return this;
        }

        /** Most tokens of a generation where a request does not say; by default what the model suggests. */
        public Builder maxTokens(int value) {
            maxTokens = value;
            return this;
        }

        /** Longest prompt in tokens, what a session already has not included. */
        public Builder mostPromptTokens(int value) {
            mostPromptTokens = value;
            return this;
        }

        /** Memory for the states of sessions, in bytes. */
        public Builder sessionBytes(long value) {
            sessionBytes = value;
            return this;
        }

        /** What clients may take. */
        public Builder limits(ServerLimits value) {
            limits = value;
            return this;
        }

        /** Receives single sentences about what went wrong inside. */
        public Builder notices(Consumer<String> value) {
            notices = value;
            return this;
        }

        /**
         * Listens from now on.
         *
         * @throws java.io.UncheckedIOException when the address cannot be had
         */
        public GriffinServer start() {
            return new GriffinServer(this);
        }
    }

    /** Whether an address is this machine's own alone. */
    public static boolean isLoopback(String host) {
        return HttpFront.isLoopback(host);
    }

    /** The port that is listened at. */
    public int port() {
        return http.port();
    }

    /** Whether new requests are refused because the server is to end. */
    public boolean draining() {
        return http.draining();
    }

    /**
     * Refuses new requests (503) and waits for those under way.
     *
     * @return whether all ended within the limit
     */
    public boolean drain(Duration limit) throws InterruptedException {
        long end = System.nanoTime() + limit.toNanos();
        http.drain();
        boolean served = http.awaitServed(limit); // those that were admitted may still have generations to submit
        generations.drain();
        return scheduler.drain(Duration.ofNanos(Math.max(1, end - System.nanoTime()))) && served;
    }

    /** Ends at once: requests under way are cut off. */
    @Override
    public void close() {
        http.close();
    }
}
