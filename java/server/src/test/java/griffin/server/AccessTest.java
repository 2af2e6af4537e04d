package griffin.server;

import static griffin.server.Served.MODEL;
import static griffin.server.Served.at;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** Who may ask, how many at once, and how it ends. */
class AccessTest {

    private static final String ENDLESS = "{\"model\":\"" + MODEL
            + "\",\"prompt\":\"Once\",\"stream\":true,\"max_tokens\":100000000,\"ignore_eos\":true}";

    private static byte[] endless() {
        return RawClient.post("/v1/completions", ENDLESS.getBytes(StandardCharsets.UTF_8));
    }

    @Test
    void aKeyIsAskedFor() throws Exception {
        try (Served served = Served.start(1, 2, builder -> builder.apiKey("s3cret"))) {
            for (String path : List.of("/v1/models", "/api/tags", "/metrics", "/griffin/sessions")) {
                HttpResponse<String> none = served.get(path);
                assertEquals(401, none.statusCode(), path);
                assertEquals("Bearer", none.headers().firstValue("WWW-Authenticate").orElseThrow());
                assertEquals(401, served.send(served.request(path).header("Authorization", "Bearer s3cre").build()).statusCode());
                assertEquals(401, served.send(served.request(path).header("Authorization", "Basic s3cret").build()).statusCode());
                assertEquals(200, served.send(served.request(path).header("Authorization", "Bearer s3cret").build()).statusCode());
            }
            assertEquals("authentication_error", at(Served.object(served.get("/v1/models").body()), "error", "type"));
            assertEquals(200, served.get("/health").statusCode());
            assertEquals(200, served.get("/").statusCode());
        }
    }

    @Test
    void foreignPagesAreKeptOut() throws Exception {
        try (Served served = Served.start(1, 2, builder -> builder)) {
            int port = served.server.port();
            for (String headers : List.of("Host: evil.example:" + port, "Host: localhost.evil.example", "Host: localhost:" + port
                    + "\r\nOrigin: https://evil.example", "Host: localhost:" + port + "\r\nOrigin: null",
                    "Host: localhost:" + port + "\r\nOrigin: http://localhost:1")) {
                String request = "GET /api/tags HTTP/1.1\r\n" + headers + "\r\nConnection: close\r\n\r\n";
                assertEquals(403, RawClient.ask(port, request.getBytes(StandardCharsets.ISO_8859_1)), headers);
            }
            for (String headers : List.of("Host: localhost:" + port, "Host: 127.0.0.1", "Host: [::1]:" + port,
                    "Host: localhost:" + port + "\r\nOrigin: http://localhost:" + port)) {
                String request = "GET /api/tags HTTP/1.1\r\n" + headers + "\r\nConnection: close\r\n\r\n";
                assertEquals(200, RawClient.ask(port, request.getBytes(StandardCharsets.ISO_8859_1)), headers);
            }
            HttpResponse<String> asked = served.send(served.request("/api/tags").method("OPTIONS", BodyPublishers.noBody()).build());
            assertEquals(405, asked.statusCode());
            assertEquals("GET", asked.headers().firstValue("Allow").orElseThrow());
            assertFalse(served.get("/api/tags").headers().firstValue("Access-Control-Allow-Origin").isPresent());
            HttpResponse<String> image = served.send(
                    served.request("/api/generate").header("Content-Type", "image/png").POST(BodyPublishers.ofString("{}")).build());
            assertEquals(415, image.statusCode());
        }
    }

    /** Where others may ask, a name that another site can point here is refused unless a key is asked for. */
    @Test
    void foreignNamesAreRefusedBeyondThisMachine() throws Exception {
        try (Served served = Served.start(1, 2, builder -> builder.host("0.0.0.0").allowedHosts(Set.of("Box.example")))) {
            int port = served.server.port();
            for (String host : List.of("evil.example", "1.evil.example:" + port, "sub.box.example")) {
                assertEquals(403, askAs(port, host, ""), host);
            }
            for (String host : List.of("box.Example:" + port, "192.168.1.7:" + port, "[fe80::1]:" + port, "localhost", "127.0.0.1")) {
                assertEquals(200, askAs(port, host, ""), host);
            }
        }
        try (Served served = Served.start(1, 2, builder -> builder.host("0.0.0.0").apiKey("k"))) {
            assertEquals(401, askAs(served.server.port(), "any.example", ""));
            assertEquals(200, askAs(served.server.port(), "any.example", "Authorization: Bearer k\r\n"));
        }
        try (Served served = Served.start(1, 2, builder -> builder.allowedHosts(Set.of("box.example")))) {
            assertEquals(200, askAs(served.server.port(), "box.example", ""));
            assertEquals(403, askAs(served.server.port(), "192.168.1.7", ""));
        }
    }

    private static int askAs(int port, String host, String headers) throws Exception {
        String request = "GET /api/tags HTTP/1.1\r\nHost: " + host + "\r\n" + headers + "Connection: close\r\n\r\n";
        return RawClient.ask(port, request.getBytes(StandardCharsets.ISO_8859_1));
    }

    /** The page is whole in itself, and its policy lets it ask nobody else. */
    @Test
    void thePageNeedsNothingElse() throws Exception {
        try (Served served = Served.start(1, 2, builder -> builder)) {
            HttpResponse<String> page = served.get("/");
            assertTrue(page.headers().firstValue("Content-Type").orElseThrow().startsWith("text/html"));
            assertTrue(page.headers().firstValue("Content-Security-Policy").orElseThrow().contains("default-src 'none'"));
            assertFalse(page.body().contains("http://") || page.body().contains("https://"), "no address of anybody else");
        }
    }

