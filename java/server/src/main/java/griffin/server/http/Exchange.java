package griffin.server.http;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.ReentrantLock;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.io.EndPoint;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.BufferUtil;

/** One request and its answer. What is written may be written from several threads; the rest is its own thread's. */
public final class Exchange {

    public static final String JSON = "application/json";

    private static final int MOST_UNSENT = 32 << 10;

    private final Request request;
    private final Response response;
    private final HttpLimits limits;
    private final String path;
    private final Semaphore largeBodies;
    private boolean large;
    /** Of whoever adds to the answer, sends it or looks at its connection. */
    private final ReentrantLock writing = new ReentrantLock();
    private final ByteArrayOutputStream unsent = new ByteArrayOutputStream(512);
    private volatile boolean bodyRead;
    private volatile boolean overran;

    /** @param largeBodies has a place for each large body that may be in memory */
    Exchange(Request request, Response response, HttpLimits limits, Semaphore largeBodies) {
        this.request = request;
        this.response = response;
        this.limits = limits;
        this.largeBodies = largeBodies;
        path = Request.getPathInContext(request);
    }

    public String method() {
        return request.getMethod();
    }

    /** The path, in canonical form. */
    public String path() {
        return path;
    }

    /** A header's value, or null. */
    public String header(String name) {
        return request.getHeaders().get(name);
    }

    /** The request's body, which can be read once. */
    public byte[] body() throws InterruptedException {
        return body(limits.bodyBytes());
    }

    /**
     * The request's body, which can be read once.
     *
     * @param most its longest length in bytes
     */
    public byte[] body(long most) throws InterruptedException {
        long announced = request.getLength();
        if (announced > most) {
            throw tooLarge(most);
        }
        ByteArrayOutputStream body = new ByteArrayOutputStream(Math.clamp(announced, 1024, 1 << 16));
        Semaphore arrived = new Semaphore(0);
        long start = System.nanoTime();
        while (true) {
            Content.Chunk chunk = request.read();
            if (chunk == null) {
                request.demand(arrived::release);
                long left = limits.bodyNanos(body.size()) - (System.nanoTime() - start);
                if (!arrived.tryAcquire(Math.max(0, left), TimeUnit.NANOSECONDS)) {
                    throw tooSlow();
                }
                continue;
            }
            if (Content.Chunk.isFailure(chunk)) {
                throw failed(chunk.getFailure());
            }
            append(chunk, body, most);
            if (chunk.isLast()) {
                bodyRead = true;
                return body.toByteArray();
            }
        }
    }

    private void append(Content.Chunk chunk, ByteArrayOutputStream body, long most) {
        try {
            ByteBuffer bytes = chunk.getByteBuffer();
            if (body.size() + bytes.remaining() > most) {
                throw tooLarge(most);
            }
            if (!large && body.size() + bytes.remaining() > HttpLimits.LARGE_BODY) {
                large = largeBodies.tryAcquire();
                if (!large) {
                    throw HttpError.busy("the server is reading as many large requests as it can hold").with("Connection", "close");
                }
            }
            byte[] copy = new byte[bytes.remaining()];
            bytes.get(copy);
            body.writeBytes(copy);
        } finally {
            chunk.release();
        }
    }

    private static RuntimeException failed(Throwable failure) {
        if (failure instanceof TimeoutException) {
            return tooSlow();
        }
        if (failure instanceof org.eclipse.jetty.http.HttpException bad) {
            return new HttpError(bad.getCode(), "the body cannot be read: " + bad.getReason(), null, null).with("Connection", "close");
        }
        return new ClientGoneException(failure);
    }

    private static HttpError tooSlow() {
        return new HttpError(408, "the body did not arrive in time", null, null).with("Connection", "close");
    }

    private static HttpError tooLarge(long most) {
        return new HttpError(413, "the body has more than the " + most + " bytes that this server takes", null, null)
                .with("Connection", "close");
    }

    /** Answers with one body. */
    public void send(int status, String contentType, byte[] body) {
        send(status, contentType, body, Map.of());
    }

    /** Answers with one body and further headers, instead of what was written and not sent. */
    public void send(int status, String contentType, byte[] body, Map<String, String> headers) {
        writing.lock();
        try {
            response.setStatus(status);
            response.getHeaders().put(HttpHeader.CONTENT_TYPE, contentType);
            response.getHeaders().put(HttpHeader.CONTENT_LENGTH, body.length);
            headers.forEach((name, value) -> response.getHeaders().put(name, value));
            write(true, body);
        } finally {
            writing.unlock();
        }
    }

    /** Begins an answer of unknown length, which {@link #write} continues and {@link #end} ends. */
    public void stream(String contentType) {
        writing.lock();
        try {
            response.setStatus(200);
            response.getHeaders().put(HttpHeader.CONTENT_TYPE, contentType);
            response.getHeaders().put(HttpHeader.CACHE_CONTROL, "no-cache");
            response.getHeaders().put("X-Accel-Buffering", "no"); // proxies that buffer would turn the stream into one piece
        } finally {
            writing.unlock();
        }
    }

    /** Adds a piece to a stream; {@link #flush} sends what was added. */
    public void write(byte[] piece) {
        writing.lock();
        try {
            unsent.writeBytes(piece);
            if (unsent.size() > MOST_UNSENT) {
                flush();
            }
        } finally {
            writing.unlock();
        }
    }

    /**
     * Sends what was written, and waits while the client is slow.
     *
     * @throws ClientGoneException when it has gone or does not read
     */
    public void flush() {
        writing.lock();
        try {
            if (unsent.size() > 0) {
                byte[] bytes = unsent.toByteArray();
                unsent.reset();
                write(false, bytes);
            }
        } finally {
            writing.unlock();
        }
    }

    /** Sends what was written and ends the stream. */
    public void end() {
        writing.lock();
        try {
            write(true, unsent.toByteArray());
        } finally {
            writing.unlock();
        }
    }

    private void write(boolean last, byte[] bytes) {
        try {
            Content.Sink.write(response, last, ByteBuffer.wrap(bytes));
        } catch (IOException e) {
            throw new ClientGoneException(e);
        }
    }

    /** The body has been made use of, so that another large one may come. */
    public void bodyServed() {
        writing.lock();
        try {
            if (large) {
                large = false;
                largeBodies.release();
            }
        } finally {
            writing.unlock();
        }
    }

    /** Whether something of the answer was sent, so that its status stands. */
    public boolean committed() {
        return response.isCommitted();
    }

    /**
     * Whether the client has closed its connection, which only a look at the connection tells while nothing is sent; false while something
     * is, which then tells. A client that sends its next request before it has this answer loses the connection afterwards
     * ({@link #overran}), since that look takes a byte of it. From any thread; waits for nothing.
     */
    public boolean gone() {
        if (!writing.tryLock()) {
            return false;
        }
        try {
            EndPoint connection = request.getConnectionMetaData().getConnection().getEndPoint();
            if (!connection.isOpen()) {
                return true;
            }
            if (!bodyRead || overran) {
                return false;
            }
            int read = connection.fill(BufferUtil.allocate(1));
            overran = read > 0;
            return read < 0;
        } catch (IOException e) {
            return true;
        } finally {
            writing.unlock();
        }
    }

    /** Whether the connection cannot serve another request. */
    boolean overran() {
        return overran;
    }
}
