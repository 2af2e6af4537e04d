package griffin.hub;

import griffin.error.HubException;
import java.io.IOException;
import java.net.UnknownHostException;
import java.nio.channels.UnresolvedAddressException;
import java.time.Duration;
import java.time.Instant;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeParseException;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.BooleanSupplier;
import javax.net.ssl.SSLHandshakeException;
import javax.net.ssl.SSLPeerUnverifiedException;

/** Repeats one request as long as its failures may pass: with growing random pauses, or when the hub says. For one thread. */
final class Retries {

    /** A hub answered that it cannot answer now. */
    static final class Later extends IOException {

        private static final long serialVersionUID = 1L;

        private final transient Optional<Duration> wait;

        Later(String message, Optional<Duration> wait) {
            super(message);
            this.wait = wait;
        }
    }

    /** A request that may fail. */
    interface Attempt<T> {
        T run() throws IOException;
    }

    /** However much is gained between them: a hub that drops a connection after each byte is none. */
    private static final int MOST_FAILURES = 1000;
    private static final long TICK_MILLIS = 50;
    /** Of a message, which may quote what a hub sent. */
    private static final int MOST_WORDS = 200;

    private final String what;
    private final Patience patience;
    private final BooleanSupplier stopped;
    private int failures;
    private int allFailures;

    /** @param what is asked for, for messages */
    Retries(String what, Patience patience, BooleanSupplier stopped) {
        this.what = what;
        this.patience = patience;
        this.stopped = stopped;
    }

    /**
     * The result of the first attempt that does not fail.
     *
     * @throws HubException when too many failed, or one failed that will fail again
     */
    <T> T run(Attempt<T> attempt) {
        while (true) {
            if (stopped.getAsBoolean()) {
                throw new CancellationException();
            }
            try {
                return attempt.run();
            } catch (IOException e) {
                pause(e);
            }
        }
    }

    /** The attempt that is under way gets somewhere: failures before it do not count. */
    void gained() {
        failures = 0;
    }

    private void pause(IOException e) {
        failures++;
        allFailures++;
        if (e instanceof SSLHandshakeException || e instanceof SSLPeerUnverifiedException) {
            throw new HubException(what + ": no trusted connection: " + reason(e), e);
        }
        if (failures >= patience.attempts() || allFailures >= MOST_FAILURES) {
            throw new HubException(
                    what + " failed " + (failures < patience.attempts() ? allFailures : failures) + " times, at last because "
                            + reason(e) + ": try again later; what was fetched, if anything, is kept",
                    e);
        }
        Optional<Duration> asked = e instanceof Later later ? later.wait : Optional.empty();
        if (asked.isPresent() && asked.get().compareTo(patience.longestWait()) > 0) {
            throw new HubException(what + ": " + reason(e) + ", and the hub asks to wait " + asked.get().toSeconds()
                    + " s: try again then; what was fetched, if anything, is kept", e);
        }
        sleep(asked.orElseGet(this::backoff));
    }

    /** Random, so that the requests of all connections that failed together do not come back together. */
    private Duration backoff() {
        long most = Math.min(patience.longestPause().toMillis(), patience.firstPause().toMillis() << Math.min(failures - 1, 20));
        return Duration.ofMillis(most <= 1 ? most : ThreadLocalRandom.current().nextLong(most / 2, most + 1));
    }

    private void sleep(Duration pause) {
        long end = System.nanoTime() + pause.toNanos();
        try {
            for (long left; (left = end - System.nanoTime()) > 0;) {
                if (stopped.getAsBoolean()) {
                    throw new CancellationException();
                }
                Thread.sleep(Math.min(TICK_MILLIS, left / 1_000_000 + 1));
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new CancellationException();
        }
    }

    private static String reason(IOException e) {
        String words = words(e).replaceAll("[^\\x20-\\x7E]+", " ");
        return words.length() > MOST_WORDS ? words.substring(0, MOST_WORDS) + "..." : words;
    }

    /** The deepest cause that says something; Java's exception for a connection that cannot be made has no words. */
    private static String words(Throwable e) {
        String said = "";
        for (Throwable at = e; at != null; at = at.getCause()) {
            if (at instanceof UnresolvedAddressException || at instanceof UnknownHostException) {
                return "the host is unknown (no network?)";
            }
            if (at.getMessage() != null && !at.getMessage().isBlank()) {
                said = at.getMessage();
            } else if (said.isEmpty() && at.getCause() == null) {
                said = at instanceof java.net.ConnectException || at instanceof java.nio.channels.ClosedChannelException
                        ? "there is no connection"
                        : at.toString();
            }
        }
        return said;
    }

    /** What a Retry-After header asks for: seconds, or a date; empty when it is neither. */
    static Optional<Duration> retryAfter(String header, Instant now) {
        String text = header.strip();
        if (text.matches("\\d{1,9}")) {
            return Optional.of(Duration.ofSeconds(Long.parseLong(text)));
        }
        try {
            Duration until = Duration.between(now, ZonedDateTime.parse(text, DateTimeFormatter.RFC_1123_DATE_TIME).toInstant());
            return Optional.of(until.isNegative() ? Duration.ZERO : until);
        } catch (DateTimeParseException e) {
            return Optional.empty();
        }
    }
}
