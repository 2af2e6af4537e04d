package griffin.cli;

import griffin.error.InvalidRequestException;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code griffin-run help [COMMAND]}: the same as {@code griffin-run [COMMAND] --help}. */
@Command(name = "help", header = "this help, or that of a command", sortOptions = false, abbreviateSynopsis = true,
        optionListHeading = "%nOptions:%n",
        description = {"", "Prints the help of griffin-run, or of one of its commands."})
final class HelpCommand implements Callable<Integer> {

    /** All of them: a test compares. */
    static final class Commands extends Words {
        Commands() {
            super("chat", "info", "devices", "pull", "list", "rm", "serve", "logits", "state", "completion", "help");
        }
    }

    private final Terminal terminal;

    @Spec
    CommandSpec spec;

    @Parameters(arity = "0..1", paramLabel = "COMMAND", completionCandidates = Commands.class,
            description = "The command to tell about.")
    String name;

    @Mixin
    CommonOptions common = new CommonOptions();

    HelpCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        CommandLine root = spec.root().commandLine();
        CommandLine asked = name == null ? root : root.getSubcommands().get(name);
        if (asked == null) {
            throw new InvalidRequestException(
                    "there is no command '" + name + "': the commands are " + String.join(", ", root.getSubcommands().keySet()));
        }
        if (common.json) {
            String text = Main.help(asked, CommandLine.Help.Ansi.OFF);
            terminal.out().print(Json.object(json -> json.writeStringProperty("help", text)));
        } else {
            terminal.out().print(Main.help(asked, terminal));
        }
        return 0;
    }
}
