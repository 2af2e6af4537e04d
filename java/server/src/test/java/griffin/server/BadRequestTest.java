package griffin.server;

import static griffin.server.Served.MODEL;
import static griffin.server.Served.at;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Whatever is sent, the answer is a 4xx in the API's own form or a closed connection, and the server lives. */
class BadRequestTest {

    private static final List<String> PATHS = List.of("/v1/chat/completions", "/v1/completions", "/api/generate", "/api/chat", "/api/show");
    private static Served served;

    @BeforeAll
    static void start() {
        served = Served.start(2, 4,
                builder -> builder.limits(new ServerLimits(1 << 20, 64, 64, Duration.ofSeconds(2), Duration.ofSeconds(1))));
    }

    @AfterAll
    static void stop() {
        served.close();
    }

    @AfterEach
    void lives() throws Exception {
        assertEquals(200, served.get("/health").statusCode());
        assertEquals(List.of(), served.notices);
    }

    static List<String> malformed() {
        List<String> all = new ArrayList<>(List.of("", " ", "{", "}", "[]", "null", "1", "\"text\"", "{}", "{\"model\"}", "{\"model\":}",
                "{\"model\":\"" + MODEL + "\"", "{'model':'" + MODEL + "'}", "{\"model\":\"" + MODEL + "\",}",
                "{\"model\":\"" + MODEL + "\"}}",
                "{\"model\":\"" + MODEL + "\"}{}", "{\"model\":\"" + MODEL + "\",\"model\":\"" + MODEL + "\"}", "\u0000", "{\"model\":NaN}",
                "{\"model\":\"a\\u12\"}", "{\"model\":\"tab\there\"}", "model=" + MODEL, "<model/>", "{\"model\":1e999999}",
                "{\"model\":" + "9".repeat(2000) + "}", "[".repeat(100_000), "{\"a\":".repeat(50_000),
                "{\"model\":" + "[".repeat(200) + "]".repeat(200) + "}",
                "{\"" + "k".repeat(100_000) + "\":1}", "{\"model\":\"" + "m".repeat(500_000) + "\"}"));
        return all;
    }

    @ParameterizedTest
    @MethodSource("malformed")
    void malformedJsonIsRefused(String body) throws Exception {
        for (String path : PATHS) {
            HttpResponse<String> response = served.post(path, body);
            assertTrue(response.statusCode() == 400 || response.statusCode() == 404 && body.contains("mmmm"),
                    () -> path + " " + response.statusCode() + response.body());
            shaped(path, response);
        }
    }

    /** An error has the form of the API that was asked. */
    private static void shaped(String path, HttpResponse<String> response) {
        assertEquals("application/json", response.headers().firstValue("Content-Type").orElseThrow());
        Object error = at(Served.object(response.body()), "error");
        if (path.startsWith("/v1/")) {
            assertInstanceOf(String.class, at(error, "message"));
            assertInstanceOf(String.class, at(error, "type"));
            assertTrue(((Map<?, ?>) error).containsKey("param") && ((Map<?, ?>) error).containsKey("code"));
        } else {
            assertInstanceOf(String.class, error);
        }
    }

