package griffin.cli;

import griffin.Devices;
import griffin.Devices.Found;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code griffin-run devices}: what this machine has. */
@Command(name = "devices", header = "the devices that a model can run on, and why others cannot be used", sortOptions = false,
        abbreviateSynopsis = true, optionListHeading = "%nOptions:%n",
        description = {"", "Lists the devices a model can run on, what was found and what was not and why, "
                + "in the order in which --device auto prefers them."})
final class DevicesCommand implements Callable<Integer> {

    private final Terminal terminal;

    @Mixin
    CommonOptions common = new CommonOptions();

    DevicesCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        List<Found> all = Devices.find();
        if (common.json) {
            terminal.out().print(Json.object(json -> {
                json.writeArrayPropertyStart("devices");
                for (Found found : all) {
                    json.writeStartObject();
                    json.writeStringProperty("device", found.kind());
                    json.writeBooleanProperty("available", found.available());
                    json.writeStringProperty("detail", found.detail());
                    json.writeEndObject();
                }
                json.writeEndArray();
            }));
        } else {
            for (Found found : all) {
                terminal.out().println(
                        String.format(Locale.ROOT, "%-10s %-4s %s", found.kind(), found.available() ? "yes" : "no", found.detail()));
            }
        }
        return 0;
    }
}
