package griffin.server.engine;

import griffin.server.http.HttpError;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.LongSupplier;
import java.util.regex.Pattern;

/**
 * States that clients keep under names of theirs, within a budget of memory: the one that was not used for the longest time goes first. A
 * session serves one request at a time.
 */
public final class Sessions {

    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,127}");

    private static final class Entry {
        private SessionState state;
        private boolean taken;
        private long lastUsed;
    }

    private final long budget;
    private final LongSupplier clock;
    /** The longest unused first. */
    private final Map<String, Entry> entries = new LinkedHashMap<>(16, 0.75f, true);
    private long bytes;
    private long evicted;

    /**
     * @param budget bytes of states and transcripts to keep
     * @param clock  nanoseconds, as of {@link System#nanoTime}
     */
    public Sessions(long budget, LongSupplier clock) {
        this.budget = budget;
        this.clock = clock;
    }

    /** A session while a request has it to itself. */
    public final class Lease implements AutoCloseable {

        private final String id;
        private final Entry entry;
        private boolean closed;

        private Lease(String id, Entry entry) {
            this.id = id;
            this.entry = entry;
        }

        public String id() {
            return id;
        }

        /** What is kept of it, nothing if it is new. */
        public Optional<SessionState> state() {
            synchronized (Sessions.this) {
                return Optional.ofNullable(entry.state);
            }
        }

        /** Keeps this from now on. */
        public void keep(SessionState state) {
            synchronized (Sessions.this) {
                set(entry, state);
                evict();
            }
        }

        /** Gives it back for others. */
        @Override
        public void close() {
            synchronized (Sessions.this) {
                if (!closed) {
                    closed = true;
                    entry.taken = false;
                    entry.lastUsed = clock.getAsLong();
                    if (entry.state == null || entry.state.keep().isZero()) {
                        set(entry, null);
                        entries.remove(id, entry);
                    }
                    evict();
                    expire();
                }
            }
        }
    }

    /**
     * Takes a session for a request.
     *
     * @throws HttpError 400 for a name that is none, 409 when another request has it
     */
    public synchronized Lease take(String id) {
        if (!NAME.matcher(id).matches()) {
            throw HttpError.badRequest(
                    "a session is named by up to 128 letters, digits, '.', '_' and '-', beginning with a letter or a digit",
                    "session_id");
        }
        expire();
        Entry entry = entries.computeIfAbsent(id, name -> new Entry());
        if (entry.taken) {
            throw new HttpError(409, "the session " + id + " is serving another request; wait for its end, or use another session",
                    "session_in_use", "session_id");
        }
        entry.taken = true;
        return new Lease(id, entry);
    }

    /** What is kept of a session, also while a request has it. */
    public synchronized Optional<SessionState> find(String id) {
        expire();
        Entry entry = entries.get(id);
        return entry == null ? Optional.empty() : Optional.ofNullable(entry.state);
    }

    /** Names of all sessions that have a state. */
    public synchronized List<String> names() {
        expire();
        List<String> names = new ArrayList<>();
        entries.forEach((name, entry) -> {
            if (entry.state != null) {
                names.add(name);
            }
        });
        return names;
    }

    /**
     * Forgets a session.
     *
     * @return whether there was one
     * @throws HttpError as {@link #take}
     */
    public boolean remove(String id) {
        try (Lease lease = take(id)) {
            boolean known = lease.state().isPresent();
            lease.keep(null);
            return known;
        }
    }

    public synchronized long bytes() {
        return bytes;
    }

    /** States that had to go for others. */
    public synchronized long evicted() {
        return evicted;
    }

    private void set(Entry entry, SessionState state) {
        bytes += (state == null ? 0 : state.bytes()) - (entry.state == null ? 0 : entry.state.bytes());
        entry.state = state;
    }

    private void evict() {
        for (Iterator<Entry> all = entries.values().iterator(); bytes > budget && all.hasNext();) {
            Entry entry = all.next();
            if (!entry.taken && entry.state != null) {
                set(entry, null);
                all.remove();
                evicted++;
            }
        }
    }

    private void expire() {
        long now = clock.getAsLong();
        entries.values().removeIf(entry -> {
            Duration keep = entry.state == null ? null : entry.state.keep();
            boolean over = !entry.taken && keep != null && now - entry.lastUsed > keep.toNanos();
            if (over) {
                set(entry, null);
            }
            return over;
        });
    }
}
