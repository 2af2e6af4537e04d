package griffin.server.ollama;

import java.time.Duration;
import java.time.Instant;

/**
 * Until when clients want the model to be there. It is there as long as the server is, so that this is only told again; what
 * {@code keep_alive} does govern is the state of a request's session.
 */
public final class KeepAlive {

    /** What Ollama takes where a request does not say. */
    static final Duration DEFAULT = Duration.ofMinutes(5);

    private Instant until = Instant.now().plus(DEFAULT);

    /** A request used the model. */
    synchronized void used(Duration keep) {
        until = Instant.now().plus(keep);
    }

    synchronized Instant until() {
        return until;
    }
}
