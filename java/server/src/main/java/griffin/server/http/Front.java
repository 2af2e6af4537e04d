package griffin.server.http;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Semaphore;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.eclipse.jetty.io.Connection;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;

/** Takes every request: who asks, where to, and what becomes of it when that fails. Each is served by a virtual thread of its own. */
final class Front extends Handler.Abstract {

    private final List<Route> routes;
    private final Guard guard;
    private final HttpLimits limits;
    private final ConnectionWatch watch;
    private final RequestObserver observer;
    private final Consumer<String> notices;
    private final Semaphore places;
    private final Semaphore largeBodies = new Semaphore(HttpLimits.LARGE_BODIES);
    private int serving;
    private volatile boolean draining;

    Front(List<Route> routes, Guard guard, HttpLimits limits, ConnectionWatch watch, RequestObserver observer, Consumer<String> notices) {
        this.routes = routes;
        this.guard = guard;
        this.limits = limits;
        this.watch = watch;
        this.observer = observer;
        this.notices = notices;
        places = new Semaphore(limits.requests());
    }

    /** From now on only open routes are served. */
    void drain() {
        draining = true;
    }

    boolean draining() {
        return draining;
    }

    /** Requests being served. */
    synchronized int serving() {
        return serving;
    }

    private synchronized void count(int difference) {
        serving += difference;
        notifyAll();
    }

    /** Waits until no request is being served; false when there still are some at the end of the limit. */
    synchronized boolean awaitServed(Duration limit) throws InterruptedException {
        long end = System.nanoTime() + limit.toNanos();
        while (serving > 0) {
            long left = (end - System.nanoTime()) / 1_000_000;
            if (left <= 0) {
                return false;
            }
            wait(left);
        }
        return true;
    }

    @Override
    public boolean handle(Request request, Response response, Callback callback) {
        Connection connection = request.getConnectionMetaData().getConnection();
        request.addIdleTimeoutListener(timeout -> false); // a request that waits for its turn is not idle
        Exchange exchange = new Exchange(request, response, limits, largeBodies);
        watch.serving(connection);
        count(1);
        long start = System.nanoTime();
        Throwable failure = null;
        try {
            failure = serve(request, exchange);
        } finally {
            observer.served(path(exchange.path()), response.getStatus(), System.nanoTime() - start);
            watch.served(connection);
            complete(callback, connection, exchange, failure);
            exchange.bodyServed();
            count(-1);
        }
        return true;
    }

    private static void complete(Callback callback, Connection connection, Exchange exchange, Throwable failure) {
        if (failure != null) {
            callback.failed(failure); // nothing more can be said on this connection
            connection.close();
            return;
        }
        callback.succeeded();
        if (exchange.overran()) {
            connection.getEndPoint().shutdownOutput();
        }
    }

    /** Returns what made it impossible to answer, or null. */
    private Throwable serve(Request request, Exchange exchange) {
        ErrorShape errors = errors(exchange.path());
        try {
            Route route = admitted(request, exchange);
            if (route.open()) { // how the server is must be told most of all when it is full
                route.action().serve(exchange);
            } else if (places.tryAcquire()) {
                try {
                    route.action().serve(exchange);
                } finally {
                    places.release();
                }
            } else {
                throw HttpError.busy("the server is serving " + limits.requests() + " requests and takes no more for now");
            }
            return null;
        } catch (ClientGoneException e) {
            return e;
        } catch (HttpError e) {
            return answer(exchange, errors, e);
        } catch (InterruptedException e) {
            return answer(exchange, errors, HttpError.draining());
        } catch (RuntimeException | Error e) {
            notices.accept("a request for " + exchange.path() + " failed: " + e + trace(e));
            return answer(exchange, errors, new HttpError(500, "the server failed at this request: " + e, "internal_error", null));
        }
    }

    private Route admitted(Request request, Exchange exchange) {
        guard.checkBrowser(Request.getServerName(request), exchange.header("Origin"), exchange.header("Host"));
        Route route = route(exchange);
        if (!route.open()) {
            guard.checkKey(exchange.header("Authorization"));
            if (draining) {
                throw HttpError.draining();
            }
        }
        if (route.method().equals("POST")) {
            MediaType.requireJson(exchange.header("Content-Type"), exchange.header("Content-Encoding"));
        }
        return route;
    }

    private Route route(Exchange exchange) {
        List<Route> there = routes.stream().filter(route -> route.fits(exchange.path())).toList();
        if (there.isEmpty()) {
            throw HttpError.notFound("there is nothing at " + exchange.path(), "not_found", null);
        }
        return there.stream().filter(route -> route.allows(exchange.method())).findFirst().orElseThrow(() -> {
            String allowed = there.stream().map(Route::method).distinct().collect(Collectors.joining(", "));
            return new HttpError(405, exchange.path() + " takes " + allowed + ", not " + exchange.method(), "method_not_allowed", null)
                    .with("Allow", allowed);
        });
    }

    private static Throwable answer(Exchange exchange, ErrorShape errors, HttpError error) {
        if (exchange.committed()) {
            return error;
        }
        try {
            exchange.send(error.status(), Exchange.JSON, errors.body(error), error.headers());
            return null;
        } catch (ClientGoneException e) {
            return e;
        }
    }

    /** The form that errors have at a path, also where nothing is: that of the routes below the same first name. */
    ErrorShape errors(String path) {
        String first = path == null ? "/" : path.substring(0, path.indexOf('/', 1) < 0 ? path.length() : path.indexOf('/', 1) + 1);
        return routes.stream().filter(route -> path != null && route.path().startsWith(first)).findFirst()
                .orElse(routes.getFirst()).errors();
    }

    /** The path as statistics know it: a client must not be able to make up names. */
    private String path(String asked) {
        return routes.stream().filter(route -> route.fits(asked)).findFirst().map(Route::path).orElse("other");
    }

    private static String trace(Throwable e) {
        StackTraceElement[] trace = e.getStackTrace();
        return trace.length == 0 ? "" : " at " + trace[0];
    }

    /** Headers that every answer has: nothing of this server is to be framed, sniffed or kept. */
    static final Map<String, String> HEADERS = Map.of("X-Content-Type-Options", "nosniff");
}
