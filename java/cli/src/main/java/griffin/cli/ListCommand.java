package griffin.cli;

import griffin.hub.Installed;
import griffin.hub.ModelStore;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import tools.jackson.core.JsonGenerator;

/** {@code griffin-run list}: the models that were pulled. */
@Command(name = "list", header = "the models that were pulled", sortOptions = false, abbreviateSynopsis = true,
        optionListHeading = "%nOptions:%n",
        description = {"", "Lists the models that griffin-run pull has fetched: name, size, revision, when, and folder."})
final class ListCommand implements Callable<Integer> {

    private static final DateTimeFormatter WHEN = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm", Locale.ROOT);

    private final Terminal terminal;

    @Mixin
    CommonOptions common = new CommonOptions();

    ListCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        ModelStore store = ModelStore.ofDefault(terminal.environment());
        List<Installed> models = store.list();
        if (common.json) {
            terminal.out().print(Json.object(json -> {
                json.writeStringProperty("folder", store.folder().toString());
                json.writeArrayPropertyStart("models");
                for (Installed model : models) {
                    json.writeStartObject();
                    fields(json, model);
                    json.writeEndObject();
                }
                json.writeEndArray();
            }));
        } else if (models.isEmpty()) {
            terminal.note("there are no models in " + store.folder() + ": griffin-run pull NAME fetches one");
        } else {
            models.forEach(model -> terminal.out().println(line(model, models)));
        }
        return 0;
    }

    private static String line(Installed model, List<Installed> all) {
        int width = all.stream().mapToInt(any -> any.name().toString().length()).max().orElse(1);
        return String.format(Locale.ROOT, "%-" + width + "s  %8s  %s  %s  %s", model.name(), Sizes.of(model.bytes()),
                model.revision().substring(0, 12), WHEN.format(model.pulled().atZone(ZoneId.systemDefault())), model.path());
    }

    /** What there is to know of a model. */
    static void fields(JsonGenerator json, Installed model) {
        json.writeStringProperty("name", model.name().toString());
        json.writeNumberProperty("bytes", model.bytes());
        json.writeStringProperty("revision", model.revision());
        json.writeStringProperty("pulled", model.pulled().toString());
        json.writeStringProperty("path", model.path().toString());
    }
}
