package griffin.server;

import static griffin.server.Served.MODEL;
import static griffin.server.Served.at;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.GenerationListener;
import griffin.GenerationOptions;
import griffin.Session;
import griffin.sampling.SamplingParams;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Sessions: a state is kept, and only what is new is read. */
class SessionTest {

    private static final GenerationOptions GREEDY = GenerationOptions.DEFAULT.withSampling(SamplingParams.GREEDY).withMaxTokens(12);
    private static final List<String> TALK = List.of("Write a story about a dog.", "And then?", "How does it end?");
    private static Served served;

    @BeforeAll
    static void start() {
        served = Served.start();
    }

    @AfterAll
    static void stop() {
        assertEquals(List.of(), served.notices);
        served.close();
    }

    private static String message(String role, String content) {
        return "{\"role\":\"" + role + "\",\"content\":\"" + content.replace("\n", "\\n").replace("\"", "\\\"") + "\"}";
    }

    private static String chat(String session, String messages) {
        return "{\"model\":\"" + MODEL + "\",\"temperature\":0,\"max_tokens\":12,\"session_id\":\"" + session + "\",\"messages\":["
                + messages
                + "]}";
    }

    /** The library's replies in one session. */
    private static List<String> library() {
        List<String> replies = new ArrayList<>();
        try (Session session = served.griffin.newSession()) {
            for (String message : TALK) {
                replies.add(session.chat(message, GREEDY, new GenerationListener() {}).text());
            }
        }
        return replies;
    }

    @Test
    void aTurnCostsItsOwnTokensOnly() throws Exception {
        List<String> expected = library();
        long known = 0;
        for (int i = 0; i < TALK.size(); i++) {
            Map<?, ?> answer = served.ok("/v1/chat/completions", chat("one", message("user", TALK.get(i))));
            assertEquals(expected.get(i), at(answer, "choices", 0, "message", "content"), "turn " + i);
            assertEquals(known, (long) at(answer, "usage", "prompt_tokens_details", "cached_tokens"));
            known = (long) at(answer, "usage", "prompt_tokens") + 12;
        }
        Map<?, ?> described = Served.object(served.get("/griffin/sessions/one").body());
        assertEquals(known, (long) at(described, "tokens"));
        assertEquals(served.griffin.stateBytes(), (long) at(described, "state_bytes"));
    }

    /** Clients that send the whole conversation each time get the same, and the state is used as far as it is theirs. */
    @Test
    void aHistoryThatIsSentAgainIsNotReadAgain() throws Exception {
        List<String> expected = library();
        StringBuilder messages = new StringBuilder();
        for (int i = 0; i < TALK.size(); i++) {
            messages.append(i == 0 ? "" : ",").append(message("user", TALK.get(i)));
            HttpResponse<String> response = served.send(served.request("/v1/chat/completions").header("X-Griffin-Session", "again")
                    .POST(BodyPublishers.ofString(chat("x", messages.toString()).replace("\"session_id\":\"x\",", ""))).build());
            Map<?, ?> answer = Served.object(response.body());
            String reply = at(answer, "choices", 0, "message", "content");
            assertEquals(expected.get(i), reply, "turn " + i);
            assertTrue(i == 0 || (long) at(answer, "usage", "prompt_tokens_details", "cached_tokens") > 12 * i);
            messages.append(',').append(message("assistant", reply));
        }
        Map<?, ?> other = served.ok("/v1/chat/completions",
                chat("again", message("user", "Something else.") + "," + message("assistant", "Yes.") + "," + message("user", "Go on.")));
        assertEquals(0L, (long) at(other, "usage", "prompt_tokens_details", "cached_tokens"), "another conversation begins anew");
    }

    @Test
    void bothInterfacesShareASession() throws Exception {
        List<String> expected = library();
        served.ok("/v1/chat/completions", chat("both", message("user", TALK.get(0))));
        Map<?, ?> second = served.ok("/api/chat", "{\"model\":\"" + MODEL + "\",\"stream\":false,\"session_id\":\"both\",\"messages\":["
                + message("user", TALK.get(1)) + "],\"options\":{\"temperature\":0,\"num_predict\":12}}");
        assertEquals(expected.get(1), at(second, "message", "content"));
        assertTrue((long) at(second, "cached_tokens") > 12);
        Map<?, ?> third = served.ok("/api/generate", "{\"model\":\"" + MODEL + "\",\"stream\":false,\"session_id\":\"both\",\"prompt\":\""
                + TALK.get(2) + "\",\"options\":{\"temperature\":0,\"num_predict\":12}}");
        assertEquals(expected.get(2), at(third, "response"));
    }

