package griffin.cli;

import java.util.Locale;

/**
 * A line on the screen that says how far something is: drawn from a daemon thread, from half a second on, and wiped away at the end.
 * Where standard error is no screen there is none.
 */
final class Progress {

    private static final long DELAY_MILLIS = 500;
    private static final long PERIOD_MILLIS = 100;
    private static final int BAR = 16;
    /** A line longer than the terminal is cut, not wrapped: a wrapped one would stay behind when the next is drawn. */
    private static final String NO_WRAP = "\033[?7l";
    private static final String WRAP = "\033[?7h";
    private static final String CLEAR_REST = "\033[K";

    private final Terminal terminal;
    private final String label;
    private final String unit;
    private long start = System.nanoTime();
    /** What was there before the work began, which is no part of its rate. */
    private int before;
    private int done;
    private int total;
    private boolean drawn;
    private boolean over;

    /**
     * @param label what is being done, such as {@code loading}
     * @param unit  of what is counted, such as {@code tokens}
     */
    private Progress(Terminal terminal, String label, String unit) {
        this.terminal = terminal;
        this.label = label;
        this.unit = unit;
    }

    static Progress start(Terminal terminal, String label, String unit) {
        Progress progress = new Progress(terminal, label, unit);
        if (terminal.errTerminal()) {
            Thread thread = new Thread(progress::draw, "griffin-progress");
            thread.setDaemon(true);
            thread.start();
        } else {
            progress.over = true;
        }
        return progress;
    }

    /** The work begins now, and so many were there before. */
    synchronized void from(int count) {
        before = count;
        start = System.nanoTime();
    }

    /** So many of so many. */
    synchronized void update(int count, int of) {
        done = count;
        total = of;
    }

    /** A line for the user above this one. */
    synchronized void note(String message) {
        if (drawn && !over) {
            terminal.err().print("\r" + CLEAR_REST);
        }
        terminal.note(message);
    }

    private synchronized void draw() {
        long wait = DELAY_MILLIS;
        try {
            while (true) {
                wait(wait);
                if (over) {
                    return;
                }
                terminal.err().print("\r" + NO_WRAP + line(done, total, (System.nanoTime() - start) / 1e9) + CLEAR_REST + WRAP);
                drawn = true;
                wait = PERIOD_MILLIS;
            }
        } catch (InterruptedException e) {
            return;
        }
    }

    /** The text of the line; {@code total} is 0 when nobody knows it. */
    String line(int done, int total, double seconds) {
        if (total == 0) {
            return String.format(Locale.ROOT, "%s, %.0f s", label, seconds);
        }
        int filled = (int) ((long) BAR * done / total);
        String bar = "#".repeat(filled) + ".".repeat(BAR - filled);
        String text = String.format(Locale.ROOT, "%s [%s] %d/%d %s", label, bar, done, total, unit);
        if (done <= before) {
            return text + String.format(Locale.ROOT, ", %.0f s", seconds);
        }
        double rate = (done - before) / seconds;
        return text + String.format(Locale.ROOT, rate < 9.95 ? ", %.1f %s/s, %.0f s left" : ", %.0f %s/s, %.0f s left", rate, unit,
                (total - done) / rate);
    }

    /** Wipes the line away; may be called again. */
    synchronized void close() {
        if (!over) {
            over = true;
            notifyAll();
            if (drawn) {
                terminal.err().print("\r" + CLEAR_REST);
            }
        }
    }
}
