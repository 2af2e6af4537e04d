package griffin.cli;

import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.function.Predicate;

/**
 * The signals that ask a process to end: Ctrl-C, SIGTERM, and SIGHUP of a terminal that closes. While work is under way that can end
 * cleanly, the first one is only noted, for the work to see; a second one, or one at any other time, ends the process at once. Between
 * the replies of a chat they do what the chat says.
 */
final class Interrupts {

    /** A signal with its name in Java and the exit code that a shell expects after it: 128 and its number. */
    enum Signal {
        HUP(129), INT(130), TERM(143);

        final int exitCode;

        Signal(int exitCode) {
            this.exitCode = exitCode;
        }
    }

    private boolean working;
    private Signal raised;
    private Predicate<Signal> otherwise;

    /**
     * Takes over the process's signals. On a thread of its own, since nobody sends one in the first milliseconds and Java's own
     * way of ending by them does until then.
     *
     * @param hangUp called first when the terminal has gone
     */
    void install(Runnable hangUp) {
        Thread thread = new Thread(() -> {
            for (Signal signal : Signal.values()) {
                handle(signal, signal == Signal.HUP ? hangUp : () -> {});
            }
        }, "griffin-signals");
        thread.setDaemon(true);
        thread.start();
    }

    /** By reflection: a compiler that treats warnings as errors refuses sun.misc.Signal, and Java offers no other way. */
    private void handle(Signal which, Runnable first) {
        try {
            Class<?> signal = Class.forName("sun.misc.Signal");
            Class<?> handler = Class.forName("sun.misc.SignalHandler");
            Object raise = Proxy.newProxyInstance(handler.getClassLoader(), new Class<?>[] {handler}, (proxy, method, arguments) -> {
                if (method.getName().equals("handle")) {
                    first.run();
                    raise(which);
                    return null;
                }
                return method.getName().equals("equals") ? proxy == arguments[0]
                        : method.getName().equals("hashCode") ? which.hashCode() : which.name();
            });
            Method handle = signal.getMethod("handle", signal, handler);
            handle.invoke(null, signal.getConstructor(String.class).newInstance(which.name()), raise);
        } catch (ReflectiveOperationException | RuntimeException e) {
            // No such signal (Windows), no such class, or a JVM told to leave signals alone (-Xrs): it ends the process, as everywhere.
            return;
        }
    }

    /** A signal came. */
    void raise(Signal signal) {
        Predicate<Signal> action;
        synchronized (this) {
            if (working && raised == null) {
                raised = signal;
                return;
            }
            action = working ? null : otherwise;
        }
        if (action == null || !action.test(signal)) {
            Runtime.getRuntime().halt(signal.exitCode);
        }
    }

    /** Work begins that asks {@link #raised()} now and then. */
    synchronized void begin() {
        working = true;
        raised = null;
    }

    /** The work is over. */
    synchronized void end() {
        working = false;
    }

    /** What a signal does when no work is under way, returning whether the process goes on; null ends it. */
    synchronized void otherwise(Predicate<Signal> action) {
        otherwise = action;
    }

    /** Whether a signal came since the work began. */
    synchronized boolean raised() {
        return raised != null;
    }

    /** Whether more than Ctrl-C came since the work began: not the work alone, the process is to end. */
    synchronized boolean ending() {
        return raised != null && raised != Signal.INT;
    }

    /** The exit code after the signal that came since the work began, 0 without one. */
    synchronized int exitCode() {
        return raised == null ? 0 : raised.exitCode;
    }
}
