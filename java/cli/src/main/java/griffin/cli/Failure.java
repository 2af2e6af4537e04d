package griffin.cli;

import griffin.error.BackendUnavailableException;
import griffin.error.GriffinException;
import griffin.error.InvalidRequestException;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import picocli.CommandLine.ParameterException;

/** Turns whatever went wrong into one sentence and an exit code. */
final class Failure {

    private Failure() {}

    /** A model, a state, a device or a file failed. */
    static final int FAILED = 1;
    /** The request is at fault, or something is missing that it needs. */
    static final int USAGE = 2;

    /** Reports an exception of a running command. */
    static int report(Terminal terminal, Throwable e, boolean verbose) {
        terminal.note(sentence(e));
        if (verbose) {
            StringWriter trace = new StringWriter();
            e.printStackTrace(new PrintWriter(trace));
            terminal.err().print(trace.toString());
        }
        return e instanceof InvalidRequestException || e instanceof BackendUnavailableException ? USAGE : FAILED;
    }

    private static String sentence(Throwable e) {
        if (e instanceof GriffinException || e instanceof UncheckedIOException) {
            return e.getMessage();
        }
        if (e instanceof IOException) {
            return "input or output failed: " + e;
        }
        if (e instanceof OutOfMemoryError) {
            return "Java ran out of memory (its heap may grow to " + (Runtime.getRuntime().maxMemory() >> 20) + " MiB): allow it more with "
                    + "GRIFFIN_JAVA_OPTS=-Xmx8g, or ask for smaller chunks with --chunk";
        }
        return "an internal error, " + e + "; please report it with what the same command prints with --verbose";
    }

    /** Reports a command line that does not parse. */
    static int report(Terminal terminal, ParameterException e) {
        terminal.note(UsageErrors.sentence(e) + "; see " + e.getCommandLine().getCommandSpec().qualifiedName() + " --help");
        return USAGE;
    }
}
