package griffin.cli;

import griffin.hub.ModelName;
import griffin.hub.ModelStore;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code griffin-run rm}: deletes a model that was pulled. */
@Command(name = "rm", header = "delete a model that was pulled", sortOptions = false, abbreviateSynopsis = true,
        optionListHeading = "%nOptions:%n",
        description = {"",
            "Deletes a model that griffin-run pull has fetched, or what an interrupted pull has left of one. Asks first where a person "
                    + "can answer."})
final class RemoveCommand implements Callable<Integer> {

    private final Terminal terminal;

    @Parameters(index = "0", arity = "1", paramLabel = "NAME", completionCandidates = ModelNames.class,
            description = "The model, as griffin-run list calls it, or a short name.")
    String name;

    @Option(names = {"-y", "--yes"}, description = "Do not ask.")
    boolean yes;

    @Mixin
    CommonOptions common = new CommonOptions();

    RemoveCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        ModelName model = ModelName.parse(name);
        ModelStore store = ModelStore.ofDefault(terminal.environment());
        if (!yes && terminal.inTerminal() && terminal.errTerminal() && !agreed(model, store)) {
            terminal.note("nothing was deleted");
            return 0;
        }
        store.remove(model);
        if (common.json) {
            terminal.out().print(Json.object(json -> json.writeStringProperty("removed", model.toString())));
        } else {
            terminal.note(model + " is deleted");
        }
        return 0;
    }

    private boolean agreed(ModelName model, ModelStore store) {
        terminal.err().print(
                "delete " + model + store.installed(model).map(found -> " (" + Sizes.of(found.bytes()) + ")").orElse("") + "? [y/N] ");
        String answer = new Lines(terminal.in()).next();
        return answer != null && answer.strip().toLowerCase(Locale.ROOT).matches("y|yes");
    }
}