    /** One runs, one waits, the next is told to come again; when the clients go, their places are free. */
    @Test
    void whoFindsNoPlaceIsToldSo() throws Exception {
        try (Served served = Served.start(1, 1, builder -> builder)) {
            try (RawClient first = new RawClient(served.server.port()); RawClient second = new RawClient(served.server.port())) {
                first.send(endless());
                first.read(300);
                second.send(endless());
                await(served, "griffin_waiting", 1);
                HttpResponse<String> third = served.post("/v1/completions", ENDLESS);
                assertEquals(429, third.statusCode(), third.body());
                assertTrue(third.headers().firstValue("Retry-After").isPresent());
                assertEquals("rate_limit_error", at(Served.object(third.body()), "error", "type"));
                HttpResponse<String> other = served.post("/api/generate", "{\"model\":\"" + MODEL + "\",\"prompt\":\"x\"}");
                assertEquals(429, other.statusCode(), other.body());
            }
            await(served, "griffin_slots_free", 1);
            await(served, "griffin_waiting", 0);
            assertEquals(200,
                    served.post("/v1/completions", "{\"model\":\"" + MODEL + "\",\"prompt\":\"x\",\"max_tokens\":1}").statusCode());
            assertEquals(2, served.measure("griffin_busy_total"));
        }
    }

    /** A client that goes while it waits for a whole answer frees its place as well. */
    @Test
    void whoGoesBeforeTheAnswerFreesThePlace() throws Exception {
        try (Served served = Served.start(1, 1, builder -> builder)) {
            try (RawClient client = new RawClient(served.server.port())) {
                client.send(RawClient.post("/v1/completions",
                        ENDLESS.replace("\"stream\":true", "\"stream\":false").getBytes(StandardCharsets.UTF_8)));
                await(served, "griffin_running", 1);
            }
            await(served, "griffin_running", 0);
            assertEquals(1, served.measure("griffin_slots_free"));
        }
    }

    private static void await(Served served, String measure, double value) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        while (served.measure(measure) != value) {
            assertTrue(System.nanoTime() < end, measure + " is " + served.measure(measure) + ", not " + value);
            Thread.sleep(10);
        }
    }

    /** What is under way ends well, what is new is refused, and health says so. */
    @Test
    void drainingLetsRequestsEnd() throws Exception {
        try (Served served = Served.start(1, 2, builder -> builder)) {
            CompletableFuture<Boolean> drained;
            String text;
            try (RawClient client = new RawClient(served.server.port())) {
                client.send(RawClient.post("/v1/completions",
                        ENDLESS.replace("100000000", "300").getBytes(StandardCharsets.UTF_8)));
                String begin = client.read(300);
                drained = CompletableFuture.supplyAsync(() -> {
                    try {
                        return served.server.drain(Duration.ofSeconds(60));
                    } catch (InterruptedException e) {
                        throw new IllegalStateException(e);
                    }
                });
                while (!served.server.draining()) {
                    Thread.onSpinWait();
                }
                HttpResponse<String> refused = served.post("/v1/completions", ENDLESS);
                assertEquals(503, refused.statusCode());
                assertTrue(refused.headers().firstValue("Retry-After").isPresent());
                assertEquals(503, served.get("/health").statusCode());
                text = begin + client.rest();
            }
            assertTrue(drained.get(60, TimeUnit.SECONDS));
            assertTrue(text.contains("data: [DONE]"), "the stream was ended well");
            assertEquals(1, text.split("\"finish_reason\":\"length\"", -1).length - 1);
        }
    }

    /** A request that was admitted and has not submitted its generation, as its body is still to come, is served. */
    @Test
    void drainingLetsAdmittedRequestsBegin() throws Exception {
        byte[] request = RawClient.post("/v1/completions",
                ("{\"model\":\"" + MODEL + "\",\"prompt\":\"Once\",\"max_tokens\":2}").getBytes(StandardCharsets.UTF_8));
        String text = new String(request, StandardCharsets.UTF_8);
        try (Served served = Served.start(1, 2, builder -> builder); RawClient client = new RawClient(served.server.port())) {
            client.send(text.substring(0, text.length() - 5));
            await(served, "griffin_http_requests", 2); // itself included
            CompletableFuture<Boolean> drained = CompletableFuture.supplyAsync(() -> {
                try {
                    return served.server.drain(Duration.ofSeconds(60));
                } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                }
            });
            while (!served.server.draining()) {
                Thread.onSpinWait();
            }
            assertEquals(503, served.get("/health").statusCode());
            client.send(text.substring(text.length() - 5));
            assertTrue(drained.get(60, TimeUnit.SECONDS));
            assertTrue(client.read(20).contains(" 200 "), "it was served");
        }
    }

    @Test
    void drainingGivesUpAtItsLimit() throws Exception {
        try (Served served = Served.start(1, 2, builder -> builder); RawClient client = new RawClient(served.server.port())) {
            client.send(endless());
            client.read(300);
            assertFalse(served.server.drain(Duration.ofMillis(200)));
        }
    }

    /** More connections than allowed wait; none is refused by an error of the server's own. */
    @Test
    void connectionsAreBounded() throws Exception {
        ServerLimits limits = new ServerLimits(1 << 20, 64, 4, Duration.ofSeconds(30), Duration.ofSeconds(20));
        try (Served served = Served.start(1, 2, builder -> builder.limits(limits))) {
            List<RawClient> clients = new ArrayList<>();
            for (int i = 0; i < 12; i++) {
                clients.add(new RawClient(served.server.port()));
            }
            for (RawClient client : clients) {
                client.send("GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            }
            for (RawClient client : clients) {
                assertEquals(200, RawClient.status(client.rest()));
                client.close();
            }
        }
    }
}
