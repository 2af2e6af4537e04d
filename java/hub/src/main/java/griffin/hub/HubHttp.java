package griffin.hub;

import griffin.error.HubException;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.HashSet;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/**
 * Requests to a hub and to the hosts it sends them on to. Follows redirects itself, since the token is for the hub alone; gives up when
 * nothing comes for too long, and at once when the pull is stopped.
 */
final class HubHttp implements AutoCloseable {

    private static final int MOST_REDIRECTS = 10;
    private static final long TICK_MILLIS = 50;

    private final URI hub;
    private final Optional<AccessToken> token;
    private final Patience patience;
    private final BooleanSupplier stopped;
    // HTTP/2 would send all ranges through one connection.
    private final HttpClient client;
    private final Set<Waiting> waiting = ConcurrentHashMap.newKeySet();
    private final Set<Answer> open = ConcurrentHashMap.newKeySet();
    private final ScheduledExecutorService watch = Executors.newSingleThreadScheduledExecutor(task -> {
        Thread thread = new Thread(task, "griffin-hub-watch");
        thread.setDaemon(true);
        return thread;
    });

    /** @param stopped asked all the time; once true, every call ends with a {@link CancellationException} */
    HubHttp(HubSettings settings, Patience patience, BooleanSupplier stopped) {
        hub = settings.hub();
        token = settings.token().filter(any -> isPrivate(hub));
        this.patience = patience;
        this.stopped = stopped;
        client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).followRedirects(HttpClient.Redirect.NEVER)
                .connectTimeout(patience.connect()).build();
        watch.scheduleWithFixedDelay(this::watch, TICK_MILLIS, TICK_MILLIS, TimeUnit.MILLISECONDS);
    }

    /** Whether nobody on the way can read what is sent: it is encrypted, or does not leave this machine. */
    static boolean isPrivate(URI uri) {
        String host = uri.getHost().toLowerCase(Locale.ROOT);
        return uri.getScheme().equalsIgnoreCase("https") || host.equals("localhost") || host.equals("[::1]")
                || host.matches("127\\.\\d+\\.\\d+\\.\\d+");
    }

    /** Whether requests carry the token. */
    boolean sendsToken() {
        return token.isPresent();
    }

    /** The answer to a GET, after redirects. */
    Answer get(URI uri, Map<String, String> headers) throws IOException {
        return send("GET", uri, headers);
    }

    /** The head that a GET would get; a redirect to another host is returned, not followed. */
    Answer head(URI uri) throws IOException {
        return send("HEAD", uri, Map.of());
    }

    private Answer send(String method, URI first, Map<String, String> headers) throws IOException {
        Set<URI> seen = new HashSet<>();
        Map<String, String> told = Map.of();
        for (URI at = first;;) {
            if (seen.size() > MOST_REDIRECTS) {
                throw new HubException(
                        Answer.where(first) + " was redirected more than " + MOST_REDIRECTS + " times: is " + hub + " a hub?");
            }
            if (!seen.add(at)) {
                throw new HubException(Answer.where(first) + " was redirected in a circle, to " + Answer.where(at) + " again");
            }
            HttpResponse<InputStream> response = send(request(method, at, headers));
            told = Answer.told(told, response.headers());
            Answer answer = new Answer(response.statusCode(), at, isHub(at), response.headers(), told, response.body());
            URI next = isRedirect(answer.status) ? target(answer) : null;
            if (next == null || method.equals("HEAD") && !isHub(next)) {
                open.add(answer);
                return answer;
            }
            answer.close();
            at = next;
        }
    }

    /** Ends an answer. */
    void done(Answer answer) {
        open.remove(answer);
        answer.close();
    }

    private HttpRequest request(String method, URI uri, Map<String, String> headers) {
        HttpRequest.Builder request = HttpRequest.newBuilder(uri).method(method, HttpRequest.BodyPublishers.noBody())
                .header("User-Agent", "griffin-hub").header("Accept-Encoding", "identity");
        headers.forEach(request::header);
        if (isHub(uri)) {
            token.ifPresent(known -> request.header("Authorization", "Bearer " + known.value()));
        }
        return request.build();
    }

    private static boolean isRedirect(int status) {
        return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    }

    private static URI target(Answer answer) {
        String location = answer.header("location").orElseThrow(
                () -> new HubException(answer.where() + " answered " + answer.status + ", a redirect, and did not say where to"));
        try {
            URI next = answer.uri.resolve(location);
            String scheme = next.getScheme() == null ? "" : next.getScheme().toLowerCase(Locale.ROOT);
            boolean weaker = scheme.equals("http") && answer.uri.getScheme().equalsIgnoreCase("https");
            if (next.getHost() != null && !weaker && (scheme.equals("https") || scheme.equals("http"))) {
                return next;
            }
            throw new HubException(answer.where() + " redirects to " + Answer.where(next) + ", which is refused: "
                    + (weaker ? "it would go on unencrypted" : "expected an address of http or https"));
        } catch (IllegalArgumentException e) {
            throw new HubException(answer.where() + " redirects to what is no address", e);
        }
    }

    private boolean isHub(URI uri) {
        return uri.getScheme().equalsIgnoreCase(hub.getScheme()) && uri.getHost().equalsIgnoreCase(hub.getHost())
                && port(uri) == port(hub);
    }

    private static int port(URI uri) {
        return uri.getPort() >= 0 ? uri.getPort() : uri.getScheme().equalsIgnoreCase("https") ? 443 : 80;
    }

    /** Not asynchronously: that would need a thread of the JVM's common pool, which the caller's program may have blocked. */
    private HttpResponse<InputStream> send(HttpRequest request) throws IOException {
        Waiting thread = new Waiting(System.nanoTime() + patience.answer().toNanos());
        waiting.add(thread);
        try {
            return client.send(request, HttpResponse.BodyHandlers.ofInputStream());
        } catch (InterruptedException e) {
            if (!thread.end()) {
                Thread.currentThread().interrupt(); // by the caller
            } else if (!stopped.getAsBoolean()) {
                throw new IOException("no answer in " + seconds(patience.answer()), e);
            }
            throw new CancellationException();
        } finally {
            waiting.remove(thread);
            thread.end();
        }
    }

    /** A thread that waits for the head of an answer, to be interrupted when it has waited for long enough. */
    private static final class Waiting {
        private final Thread thread = Thread.currentThread();
        private final long end;
        private boolean over;
        private boolean interrupted;

        Waiting(long end) {
            this.end = end;
        }

        synchronized void watch(boolean stopped) {
            if (!over && !interrupted && (stopped || System.nanoTime() > end)) {
                interrupted = true;
                thread.interrupt();
            }
        }

        /** It waits no longer; returns whether it was interrupted by {@link #watch}, and forgets that interruption alone. */
        synchronized boolean end() {
            if (!over && interrupted) {
                Thread.interrupted();
            }
            over = true;
            return interrupted;
        }
    }

    private void watch() {
        boolean stop = stopped.getAsBoolean();
        waiting.forEach(thread -> thread.watch(stop));
        open.forEach(answer -> answer.watch(patience.silence().toNanos(), stop));
    }

    private static String seconds(Duration duration) {
        return duration.toMillis() / 1000.0 + " s";
    }

    @Override
    public void close() {
        watch.shutdownNow();
        open.forEach(Answer::close);
        client.shutdownNow();
    }
}
