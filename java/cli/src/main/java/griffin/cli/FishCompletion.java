package griffin.cli;

import java.util.Map;
import java.util.StringJoiner;
import picocli.CommandLine;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** A completion script for fish, which picocli does not write: one {@code complete} line per command and option. */
final class FishCompletion {

    private FishCompletion() {}

    static String script(CommandLine root) {
        String name = root.getCommandName();
        // Not __fish_use_subcommand: it takes the value of an option, or a prompt, for a command.
        String noCommand = "not __fish_seen_subcommand_from " + String.join(" ", root.getSubcommands().keySet());
        StringBuilder out = new StringBuilder("# fish completion of " + name + "\n");
        options(out, name, noCommand, root);
        for (Map.Entry<String, CommandLine> command : root.getSubcommands().entrySet()) {
            begin(out, name, noCommand).append(" -f -a ").append(command.getKey()).append(" -d ")
                    .append(quoted(description(command.getValue().getCommandSpec().usageMessage().description()))).append('\n');
            String seen = "__fish_seen_subcommand_from " + command.getKey();
            arguments(out, name, seen, command.getValue());
            options(out, name, seen, command.getValue());
        }
        return out.toString();
    }

    private static StringBuilder begin(StringBuilder out, String name, String condition) {
        return out.append("complete -c ").append(name).append(" -n ").append(quoted(condition));
    }

    /** What stands without an option: never a file. */
    private static void arguments(StringBuilder out, String name, String condition, CommandLine command) {
        begin(out, name, condition).append(" -f");
        for (PositionalParamSpec argument : command.getCommandSpec().positionalParameters()) {
            candidates(out, argument);
        }
        out.append('\n');
    }

    private static void candidates(StringBuilder out, ArgSpec argument) {
        if (argument.completionCandidates() != null) {
            StringJoiner words = new StringJoiner(" ");
            argument.completionCandidates().forEach(words::add);
            out.append(" -a ").append(quoted(words.toString()));
        }
    }

    private static void options(StringBuilder out, String name, String condition, CommandLine command) {
        for (OptionSpec option : command.getCommandSpec().options()) {
            begin(out, name, condition);
            for (String spelling : option.names()) {
                out.append(spelling.startsWith("--") ? " -l " + spelling.substring(2) : " -s " + spelling.substring(1));
            }
            if (option.arity().max() > 0) {
                out.append(takesPath(option) ? " -r -F" : " -x");
            }
            candidates(out, option);
            out.append(" -d ").append(quoted(description(option.description()))).append('\n');
        }
    }

    private static boolean takesPath(OptionSpec option) {
        return option.type() == java.nio.file.Path.class;
    }

    /** The first sentence. */
    private static String description(String[] lines) {
        String text = String.join(" ", lines).strip();
        int end = text.indexOf(". ");
        return (end < 0 ? text : text.substring(0, end + 1)).replace("${COMPLETION-CANDIDATES}", "the values that follow");
    }

    private static String quoted(String text) {
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'";
    }
}
