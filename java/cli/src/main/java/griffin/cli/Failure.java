package griffin.cli;

import griffin.error.BackendUnavailableException;
import griffin.error.GriffinException;
import griffin.error.InvalidRequestException;
import griffin.io.FileErrors;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import picocli.CommandLine.ParameterException;

/** Turns whatever went wrong into one sentence and an exit code. */
final class Failure {

    private Failure() {}

    /** What was asked for is possible here, and failed: a model, a state, a file, a hub, memory, or a device that was taken. */
    static final int FAILED = 1;
    /** What was asked for is wrong, or it names a device that cannot be used here: the same words can never work on this machine as it is. */
    static final int USAGE = 2;

    /**
     * Reports what ends the command: with {@code json} also as the one object on standard output, unless something is there already.
     */
    static int report(Terminal terminal, Throwable e, boolean verbose, boolean json) {
        int exit = report(terminal, e, verbose);
        if (json && !terminal.out().used()) {
            try {
                terminal.out().print(Json.object(object -> object.writeStringProperty("error", sentence(e))));
            } catch (UncheckedIOException unwritable) {
                terminal.note(sentence(unwritable));
            }
        }
        return exit;
    }

    /** Reports an exception that a running command may survive. */
    static int report(Terminal terminal, Throwable e, boolean verbose) {
        terminal.note(sentence(e));
        if (verbose) {
            StringWriter trace = new StringWriter();
            e.printStackTrace(new PrintWriter(trace));
            terminal.err().print(trace.toString());
        }
        boolean asked = e instanceof ParameterException || e instanceof InvalidRequestException || e instanceof BackendUnavailableException;
        return asked ? USAGE : FAILED;
    }

    /** What went wrong, in one sentence. */
    static String sentence(Throwable e) {
        if (e instanceof ParameterException wrong) {
            return UsageErrors.sentence(wrong) + "; see " + wrong.getCommandLine().getCommandSpec().qualifiedName() + " --help";
        }
        if (e instanceof GriffinException || e instanceof UncheckedIOException) {
            return e.getMessage();
        }
        if (e instanceof IOException failed) {
            return "input or output failed: " + FileErrors.reason(failed);
        }
        if (e instanceof OutOfMemoryError) {
            return "Java ran out of memory (its heap may grow to " + (Runtime.getRuntime().maxMemory() >> 20) + " MiB): allow it more with "
                    + "GRIFFIN_JAVA_OPTS=-Xmx8g, or ask for smaller chunks with --chunk";
        }
        if (ProgramFiles.explain(e)) {
            return ProgramFiles.CHANGED;
        }
        return "an internal error, " + e + "; please report it with what the same command prints with --verbose";
    }
}
