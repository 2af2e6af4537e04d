package griffin.cli;

import griffin.error.InvalidRequestException;
import java.util.concurrent.Callable;
import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code griffin-run completion}: a script that teaches a shell the options. */
@Command(name = "completion", header = "a script that makes a shell complete commands and options", sortOptions = false,
        abbreviateSynopsis = true, optionListHeading = "%nOptions:%n",
        description = {"", "Prints a script that makes a shell complete commands and options. "
                + "In bash and zsh, from the folder that has griffin-run:",
            "  source <(./griffin-run completion bash)",
            "For good, with that folder's full path, in ~/.bashrc or ~/.zshrc:",
            "  source <(/full/path/to/griffin-run completion bash)",
            "In fish:",
            "  ./griffin-run completion fish > ~/.config/fish/completions/griffin-run.fish"})
final class CompletionCommand implements Callable<Integer> {

    static final class Shells extends Words {
        Shells() {
            super("bash", "zsh", "fish");
        }
    }

    private final Terminal terminal;

    @Spec
    CommandSpec spec;

    @Parameters(arity = "1", paramLabel = "SHELL", completionCandidates = Shells.class, description = "One of ${COMPLETION-CANDIDATES}.")
    String shell;

    @Mixin
    CommonOptions common = new CommonOptions();

    CompletionCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        CommandLine root = spec.root().commandLine();
        String script = switch (shell) {
            // The script of picocli serves both: in zsh it loads the emulation of bash's completion.
            case "bash", "zsh" -> AutoComplete.bash(root.getCommandName(), root);
            case "fish" -> FishCompletion.script(root);
            default -> throw new InvalidRequestException("there is no completion for '" + shell + "': use bash, zsh or fish");
        };
        if (common.json) {
            terminal.out().print(Json.object(json -> json.writeStringProperty("shell", shell).writeStringProperty("script", script)));
        } else {
            terminal.out().print(script);
        }
        return 0;
    }
}
