package griffin.server;

import static org.junit.jupiter.api.Assertions.assertEquals;

import griffin.Griffin;
import griffin.PrefixCache;
import griffin.Scheduler;
import griffin.stories.GriffinStories;
import griffin.weights.ModelFiles;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.UnaryOperator;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;

/** A server of the embedded model on a free port, and an HTTP client for it. */
final class Served implements AutoCloseable {

    static final String MODEL = "griffin-stories";

    final Griffin griffin;
    final PrefixCache cache;
    final Scheduler scheduler;
    final GriffinServer server;
    final HttpClient client = HttpClient.newHttpClient();
    /** What the server reported as gone wrong inside. */
    final List<String> notices = new CopyOnWriteArrayList<>();

    private Served(ModelFiles files, int parallel, int waiting, boolean caches, UnaryOperator<GriffinServer.Builder> settings) {
        this(files, "cpu", parallel, waiting, caches, settings);
    }

    private Served(ModelFiles files, String device, int parallel, int waiting, boolean caches,
            UnaryOperator<GriffinServer.Builder> settings) {
        griffin = Griffin.builder(files).device(device).sessions(parallel + 2).parallel(parallel).open();
        cache = caches ? PrefixCache.builder().identity(griffin.modelIdentity()).build() : null;
        scheduler = Scheduler.builder(griffin).parallel(parallel).waiting(waiting).prefixCache(cache).start();
        server = settings.apply(GriffinServer.builder(griffin, scheduler, MODEL).prefixCache(cache).port(0).notices(notices::add)).start();
    }

    static Served start(int parallel, int waiting, UnaryOperator<GriffinServer.Builder> settings) {
        return new Served(GriffinStories.files(), parallel, waiting, false, settings);
    }

    static Served start(ModelFiles files, String device, int parallel) {
        return new Served(files, device, parallel, 2 * parallel, false, builder -> builder);
    }

    static Served start(ModelFiles files) {
        return new Served(files, 2, 8, false, builder -> builder);
    }

    /** With a prefix cache in memory. */
    static Served caching(int parallel, int waiting) {
        return new Served(GriffinStories.files(), parallel, waiting, true, builder -> builder);
    }

    static Served start() {
        return start(4, 16, builder -> builder);
    }

    URI uri(String path) {
        return URI.create("http://127.0.0.1:" + server.port() + path);
    }

    HttpRequest.Builder request(String path) {
        return HttpRequest.newBuilder(uri(path));
    }

    HttpResponse<String> send(HttpRequest request) throws IOException, InterruptedException {
        return client.send(request, HttpResponse.BodyHandlers.ofString());
    }

    HttpResponse<String> get(String path) throws IOException, InterruptedException {
        return send(request(path).build());
    }

    HttpResponse<String> post(String path, String body) throws IOException, InterruptedException {
        return send(request(path).header("Content-Type", "application/json").POST(HttpRequest.BodyPublishers.ofString(body)).build());
    }

    /** The object that a request must be answered with. */
    Map<?, ?> ok(String path, String body) throws IOException, InterruptedException {
        HttpResponse<String> response = post(path, body);
        assertEquals(200, response.statusCode(), response.body());
        return object(response.body());
    }

    /** The data of a stream of events, the last of which must be [DONE]. */
    List<Map<?, ?>> events(String path, String body) throws IOException, InterruptedException {
        HttpResponse<String> response = post(path, body);
        assertEquals(200, response.statusCode(), response.body());
        assertEquals("text/event-stream", response.headers().firstValue("Content-Type").orElseThrow());
        List<String> data = response.body().lines().filter(line -> !line.isEmpty()).map(line -> {
            assertEquals("data: ", line.substring(0, 6), line);
            return line.substring(6);
        }).toList();
        assertEquals("[DONE]", data.getLast());
        List<Map<?, ?>> objects = new ArrayList<>();
        data.subList(0, data.size() - 1).forEach(one -> objects.add(object(one)));
        return objects;
    }

    /** The lines of a stream of JSON objects, the last of which must be done. */
    List<Map<?, ?>> lines(String path, String body) throws IOException, InterruptedException {
        HttpResponse<String> response = post(path, body);
        assertEquals(200, response.statusCode(), response.body());
        assertEquals("application/x-ndjson", response.headers().firstValue("Content-Type").orElseThrow());
        List<Map<?, ?>> objects = new ArrayList<>();
        response.body().lines().forEach(line -> objects.add(object(line)));
        assertEquals(true, objects.getLast().get("done"));
        return objects;
    }

    /** One value of the measures. */
    double measure(String name) throws IOException, InterruptedException {
        return get("/metrics").body().lines().filter(line -> line.startsWith(name + " ")).findFirst()
                .map(line -> Double.parseDouble(line.substring(name.length() + 1)))
                .orElseThrow(() -> new AssertionError("no measure " + name));
    }

    static Map<?, ?> object(String json) {
        try (JsonParser parser = new JsonFactory().createParser(ObjectReadContext.empty(), json.getBytes(StandardCharsets.UTF_8))) {
            parser.nextToken();
            return (Map<?, ?>) value(parser);
        }
    }

    private static Object value(JsonParser parser) {
        return switch (parser.currentToken()) {
            case START_OBJECT -> {
                Map<String, Object> object = new java.util.LinkedHashMap<>();
                while (parser.nextToken() != JsonToken.END_OBJECT) {
                    String name = parser.currentName();
                    parser.nextToken();
                    object.put(name, value(parser));
                }
                yield object;
            }
            case START_ARRAY -> {
                List<Object> array = new ArrayList<>();
                while (parser.nextToken() != JsonToken.END_ARRAY) {
                    array.add(value(parser));
                }
                yield array;
            }
            case VALUE_NUMBER_INT -> parser.getLongValue();
            case VALUE_NUMBER_FLOAT -> parser.getDoubleValue();
            case VALUE_TRUE -> true;
            case VALUE_FALSE -> false;
            case VALUE_NULL -> null;
            default -> parser.getString();
        };
    }

    /** The value at a path of names and indices. */
    @SuppressWarnings("unchecked")
    static <T> T at(Object from, Object... path) {
        Object value = from;
        for (Object step : path) {
            value = step instanceof Integer index ? ((List<?>) value).get(index) : ((Map<?, ?>) value).get(step);
        }
        return (T) value;
    }

    @Override
    public void close() {
        client.shutdownNow();
        server.close();
        scheduler.close();
        if (cache != null) {
            cache.close();
        }
        griffin.close();
    }
}
