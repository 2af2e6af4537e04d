package griffin.server.http;

import java.time.Duration;

/**
 * What one client, or all together, may take.
 *
 * @param bodyBytes   longest body of a request
 * @param headerBytes longest request line with all headers
 * @param requests    most requests that are served at once, waiting ones included
 * @param connections most connections that are open at once; further ones wait to be accepted
 * @param idle        a connection on which nothing moves for so long is closed
 * @param receive     longest time that headers may take to arrive, and a body of {@link #BYTES_PER_SECOND} times as many bytes
 */
public record HttpLimits(int bodyBytes, int headerBytes, int requests, int connections, Duration idle, Duration receive) {

    /** Slower than this, a body larger than the receive time's share is refused. */
    static final int BYTES_PER_SECOND = 64 << 10;

    /** Bodies longer than this are held for a few requests at once only. */
    static final int LARGE_BODY = 256 << 10;
    static final int LARGE_BODIES = 16;

    public static final HttpLimits DEFAULT =
            new HttpLimits(8 << 20, 16 << 10, 512, 1024, Duration.ofSeconds(60), Duration.ofSeconds(20));

    /** How long a body may take. */
    long bodyNanos(long bytes) {
        return receive.toNanos() + bytes * 1_000_000_000L / BYTES_PER_SECOND;
    }
}
