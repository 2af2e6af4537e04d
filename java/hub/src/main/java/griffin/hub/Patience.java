package griffin.hub;

import java.time.Duration;

/**
 * How long a hub is waited for.
 *
 * @param connect      for a connection
 * @param answer       for the head of an answer
 * @param silence      for the next byte of a body
 * @param firstPause   before the first repetition; doubles with each, and a random part of it is waited
 * @param longestPause the longest of these
 * @param longestWait  the longest wait that a hub may ask for with Retry-After
 * @param attempts     at the same request without a byte gained
 */
record Patience(Duration connect, Duration answer, Duration silence, Duration firstPause, Duration longestPause, Duration longestWait,
        int attempts) {

    static final Patience USUAL = new Patience(Duration.ofSeconds(15), Duration.ofSeconds(30), Duration.ofSeconds(30),
            Duration.ofMillis(500), Duration.ofSeconds(20), Duration.ofMinutes(2), 6);
}
