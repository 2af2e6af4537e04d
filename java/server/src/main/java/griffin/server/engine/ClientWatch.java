package griffin.server.engine;

import griffin.Completion;
import griffin.server.http.Exchange;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Looks now and then whether the clients of generations under way are still there, and ends the generations of those that are not. One
 * thread looks for all requests: a wait with a time limit, in each of their threads for each token, would wake a further thread every time.
 */
final class ClientWatch {

    /** How often a client that is not being written to is looked at. */
    private static final Duration LOOK = Duration.ofMillis(200);

    private final Set<Watched> all = ConcurrentHashMap.newKeySet();
    private boolean looking;

    /** A generation and the client it is for; watched until it is closed. */
    final class Watched implements AutoCloseable {

        private final Exchange exchange;
        private final Completion completion;
        private boolean gone;
        private boolean closed;

        private Watched(Exchange exchange, Completion completion) {
            this.exchange = exchange;
            this.completion = completion;
        }

        /** Whether the client has gone, so that the generation was cancelled. */
        synchronized boolean gone() {
            return gone;
        }

        private synchronized void look() {
            if (!closed && !gone && lost()) {
                gone = true;
                completion.cancel();
            }
        }

        private boolean lost() {
            try {
                return exchange.gone();
            } catch (RuntimeException e) { // a connection that cannot be looked at must not end the looking at others
                return true;
            }
        }

        /** Afterwards nobody looks, at a connection that may be serving its next request. */
        @Override
        public synchronized void close() {
            closed = true;
            all.remove(this);
        }
    }

    Watched watch(Exchange exchange, Completion completion) {
        Watched watched = new Watched(exchange, completion);
        all.add(watched);
        synchronized (this) {
            if (!looking) {
                looking = true;
                Thread.ofVirtual().name("griffin-client-watch").start(this::look);
            }
        }
        return watched;
    }

    private void look() {
        while (true) {
            try {
                Thread.sleep(LOOK);
            } catch (InterruptedException e) {
                throw new IllegalStateException("nobody interrupts the watch", e);
            }
            all.forEach(Watched::look);
            synchronized (this) {
                if (all.isEmpty()) {
                    looking = false;
                    return;
                }
            }
        }
    }
}