    static List<String> wrongChats() {
        List<String> all = new ArrayList<>();
        for (String messages : List.of("1", "{}", "\"hi\"", "[1]", "[[]]", "[null]", "[{}]", "[{\"role\":\"user\"}]",
                "[{\"content\":\"x\"}]",
                "[{\"role\":1,\"content\":\"x\"}]", "[{\"role\":\"user\",\"content\":1}]", "[{\"role\":\"user\",\"content\":{\"a\":1}}]",
                "[{\"role\":\"wizard\",\"content\":\"x\"}]", "[{\"role\":\"assistant\",\"content\":\"x\"}]",
                "[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"}]",
                "[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"x\"}}]}]")) {
            all.add("\"messages\":" + messages);
        }
        String fine = "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],";
        for (String wrong : List.of("\"temperature\":-1", "\"temperature\":\"hot\"", "\"temperature\":1e9", "\"top_p\":2", "\"top_k\":1.5",
                "\"max_tokens\":0", "\"max_tokens\":-1", "\"max_tokens\":1e10", "\"max_tokens\":\"5\"", "\"n\":0", "\"n\":1000",
                "\"n\":true",
                "\"stream\":\"yes\"", "\"stream\":1", "\"stop\":1", "\"stop\":[1]", "\"stop\":[\"\"]", "\"seed\":1.5", "\"seed\":\"x\"",
                "\"seed\":99999999999999999999", "\"top_logprobs\":5", "\"logprobs\":3", "\"logprobs\":true,\"top_logprobs\":21",
                "\"stream_options\":1", "\"stream_options\":{\"include_usage\":1}", "\"tools\":[{}]", "\"logit_bias\":{\"1\":5}",
                "\"frequency_penalty\":1", "\"response_format\":{\"type\":\"json_object\"}", "\"session_id\":\"../x\"",
                "\"session_id\":\"\"",
                "\"session_id\":7", "\"session_id\":\"a\",\"n\":2", "\"keep_alive\":\"soon\"", "\"keep_alive\":[]", "\"model\":7")) {
            all.add(fine + wrong);
        }
        return all;
    }

    @ParameterizedTest
    @MethodSource("wrongChats")
    void wrongFieldsOfAChatAreRefused(String fields) throws Exception {
        String body = "{" + (fields.contains("\"model\"") ? "" : "\"model\":\"" + MODEL + "\",") + fields + "}";
        HttpResponse<String> response = served.post("/v1/chat/completions", body);
        assertEquals(400, response.statusCode(), response.body());
        shaped("/v1/chat/completions", response);
    }

    @ParameterizedTest
    @ValueSource(strings = {"\"prompt\":1", "\"prompt\":[]", "\"prompt\":{}", "\"prompt\":[1,\"a\"]", "\"prompt\":[\"a\",1]",
        "\"prompt\":[1.5]", "\"prompt\":[-1]", "\"prompt\":[4096]", "\"prompt\":[99999999999]", "\"prompt\":[[]]", "\"prompt\":null",
        "\"prompt\":\"a\",\"logprobs\":21", "\"prompt\":\"a\",\"best_of\":3", "\"prompt\":\"a\",\"echo\":true,\"logprobs\":1",
        "\"prompt\":\"a\",\"suffix\":\"b\"", "\"prompt\":[\"a\",\"b\"],\"session_id\":\"s\""})
    void wrongFieldsOfACompletionAreRefused(String fields) throws Exception {
        HttpResponse<String> response = served.post("/v1/completions", "{\"model\":\"" + MODEL + "\",\"max_tokens\":1," + fields + "}");
        assertEquals(400, response.statusCode(), response.body());
        shaped("/v1/completions", response);
    }

    @ParameterizedTest
    @ValueSource(strings = {"\"prompt\":1", "\"prompt\":\"a\",\"options\":1", "\"prompt\":\"a\",\"options\":{\"num_predict\":\"x\"}",
        "\"prompt\":\"a\",\"options\":{\"num_predict\":-3}", "\"prompt\":\"a\",\"options\":{\"temperature\":-1}",
        "\"prompt\":\"a\",\"options\":{\"stop\":{}}", "\"prompt\":\"a\",\"context\":\"x\"", "\"prompt\":\"a\",\"context\":[4096]",
        "\"prompt\":\"a\",\"context\":[-1]", "\"prompt\":\"a\",\"stream\":\"no\"", "\"prompt\":\"a\",\"raw\":\"no\"",
        "\"prompt\":\"a\",\"images\":[\"x\"]", "\"prompt\":\"a\",\"format\":\"json\"", "\"prompt\":\"a\",\"keep_alive\":\"x\"",
        "\"prompt\":\"a\",\"session_id\":\"s\",\"context\":[1]", "\"prompt\":\"a\",\"system\":1"})
    void wrongFieldsForOllamaAreRefused(String fields) throws Exception {
        HttpResponse<String> response = served.post("/api/generate", "{\"model\":\"" + MODEL + "\"," + fields + "}");
        assertEquals(400, response.statusCode(), response.body());
        shaped("/api/generate", response);
    }

    /** Bytes of valid requests, changed at random: nothing of it is the server's own fault. */
    @Test
    void changedRequestsAreAnsweredOrRefused() throws Exception {
        Random random = new Random(42);
        String[] valid = {
            "{\"model\":\"" + MODEL + "\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"max_tokens\":1,\"stop\":[\"x\"]}",
            "{\"model\":\"" + MODEL + "\",\"prompt\":[2,5,7],\"max_tokens\":1,\"temperature\":0.5,\"logprobs\":2,\"seed\":3}",
            "{\"model\":\"" + MODEL + "\",\"prompt\":\"Hi\",\"options\":{\"num_predict\":1,\"top_k\":5},\"stream\":false}",
            "{\"model\":\"" + MODEL
                    + "\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"options\":{\"num_predict\":1},\"keep_alive\":\"1m\"}"};
        int refused = 0;
        for (int i = 0; i < 400; i++) {
            byte[] body = valid[i % 4].getBytes(StandardCharsets.UTF_8);
            for (int changes = 1 + random.nextInt(4); changes > 0; changes--) {
                int at = random.nextInt(body.length);
                // Never a digit of a limit, which would make a request long instead of wrong.
                if (!Character.isDigit(body[at]) && !new String(body, StandardCharsets.ISO_8859_1).substring(Math.max(0, at - 14), at + 1)
                        .matches("(?s).*(max_tokens|num_predict).*")) {
                    body[at] = (byte) (random.nextInt(4) == 0 ? random.nextInt(256) : "{}[]\",:0".charAt(random.nextInt(8)));
                }
            }
            int status = RawClient.ask(served.server.port(), RawClient.post(PATHS.get(i % 4), body));
            assertTrue(status == 200 || status >= 400 && status < 500,
                    status + " for " + new String(body, StandardCharsets.ISO_8859_1));
            refused += status == 200 ? 0 : 1;
        }
        assertTrue(refused > 100, "most of them are wrong: " + refused);
    }

    @Test
    void invalidUtf8IsRefused() throws Exception {
        for (byte[] bad : new byte[][] {{(byte) 0xFF}, {(byte) 0xC0, (byte) 0x80}, {(byte) 0xED, (byte) 0xA0, (byte) 0x80},
            {(byte) 0xE2, (byte) 0x82}, {(byte) 0xF5, (byte) 0x80, (byte) 0x80, (byte) 0x80}}) {
            byte[] head = ("{\"model\":\"" + MODEL + "\",\"prompt\":\"").getBytes(StandardCharsets.UTF_8);
            byte[] body = new byte[head.length + bad.length + 2];
            System.arraycopy(head, 0, body, 0, head.length);
            System.arraycopy(bad, 0, body, head.length, bad.length);
            body[body.length - 2] = '"';
            body[body.length - 1] = '}';
            assertEquals(400, RawClient.ask(served.server.port(), RawClient.post("/v1/completions", body)));
        }
    }

    @Test
    void bodiesThatAreTooLongAreRefused() throws Exception {
        String body = "{\"model\":\"" + MODEL + "\",\"prompt\":\"" + "a".repeat(1 << 20) + "\"}";
        assertEquals(413, served.post("/v1/completions", body).statusCode());
        int chunked = RawClient.ask(served.server.port(),
                ("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                        + ("10000\r\n" + "a".repeat(0x10000) + "\r\n").repeat(20)).getBytes(StandardCharsets.ISO_8859_1));
        assertTrue(chunked == 413 || chunked == RawClient.CLOSED, "answered " + chunked);
    }

    @ParameterizedTest
    @ValueSource(strings = {"GARBAGE\r\n\r\n", "\r\n\r\n\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
        "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", "GET /%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /griffin/sessions/..%2f..%2fetc/state HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET /\u0001 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001"})
    void brokenHttpIsRefused(String request) throws Exception {
        int status = RawClient.ask(served.server.port(), request.getBytes(StandardCharsets.ISO_8859_1));
        assertTrue(status == RawClient.CLOSED || status >= 400 && status < 500 || status == 505 || status == 501, request + ": " + status);
    }

    @Test
    void floodsOfHeadersAreRefused() throws Exception {
        StringBuilder many = new StringBuilder("GET / HTTP/1.1\r\nHost: localhost\r\n");
        for (int i = 0; i < 10_000; i++) {
            many.append("X-").append(i).append(": y\r\n");
        }
        for (String flood : List.of(many + "\r\n", "GET / HTTP/1.1\r\nHost: localhost\r\nX: " + "y".repeat(1 << 20) + "\r\n\r\n",
                "GET /" + "y".repeat(1 << 20) + " HTTP/1.1\r\n")) {
            int status = RawClient.ask(served.server.port(), flood.getBytes(StandardCharsets.ISO_8859_1));
            assertTrue(status == 431 || status == 414 || status == RawClient.CLOSED, "answered " + status);
        }
    }

    /** A byte now and then keeps the idle timeout away, but not the time that headers, or a body, may take. */
    @Test
    void slowClientsAreCutOff() throws Exception {
        for (String head : List.of("GET / HTTP/1.1\r\nHost: localhost\r\nX: ",
                "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{")) {
            try (RawClient client = new RawClient(served.server.port())) {
                client.send(head);
                long start = System.nanoTime();
                Thread drip = Thread.startVirtualThread(() -> {
                    try {
                        while (client.send("y")) {
                            Thread.sleep(100); // slowness itself, not a wait for something
                        }
                    } catch (Exception e) {
                        Thread.currentThread().interrupt();
                    }
                });
                int status = RawClient.status(client.rest());
                assertTrue(status == 408 || status == RawClient.CLOSED, head + ": " + status);
                assertTrue(System.nanoTime() - start < 10_000_000_000L, "it took " + (System.nanoTime() - start) / 1_000_000 + " ms");
                drip.interrupt();
            }
        }
        try (RawClient silent = new RawClient(served.server.port())) {
            assertEquals("", silent.rest(), "a connection that says nothing is closed");
        }
    }

    @Test
    void otherModelsAreNotFound() throws Exception {
        HttpResponse<String> openai =
                served.post("/v1/chat/completions", "{\"model\":\"gpt-4\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
        assertEquals(404, openai.statusCode());
        assertEquals("model_not_found", at(Served.object(openai.body()), "error", "code"));
        assertEquals(404, served.post("/api/generate", "{\"model\":\"llama3\",\"prompt\":\"x\"}").statusCode());
        assertEquals(404, served.post("/api/pull", "{\"model\":\"llama3\"}").statusCode());
    }
}
