package griffin.hub;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpHeaders;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.CancellationException;

/** A hub's answer: the head of the last one of a chain of redirects, what the first ones told about the file, and the body. */
final class Answer implements AutoCloseable {

    /** What a hub tells beside a redirect: the commit, and hash and size of the file it leads to. */
    static final String COMMIT = "x-repo-commit";
    static final String LINKED_HASH = "x-linked-etag";
    static final String LINKED_SIZE = "x-linked-size";

    final int status;
    final URI uri;
    /** Whether it comes from the hub and from no host that the hub sent the request on to. */
    final boolean fromHub;
    private final HttpHeaders headers;
    private final Map<String, String> told;
    private final InputStream body;
    private volatile long lastNanos = System.nanoTime();
    private volatile IOException ended;
    private volatile boolean cancelled;

    Answer(int status, URI uri, boolean fromHub, HttpHeaders headers, Map<String, String> told, InputStream body) {
        this.status = status;
        this.uri = uri;
        this.fromHub = fromHub;
        this.headers = headers;
        this.told = told;
        this.body = body;
    }

    /** What the head of an answer tells, added to what was told before it. */
    static Map<String, String> told(Map<String, String> before, HttpHeaders headers) {
        Map<String, String> all = new HashMap<>(before);
        for (String name : new String[] {COMMIT, LINKED_HASH, LINKED_SIZE}) {
            headers.firstValue(name).ifPresent(value -> all.putIfAbsent(name, value));
        }
        return all;
    }

    Optional<String> header(String name) {
        return headers.firstValue(name);
    }

    /** One of the things told beside a redirect, or here. */
    Optional<String> linked(String name) {
        return Optional.ofNullable(told.get(name));
    }

    /** Bytes of the body, where that is told. */
    OptionalLong length() {
        return headers.firstValueAsLong("content-length");
    }

    /** The kind of the body, such as {@code text/html}. */
    String kind() {
        return header("content-type").map(type -> type.replaceFirst("\\s*;.*", "")).filter(type -> type.matches("[\\w.+/-]{1,100}"))
                .orElse("unknown kind");
    }

    /** Host and path without a query, which may hold a signature. */
    String where() {
        return where(uri);
    }

    static String where(URI uri) {
        return uri.getScheme() + "://" + uri.getRawAuthority() + (uri.getRawPath() == null ? "" : uri.getRawPath());
    }

    /** Reads what has come, at least a byte and at most so many, to a place on; -1 at the end. */
    int read(byte[] into, int at, int most) throws IOException {
        try {
            int count = body.read(into, at, most);
            lastNanos = System.nanoTime();
            return count;
        } catch (IOException e) {
            if (cancelled) {
                throw new CancellationException();
            }
            throw ended != null ? ended : e;
        }
    }

    /** The whole body, or the beginning of one that is longer than {@code most}. */
    byte[] bytes(int most) throws IOException {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        byte[] some = new byte[1 << 16];
        for (int count; all.size() < most && (count = read(some, 0, Math.min(some.length, most - all.size()))) >= 0;) {
            all.write(some, 0, count);
        }
        return all.toByteArray();
    }

    /** Ends a body that is read on another thread, if it has been silent for too long or nobody wants it any more. */
    void watch(long silenceNanos, boolean stopped) {
        if (stopped) {
            cancelled = true;
        } else if (System.nanoTime() - lastNanos > silenceNanos) {
            ended = new IOException("nothing came for " + silenceNanos / 1_000_000_000.0 + " s");
        } else {
            return;
        }
        closeBody();
    }

    private void closeBody() {
        try {
            body.close();
        } catch (IOException e) {
            // Nothing more is read from it.
            return;
        }
    }

    @Override
    public void close() {
        closeBody();
    }
}
