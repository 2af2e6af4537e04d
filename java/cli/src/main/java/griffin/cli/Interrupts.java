package griffin.cli;

import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.function.BooleanSupplier;

/**
 * Ctrl-C. While work is under way that can end cleanly, the first one is only noted, for the work to see; a second one, or one at any
 * other time, ends the process at once. Between the replies of a chat it does what the chat says.
 */
final class Interrupts {

    /** What a shell expects after Ctrl-C: 128 + SIGINT. */
    static final int EXIT_CODE = 130;

    private boolean working;
    private boolean raised;
    private BooleanSupplier otherwise;

    /**
     * Takes over the process's SIGINT. On a thread of its own, since nobody presses Ctrl-C in the first milliseconds and Java's own
     * way of ending by it does until then.
     */
    void install() {
        Thread thread = new Thread(this::handleSignal, "griffin-signals");
        thread.setDaemon(true);
        thread.start();
    }

    /** By reflection: a compiler that treats warnings as errors refuses sun.misc.Signal, and Java offers no other way. */
    private void handleSignal() {
        try {
            Class<?> signal = Class.forName("sun.misc.Signal");
            Class<?> handler = Class.forName("sun.misc.SignalHandler");
            Object raise = Proxy.newProxyInstance(handler.getClassLoader(), new Class<?>[] {handler}, (proxy, method, arguments) -> {
                if (method.getName().equals("handle")) {
                    raise();
                    return null;
                }
                return method.getName().equals("equals") ? proxy == arguments[0] : method.getName().equals("hashCode") ? 0 : "Ctrl-C";
            });
            Method handle = signal.getMethod("handle", signal, handler);
            handle.invoke(null, signal.getConstructor(String.class).newInstance("INT"), raise);
        } catch (ReflectiveOperationException | RuntimeException e) {
            // A JVM without the class, or one told to leave signals alone (-Xrs): Ctrl-C ends the process, as everywhere.
            return;
        }
    }

    /** Ctrl-C was pressed. */
    void raise() {
        BooleanSupplier action;
        synchronized (this) {
            if (working && !raised) {
                raised = true;
                return;
            }
            action = working ? null : otherwise;
        }
        if (action == null || !action.getAsBoolean()) {
            Runtime.getRuntime().halt(EXIT_CODE);
        }
    }

    /** Work begins that asks {@link #raised()} now and then. */
    synchronized void begin() {
        working = true;
        raised = false;
    }

    /** The work is over. */
    synchronized void end() {
        working = false;
    }

    /** What Ctrl-C does when no work is under way, returning whether the process goes on; null ends it. */
    synchronized void otherwise(BooleanSupplier action) {
        otherwise = action;
    }

    /** Whether Ctrl-C was pressed since the work began. */
    synchronized boolean raised() {
        return raised;
    }
}
