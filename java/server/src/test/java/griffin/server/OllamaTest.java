package griffin.server;

import static griffin.server.Served.MODEL;
import static griffin.server.Served.at;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.Generation;
import griffin.GenerationListener;
import griffin.GenerationOptions;
import griffin.Session;
import griffin.sampling.SamplingParams;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What Ollama's API answers, compared with the library's own results. */
class OllamaTest {

    private static final String ASK = "Write a story about a cat.";
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

    private static String generate(String more) {
        return "{\"model\":\"" + MODEL + "\",\"prompt\":\"" + ASK + "\",\"options\":{\"temperature\":0,\"num_predict\":20}" + more + "}";
    }

    private static String chat(String more) {
        return "{\"model\":\"" + MODEL + "\",\"messages\":[{\"role\":\"user\",\"content\":\"" + ASK
                + "\"}],\"options\":{\"temperature\":0,\"num_predict\":20}" + more + "}";
    }

    private static Generation alone(List<String> messages) {
        try (Session session = served.griffin.newSession()) {
            Generation last = null;
            for (String message : messages) {
                last = session.chat(message, GenerationOptions.DEFAULT.withSampling(SamplingParams.GREEDY).withMaxTokens(20),
                        new GenerationListener() {});
            }
            return last;
        }
    }

    @Test
    void generateStreamsUnlessToldOtherwise() throws Exception {
        String expected = alone(List.of(ASK)).text();
        List<Map<?, ?>> lines = served.lines("/api/generate", generate(""));
        assertEquals(expected, lines.stream().map(line -> (String) at(line, "response")).collect(Collectors.joining()));
        assertTrue(lines.size() > 15, "it comes in pieces: " + lines.size());
        lines.subList(0, lines.size() - 1).forEach(line -> assertEquals(false, at(line, "done")));
        Map<?, ?> whole = served.ok("/api/generate", generate(",\"stream\":false"));
        assertEquals(expected, at(whole, "response"));
        for (Map<?, ?> end : List.of(lines.getLast(), whole)) {
            assertEquals("length", at(end, "done_reason"));
            assertEquals(20L, (long) at(end, "eval_count"));
            assertTrue((long) at(end, "prompt_eval_count") > 10);
            assertTrue((long) at(end, "eval_duration") > 0 && (long) at(end, "prompt_eval_duration") > 0);
            assertTrue((long) at(end, "total_duration") > (long) at(end, "eval_duration"));
            assertTrue(Instant.parse(at(end, "created_at")).isAfter(Instant.EPOCH));
        }
    }

    @Test
    void chatStreamsUnlessToldOtherwise() throws Exception {
        String expected = alone(List.of(ASK)).text();
        List<Map<?, ?>> lines = served.lines("/api/chat", chat(""));
        assertEquals(expected, lines.stream().map(line -> (String) at(line, "message", "content")).collect(Collectors.joining()));
        Map<?, ?> whole = served.ok("/api/chat", chat(",\"stream\":false"));
        assertEquals(expected, at(whole, "message", "content"));
        assertEquals("assistant", at(whole, "message", "role"));
        assertFalse(whole.containsKey("context"));
    }

    /** The ids of an answer are all it takes to go on as a chat of the library would. */
    @Test
    void contextGoesOn() throws Exception {
        Map<?, ?> first = served.ok("/api/generate", generate(",\"stream\":false"));
        String body = generate(",\"stream\":false,\"context\":" + at(first, "context")).replace(ASK, "Go on.");
        assertEquals(alone(List.of(ASK, "Go on.")).text(), at(served.ok("/api/generate", body), "response"));
    }

    @Test
    void aSystemTextGoesOnAContextAsWell() throws Exception {
        Map<?, ?> first = served.ok("/api/generate", generate(",\"stream\":false"));
        String body = generate(",\"stream\":false,\"system\":\"Be kind.\",\"context\":" + at(first, "context")).replace(ASK, "Go on.");
        assertEquals(alone(List.of(ASK, "Be kind.\n\nGo on.")).text(), at(served.ok("/api/generate", body), "response"));
    }

    @Test
    void rawPromptsAreTakenAsTheyAre() throws Exception {
        Map<?, ?> raw = served.ok("/api/generate", generate(",\"raw\":true,\"stream\":false").replace(ASK, "Once upon a time"));
        try (Session session = served.griffin.newSession()) {
            Generation alone = session.generate("Once upon a time",
                    GenerationOptions.DEFAULT.withSampling(SamplingParams.GREEDY).withMaxTokens(20), piece -> {});
            assertEquals(alone.text(), at(raw, "response"));
        }
    }

    @Test
    void stopAndSeedAreOptions() throws Exception {
        String options = "\"options\":{\"temperature\":0.9,\"seed\":3,\"num_predict\":40,\"stop\":[\".\"],\"num_ctx\":4096}";
        String body = "{\"model\":\"" + MODEL + "\",\"prompt\":\"" + ASK + "\",\"stream\":false," + options + "}";
        Map<?, ?> once = served.ok("/api/generate", body);
        assertFalse(((String) at(once, "response")).contains("."));
        assertEquals("stop", at(once, "done_reason"));
        assertEquals((String) at(once, "response"), at(served.ok("/api/generate", body), "response"));
    }

    @Test
    void anEmptyPromptLoads() throws Exception {
        assertEquals("load", at(served.ok("/api/generate", "{\"model\":\"" + MODEL + "\",\"keep_alive\":\"10m\"}"), "done_reason"));
        String until = at(Served.object(served.get("/api/ps").body()), "models", 0, "expires_at");
        assertTrue(Instant.parse(until).isAfter(Instant.now().plusSeconds(500)), until);
        assertEquals("unload", at(served.ok("/api/chat", "{\"model\":\"" + MODEL + "\",\"messages\":[],\"keep_alive\":0}"), "done_reason"));
    }

    @Test
    void theModelIsDescribed() throws Exception {
        Map<?, ?> tags = Served.object(served.get("/api/tags").body());
        assertEquals(MODEL, at(tags, "models", 0, "name"));
        assertEquals(served.griffin.weightBytes(), (long) at(tags, "models", 0, "size"));
        assertEquals("15.0M", at(tags, "models", 0, "details", "parameter_size"));
        Map<?, ?> shown = served.ok("/api/show", "{\"model\":\"" + MODEL + "\"}");
        assertEquals("griffin", at(shown, "model_info", "general.architecture"));
        assertTrue(((String) at(shown, "template")).contains("<start_of_turn>"));
        assertEquals(404, served.post("/api/show", "{\"model\":\"llama3\"}").statusCode());
    }

    /** Clients compare it with versions of Ollama, part by part, so it must be a semantic one. */
    @Test
    void theVersionIsThisBuilds() throws Exception {
        Matcher project = Pattern.compile("<version>(.*?)</version>").matcher(Files.readString(Path.of("../../pom.xml")));
        assertTrue(project.find());
        String version = at(Served.object(served.get("/api/version").body()), "version");
        assertEquals(project.group(1), version);
        assertTrue(version.matches("\\d+\\.\\d+\\.\\d+(-[0-9A-Za-z.-]+)?"), version);
    }
}
