package griffin.cli;

import griffin.error.BackendUnavailableException;
import griffin.error.GriffinException;
import griffin.error.InvalidRequestException;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

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
        if (e instanceof GriffinException || e instanceof UncheckedIOException) { return e.getMessage(); }
        if (e instanceof IOException) { return "input or output failed: " + e; }
        if (e instanceof OutOfMemoryError) {
            return "Java ran out of memory (its heap may grow to " + (Runtime.getRuntime().maxMemory() >> 20) + " MiB): allow it more with "
                    + "GRIFFIN_JAVA_OPTS=-Xmx8g, or ask for smaller chunks with --chunk";
        }
        return "an internal error, " + e + "; please report it with what the same command prints with --verbose";
    }

    /** Reports a command line that does not parse. */
    static int report(Terminal terminal, ParameterException e) {
        terminal.note(usage(e) + "; see " + e.getCommandLine().getCommandSpec().qualifiedName() + " --help");
        return USAGE;
    }

    private static String usage(ParameterException e) {
        String message = e.getMessage();
        if (e instanceof UnmatchedArgumentException unmatched) {
            List<String> arguments = unmatched.getUnmatched();
            String first = arguments.getFirst();
            if (!first.startsWith("-")) {
                return "the command line has " + quoted(first) + " left over: put a prompt of several words in quotes";
            }
            message = "there is no option " + first;
            List<String> near = near(unmatched.getCommandLine(), first);
            if (!near.isEmpty()) {
                message += ", did you mean " + String.join(" or ", near) + "?";
            } else {
                message += " (a prompt that begins with a hyphen comes after --)";
            }
        }
        return message;
    }

    /** The command's own long options within two edits or with the same beginning. */
    private static List<String> near(CommandLine command, String word) {
        String name = word.split("=", 2)[0];
        int reach = Math.max(1, Math.min(3, name.length() / 3));
        return command.getCommandSpec().options().stream().flatMap(option -> Arrays.stream(option.names()))
                .filter(option -> option.startsWith("--")
                        && (distance(option, name) <= reach || name.length() > 3 && option.startsWith(name)))
                .sorted((a, b) -> Integer.compare(distance(a, name), distance(b, name))).limit(2).toList();
    }

    /** Insertions, deletions and replacements that lead from one word to the other. */
    static int distance(String a, String b) {
        int[] row = new int[b.length() + 1];
        for (int j = 0; j <= b.length(); j++) {
            row[j] = j;
        }
        for (int i = 1; i <= a.length(); i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.length(); j++) {
                int replaced = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.min(replaced, 1 + Math.min(row[j], row[j - 1]));
            }
        }
        return row[b.length()];
    }

    private static String quoted(String text) {
        return "'" + (text.length() > 40 ? text.substring(0, 40) + "..." : text) + "'";
    }
}
