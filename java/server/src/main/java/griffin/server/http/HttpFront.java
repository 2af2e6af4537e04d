package griffin.server.http;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.channels.UnresolvedAddressException;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.NetworkConnectionLimit;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.thread.QueuedThreadPool;

/** The HTTP server: Jetty's core with one handler. Platform threads accept and select; requests run on virtual threads. */
public final class HttpFront implements AutoCloseable {

    /** Held, since the JDK forgets the level of a logger that nobody holds. */
    private static final Logger JETTY = Logger.getLogger("org.eclipse.jetty");
    /** Jetty's, beside one for each connection. */
    private static final int OWN_THREADS = 8;
    private static final Duration THREAD_IDLE = Duration.ofSeconds(5);
    /** Connections that the system keeps for us while there are as many as allowed. */
    private static final int WAITING_CONNECTIONS = 1024;

    private final Server server;
    private final ServerConnector connector;
    private final Front front;
    private final String host;

    /**
     * @param host    the address to listen at
     * @param port    0 for a free one
     * @param key     the API key, or null
     * @param names   names beside localhost that it answers to
     * @param notices told what went wrong inside, one sentence each
     */
    public HttpFront(String host, int port, String key, Set<String> names, HttpLimits limits, List<Route> routes,
            RequestObserver observer, Consumer<String> notices) {
        JETTY.setLevel(Level.WARNING);
        this.host = host;
        // Platform threads: a virtual one costs a third more for each piece it waits for and sends. A connection has one request at a time.
        QueuedThreadPool threads = new QueuedThreadPool(limits.connections() + OWN_THREADS, 2, (int) THREAD_IDLE.toMillis());
        threads.setName("griffin-http");
        server = new Server(threads);
        connector = new ServerConnector(server, 1, 1, new HttpConnectionFactory(configuration(limits)));
        connector.setHost(host);
        connector.setPort(port);
        connector.setIdleTimeout(limits.idle().toMillis());
        connector.setAcceptQueueSize(WAITING_CONNECTIONS);
        ConnectionWatch watch = new ConnectionWatch(connector.getScheduler(), limits);
        connector.addBean(watch);
        server.addConnector(connector);
        server.addBean(new NetworkConnectionLimit(limits.connections(), connector));
        front = new Front(routes, new Guard(isLoopback(host), key, names), limits, watch, observer, notices);
        server.setHandler(front);
        server.setErrorHandler(this::refuse);
        server.setStopTimeout(0);
    }

    private static HttpConfiguration configuration(HttpLimits limits) {
        HttpConfiguration http = new HttpConfiguration();
        http.setSendServerVersion(false);
        http.setRequestHeaderSize(limits.headerBytes());
        http.addCustomizer((request, headers) -> {
            Front.HEADERS.forEach(headers::put);
            return request;
        });
        return http;
    }

    /** What Jetty refuses before it is a request: malformed lines, headers that are too long. */
    private boolean refuse(Request request, Response response, Callback callback) {
        int status = response.getStatus();
        HttpError error = new HttpError(status, switch (status) {
            case 431 -> "the request's headers are too long for this server";
            case 414 -> "the request's path is too long for this server";
            case 408 -> "the request did not arrive in time";
            default -> status < 500 ? "the request is malformed" : "the server failed at this request";
        }, status < 500 ? null : "internal_error", null);
        byte[] body = front.errors(request.getHttpURI() == null ? null : request.getHttpURI().getPath()).body(error);
        response.getHeaders().put(HttpHeader.CONTENT_TYPE, Exchange.JSON);
        response.write(true, ByteBuffer.wrap(body), callback);
        return true;
    }

    /** Whether an address is this machine's own alone. */
    public static boolean isLoopback(String host) {
        try {
            return InetAddress.getByName(host).isLoopbackAddress();
        } catch (UnknownHostException e) {
            return false;
        }
    }

    /**
     * Listens from now on.
     *
     * @throws UncheckedIOException when the address cannot be had
     */
    public void start() {
        try {
            server.start();
        } catch (Exception e) {
            close();
            throw new UncheckedIOException("cannot listen at " + host + ":" + connector.getPort() + ": " + cause(e)
                    + "; name another --port or --host, or end what uses it", e instanceof IOException io ? io : new IOException(e));
        }
    }

    private static String cause(Throwable e) {
        Throwable last = e.getCause() == null ? e : e.getCause();
        return last instanceof UnresolvedAddressException ? "there is no such address"
                : last.getMessage() == null ? "" + last : last.getMessage();
    }

    /** The port that is listened at. */
    public int port() {
        return connector.getLocalPort();
    }

    /** From now on new requests are refused as 503, but for those that tell how the server is. */
    public void drain() {
        front.drain();
    }

    public boolean draining() {
        return front.draining();
    }

    /** Requests being served. */
    public int serving() {
        return front.serving();
    }

    /** Waits until no request is being served; false when there still are some at the end of the limit. */
    public boolean awaitServed(Duration limit) throws InterruptedException {
        return front.awaitServed(limit);
    }

    /** Connections that are open. */
    public int connections() {
        return connector.getConnectedEndPoints().size();
    }

    /** Ends at once: what is being served is cut off. */
    @Override
    public void close() {
        try {
            server.stop();
        } catch (Exception e) {
            throw new IllegalStateException("the HTTP server cannot be stopped", e);
        }
    }
}
