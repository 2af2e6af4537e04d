package griffin.server.http;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.eclipse.jetty.io.Connection;
import org.eclipse.jetty.util.component.AbstractLifeCycle;
import org.eclipse.jetty.util.thread.Scheduler;

/**
 * Closes connections whose headers take too long: the idle timeout alone lets a client live that sends a byte of them now and then. A
 * connection is under suspicion while bytes have come since its last request and no request is being served.
 */
final class ConnectionWatch extends AbstractLifeCycle implements Connection.Listener {

    /** How far a connection had come when it was last known to be in order. */
    private static final class Progress {
        private volatile long bytes;
        private volatile boolean serving;
        /** When incomplete headers were first seen, 0 if there are none; the sweep's own. */
        private long since;
    }

    private final Map<Connection, Progress> open = new ConcurrentHashMap<>();
    private final Scheduler scheduler;
    private final long nanos;
    private volatile Scheduler.Task next;

    ConnectionWatch(Scheduler scheduler, HttpLimits limits) {
        this.scheduler = scheduler;
        nanos = limits.receive().toNanos();
    }

    @Override
    protected void doStart() {
        schedule();
    }

    @Override
    protected void doStop() {
        Scheduler.Task task = next;
        if (task != null) {
            task.cancel();
        }
    }

    private void schedule() {
        next = scheduler.schedule(() -> {
            sweep(System.nanoTime());
            if (isRunning() || isStarting()) {
                schedule();
            }
        }, nanos / 4, TimeUnit.NANOSECONDS);
    }

    private void sweep(long now) {
        open.forEach((connection, progress) -> {
            if (progress.serving || connection.getBytesIn() <= progress.bytes) {
                progress.since = 0;
            } else if (progress.since == 0) {
                progress.since = now;
            } else if (now - progress.since > nanos) {
                connection.getEndPoint().close(new TimeoutException("the headers did not arrive in time"));
            }
        });
    }

    @Override
    public void onOpened(Connection connection) {
        open.put(connection, new Progress());
    }

    @Override
    public void onClosed(Connection connection) {
        open.remove(connection);
    }

    /** A request of the connection has arrived. */
    void serving(Connection connection) {
        Progress progress = open.get(connection);
        if (progress != null) {
            progress.serving = true;
        }
    }

    /** It has been answered. */
    void served(Connection connection) {
        Progress progress = open.get(connection);
        if (progress != null) {
            progress.bytes = connection.getBytesIn();
            progress.serving = false;
        }
    }
}
