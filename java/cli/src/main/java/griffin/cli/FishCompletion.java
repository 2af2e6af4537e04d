package griffin.cli;

import java.util.Iterator;
import java.util.Map;
import picocli.CommandLine;
import picocli.CommandLine.Model.OptionSpec;

/** A completion script for fish, which picocli does not write: one {@code complete} line per command and option. */
final class FishCompletion {

    private FishCompletion() {}

    static String script(CommandLine root) {
        String name = root.getCommandName();
        StringBuilder out = new StringBuilder("# fish completion of " + name + "\n");
        options(out, name, "__fish_use_subcommand", root);
        for (Map.Entry<String, CommandLine> command : root.getSubcommands().entrySet()) {
            out.append("complete -c ").append(name).append(" -n __fish_use_subcommand -f -a ").append(command.getKey()).append(" -d ")
                    .append(quoted(description(command.getValue().getCommandSpec().usageMessage().description()))).append('\n');
            options(out, name, "__fish_seen_subcommand_from " + command.getKey(), command.getValue());
        }
        return out.toString();
    }

    private static void options(StringBuilder out, String name, String condition, CommandLine command) {
        for (OptionSpec option : command.getCommandSpec().options()) {
            out.append("complete -c ").append(name).append(" -n ").append(quoted(condition));
            for (String spelling : option.names()) {
                out.append(spelling.startsWith("--") ? " -l " + spelling.substring(2) : " -s " + spelling.substring(1));
            }
            if (option.arity().max() > 0) {
                out.append(takesPath(option) ? " -r -F" : " -x");
            }
            if (option.completionCandidates() != null) {
                Iterator<String> words = option.completionCandidates().iterator();
                StringBuilder all = new StringBuilder();
                words.forEachRemaining(word -> all.append(all.isEmpty() ? "" : " ").append(word));
                out.append(" -a ").append(quoted(all.toString()));
            }
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
