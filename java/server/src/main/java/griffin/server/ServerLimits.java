package griffin.server;

import griffin.server.http.HttpLimits;
import java.time.Duration;

/**
 * What clients may take.
 *
 * @param bodyBytes   longest body of a request, 1 KiB to 1 GiB
 * @param requests    most requests that are served at once, waiting ones included
 * @param connections most open connections; further ones wait to be accepted
 * @param idle        a connection on which nothing moves for so long is closed
 * @param receive     longest time in which headers, and a small body, must arrive; large bodies get more
 */
public record ServerLimits(int bodyBytes, int requests, int connections, Duration idle, Duration receive) {

    public static final ServerLimits DEFAULT = new ServerLimits(HttpLimits.DEFAULT.bodyBytes(), HttpLimits.DEFAULT.requests(),
            HttpLimits.DEFAULT.connections(), HttpLimits.DEFAULT.idle(), HttpLimits.DEFAULT.receive());

    HttpLimits http() {
        return new HttpLimits(bodyBytes, HttpLimits.DEFAULT.headerBytes(), requests, connections, idle, receive);
    }
}
