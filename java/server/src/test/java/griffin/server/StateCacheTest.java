package griffin.server;

import static griffin.server.Served.MODEL;
import static griffin.server.Served.at;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Map;
import org.junit.jupiter.api.Test;

/** With a prefix cache nobody names a session, and what was read is not read again. */
class StateCacheTest {

    private static final String LONG = "Once upon a time there was a little dog. ".repeat(40);

    private static String chat(String messages) {
        return "{\"model\":\"" + MODEL + "\",\"temperature\":0,\"max_tokens\":40,\"messages\":[" + messages + "]}";
    }

    private static String user(String content) {
        return "{\"role\":\"user\",\"content\":\"" + content + "\"}";
    }

    @Test
    void aPromptIsReadOnce() throws Exception {
        try (Served served = Served.caching(2, 8); Served plain = Served.start(2, 8, builder -> builder)) {
            String body = chat(user(LONG));
            Map<?, ?> expected = plain.ok("/v1/chat/completions", body);
            for (int i = 0; i < 3; i++) {
                Map<?, ?> answer = served.ok("/v1/chat/completions", body);
                assertEquals((String) at(expected, "choices", 0, "message", "content"), at(answer, "choices", 0, "message", "content"));
                long cached = at(answer, "usage", "prompt_tokens_details", "cached_tokens");
                long prompt = at(answer, "usage", "prompt_tokens");
                assertEquals(i == 0 ? 0 : prompt, cached, "the whole prompt is found again");
            }
            String reply = at(expected, "choices", 0, "message", "content");
            Map<?, ?> second = served.ok("/v1/chat/completions",
                    chat(user(LONG) + ",{\"role\":\"assistant\",\"content\":\"" + reply.replace("\n", "\\n").replace("\"", "\\\"") + "\"},"
                            + user("Go on.")));
            long known = at(expected, "usage", "prompt_tokens");
            assertTrue((long) at(second, "usage", "prompt_tokens_details", "cached_tokens") >= known,
                    "a second turn begins where the first ended");
            assertEquals(3, served.measure("griffin_cache_hits_total"));
            assertTrue(served.measure("griffin_cache_entries") > 0 && served.measure("griffin_cache_bytes") > 0);
        }
    }
}
