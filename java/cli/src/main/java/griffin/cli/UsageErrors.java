package griffin.cli;

import griffin.error.InvalidRequestException;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import picocli.CommandLine;
import picocli.CommandLine.MissingParameterException;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.OverwrittenOptionException;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/** What is wrong with a command line, in this project's words instead of the parser's. */
final class UsageErrors {

    private UsageErrors() {}

    /** One sentence without its end. */
    static String sentence(ParameterException e) {
        if (e instanceof UnmatchedArgumentException unmatched) {
            return unmatched(unmatched);
        }
        if (e instanceof OverwrittenOptionException twice && twice.getOverwritten() instanceof OptionSpec option) {
            return option.longestName() + " is given twice";
        }
        if (e instanceof MissingParameterException missing) {
            return missing.getMissing().getFirst() instanceof OptionSpec option && !option.required()
                    ? option.longestName() + " needs a value, " + option.paramLabel()
                    : lowerCase(e.getMessage());
        }
        if (e.getArgSpec() instanceof OptionSpec option && e.getValue() != null) {
            return given(e.getCommandLine(), option, e.getValue()) + " must be " + kind(option, e.getValue()) + ", not '" + e.getValue()
                    + "'";
        }
        return lowerCase(e.getMessage());
    }

    /** What gave an option its value: itself, or its environment variable. */
    private static String given(CommandLine command, OptionSpec option, String value) {
        boolean set =
                command.getDefaultValueProvider() instanceof Environment environment && value.equals(environment.defaultValue(option));
        return set ? Environment.variable(option) : option.longestName();
    }

    /**
     * Uses an option's value; where the library refuses it, whose messages know no options, the message says which option is at fault:
     * {@code chunk must be 1 to 65536} is then {@code --chunk must be 1 to 65536}.
     */
    static <T> T naming(String option, Supplier<T> use) {
        try {
            return use.get();
        } catch (InvalidRequestException e) {
            int must = e.getMessage().indexOf(" must ");
            throw new InvalidRequestException(must < 0 ? option + ": " + e.getMessage() : option + e.getMessage().substring(must), e);
        }
    }

    private static String lowerCase(String message) {
        return message.startsWith("Missing") ? "m" + message.substring(1) : message;
    }

    private static String kind(ArgSpec option, String value) {
        Class<?> type = option.type();
        if (type == Integer.class || type == Long.class) {
            boolean digits = value.matches("[+-]?\\d+");
            return "a whole number"
                    + (!digits ? "" : type == Integer.class ? " below 2 147 483 648" : " below 9 223 372 036 854 775 808");
        }
        return type == Float.class ? "a number" : type == java.nio.file.Path.class ? "the name of a file" : "left without a value";
    }

    private static String unmatched(UnmatchedArgumentException e) {
        CommandLine command = e.getCommandLine();
        String first = e.getUnmatched().getFirst();
        if (!first.startsWith("-")) {
            return "the command line has " + quoted(first) + " left over: put a prompt of several words in quotes";
        }
        List<String> near = near(command, first);
        if (!near.isEmpty()) {
            return "there is no option " + first + ", did you mean " + String.join(" or ", near) + "?";
        }
        if (command.getParent() != null) {
            return "the command " + command.getCommandName() + " has no option " + first
                    + " (a prompt that is the name of a command comes after --)";
        }
        return "there is no option " + first + " (a prompt that begins with a hyphen comes after --)";
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

    /**
     * The command that a prompt of one word was probably meant to be: one edit away, two where the name is longer than four letters. Names of
     * two letters are one edit away from too much.
     */
    static Optional<String> command(CommandLine root, String prompt) {
        return root.getSubcommands().keySet().stream()
                .filter(name -> name.length() > 2 && distance(name, prompt) <= (name.length() > 4 ? 2 : 1))
                .min((a, b) -> Integer.compare(distance(a, prompt), distance(b, prompt)));
    }

    /** Insertions, deletions, replacements and swaps of neighbours that lead from one word to the other. */
    static int distance(String a, String b) {
        int[][] edits = new int[a.length() + 1][b.length() + 1];
        for (int i = 0; i <= a.length(); i++) {
            for (int j = 0; j <= b.length(); j++) {
                if (i == 0 || j == 0) {
                    edits[i][j] = i + j;
                    continue;
                }
                int replaced = edits[i - 1][j - 1] + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                int best = Math.min(replaced, 1 + Math.min(edits[i - 1][j], edits[i][j - 1]));
                if (i > 1 && j > 1 && a.charAt(i - 1) == b.charAt(j - 2) && a.charAt(i - 2) == b.charAt(j - 1)) {
                    best = Math.min(best, edits[i - 2][j - 2] + 1);
                }
                edits[i][j] = best;
            }
        }
        return edits[a.length()][b.length()];
    }

    private static String quoted(String text) {
        return "'" + (text.length() > 40 ? text.substring(0, 40) + "..." : text) + "'";
    }
}
