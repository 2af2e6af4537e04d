package griffin.cli;

import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.util.Map;

/**
 * What a run of the command may read and write: the three standard streams, which of them are terminals, the environment, and signals.
 * Tests make their own.
 *
 * @param in           standard input, UTF-8
 * @param out          standard output: what was asked for, nothing else
 * @param err          standard error: messages, progress, figures
 * @param inTerminal   whether a person types on standard input
 * @param outTerminal  whether standard output is a screen
 * @param errTerminal  whether standard error is a screen
 * @param environment  the environment variables
 * @param interrupts   Ctrl-C and the other signals that end a process
 */
record Terminal(InputStream in, Output out, Output err, boolean inTerminal, boolean outTerminal, boolean errTerminal,
        Map<String, String> environment, Interrupts interrupts) {

    /** The variable in which the launcher says which of the descriptors 0, 1 and 2 are terminals, such as {@code 02}. */
    static final String TTY_VARIABLE = "GRIFFIN_TTY";

    /** This process's own. */
    static Terminal ofProcess() {
        String tty = System.getenv(TTY_VARIABLE);
        if (tty == null) {
            // Java itself knows only whether standard input and output are both terminals.
            tty = System.console() != null && System.console().isTerminal() ? "012" : "";
        }
        return new Terminal(new FileInputStream(FileDescriptor.in), new Output(new FileOutputStream(FileDescriptor.out), "standard output"),
                new Output(new FileOutputStream(FileDescriptor.err), "standard error"), tty.contains("0"), tty.contains("1"),
                tty.contains("2"),
                System.getenv(), new Interrupts());
    }

    /** One line for the user, on standard error. */
    void note(String message) {
        err.println("griffin-run: " + message);
    }

    /** Whether colours are welcome on a stream. */
    boolean colours(boolean streamIsTerminal) {
        return streamIsTerminal && environment.getOrDefault("NO_COLOR", "").isEmpty() && !"dumb".equals(environment.get("TERM"));
    }
}
