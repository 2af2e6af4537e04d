package griffin.server.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.tokenizer.ChatTemplate.Message;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class SessionsTest {

    private static SessionState state(int characters) {
        return new SessionState(new byte[10], 1, false, Optional.of(List.of(new Message("user", "x".repeat(characters)))),
                Duration.ofHours(1));
    }

    /** What was said takes memory as well as the state does. */
    @Test
    void transcriptsCount() {
        Sessions sessions = new Sessions(5000, () -> 0);
        for (String name : List.of("a", "b", "c")) {
            try (Sessions.Lease lease = sessions.take(name)) {
                lease.keep(state(1000));
            }
        }
        assertEquals(List.of("b", "c"), sessions.names());
        assertEquals(1, sessions.evicted());
        assertTrue(sessions.bytes() > 2 * 2 * 1000 && sessions.bytes() <= 5000, "bytes: " + sessions.bytes());
        sessions.remove("b");
        sessions.remove("c");
        assertEquals(0, sessions.bytes());
    }
}