    @Test
    void textsGoOnWhereTheyStopped() throws Exception {
        String body = "{\"model\":\"" + MODEL + "\",\"temperature\":0,\"max_tokens\":12,\"session_id\":\"text\",\"prompt\":\"%s\"}";
        String first = at(served.ok("/v1/completions", body.formatted("Once upon a time")), "choices", 0, "text");
        String second = at(served.ok("/v1/completions", body.formatted("")), "choices", 0, "text");
        try (Session session = served.griffin.newSession()) {
            assertEquals(session.generate("Once upon a time", GREEDY.withMaxTokens(24), piece -> {}).text(), first + second);
        }
    }

    /** A state goes out, comes back under another name, and is the library's own format. */
    @Test
    void aStateCanBeTakenAwayAndBroughtBack() throws Exception {
        served.ok("/v1/chat/completions", chat("out", message("user", TALK.get(0))));
        HttpResponse<byte[]> state = served.client.send(served.request("/griffin/sessions/out/state").build(), BodyHandlers.ofByteArray());
        assertEquals(200, state.statusCode());
        try (Session session = served.griffin.restore(state.body())) {
            assertEquals(library().get(1), session.chat(TALK.get(1), GREEDY, new GenerationListener() {}).text());
        }
        assertEquals(200, served.send(served.request("/griffin/sessions/back/state").PUT(BodyPublishers.ofByteArray(state.body())).build())
                .statusCode());
        assertEquals(library().get(1), at(served.ok("/v1/chat/completions", chat("back", message("user", TALK.get(1)))), "choices", 0,
                "message", "content"));
        byte[] damaged = state.body().clone();
        damaged[damaged.length / 2] ^= 1;
        for (byte[] bad : List.of(damaged, new byte[0], "GRIFSTAT".getBytes(StandardCharsets.US_ASCII))) {
            HttpResponse<String> refused =
                    served.send(served.request("/griffin/sessions/bad/state").PUT(BodyPublishers.ofByteArray(bad)).build());
            assertEquals(400, refused.statusCode(), refused.body());
        }
        assertEquals(404, served.get("/griffin/sessions/bad").statusCode());
        assertArrayEquals(state.body(),
                served.client.send(served.request("/griffin/sessions/out/state").build(), BodyHandlers.ofByteArray()).body());
    }

    @Test
    void sessionsEnd() throws Exception {
        served.ok("/v1/chat/completions", chat("gone", message("user", "Hi.")));
        HttpResponse<String> ended = served.send(served.request("/griffin/sessions/gone").DELETE().build());
        assertEquals(200, ended.statusCode());
        assertEquals(Map.of("deleted", "gone"), Served.object(ended.body()));
        assertEquals(404, served.get("/griffin/sessions/gone").statusCode());
        for (String unknown : List.of("gone", "never")) {
            HttpResponse<String> again = served.send(served.request("/griffin/sessions/" + unknown).DELETE().build());
            assertEquals(404, again.statusCode(), again.body());
            assertEquals(Map.of("error", "there is no session " + unknown), Served.object(again.body()));
        }
        served.ok("/v1/chat/completions",
                chat("brief", message("user", "Hi.")).replace("\"temperature\"", "\"keep_alive\":0,\"temperature\""));
        assertEquals(404, served.get("/griffin/sessions/brief").statusCode());
        assertEquals(404, served.get("/griffin/sessions/..").statusCode());
        assertEquals(400,
                served.send(served.request("/griffin/sessions/.hidden/state").PUT(BodyPublishers.ofString("x")).build()).statusCode());
    }

    @Test
    void aSessionServesOneRequestAtATime() throws Exception {
        String endless = chat("busy", message("user", "Hi.")).replace("\"max_tokens\":12",
                "\"max_tokens\":1000000,\"ignore_eos\":true,\"stream\":true");
        try (RawClient client = new RawClient(served.server.port())) {
            client.send(RawClient.post("/v1/chat/completions", endless.getBytes(StandardCharsets.UTF_8)));
            client.read(400);
            HttpResponse<String> second = served.post("/v1/chat/completions", chat("busy", message("user", "Hello?")));
            assertEquals(409, second.statusCode(), second.body());
        }
    }
}
