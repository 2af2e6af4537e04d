package griffin.cli;

import griffin.ModelInfo;
import griffin.backend.DType;
import griffin.cli.Settings.Setting;
import griffin.model.BlockKind;
import griffin.model.GriffinConfig;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.core.JsonGenerator;

/** {@code griffin-run info}: what a model is and what it costs. */
@Command(name = "info", header = "what a model is, what it and a session of it cost, and the settings of serve", sortOptions = false,
        abbreviateSynopsis = true, optionListHeading = "%nOptions:%n",
        description = {"", "Tells what a model is, and what its weights and a session of it cost. "
                + "Reads headers, not weights (unless --check is given). With --settings, lists the settings of serve instead."})
final class InfoCommand implements Callable<Integer> {

    private final Terminal terminal;

    @Option(names = "--settings",
            description = "List all settings of serve, and nothing of the model: option, environment variable, and what is in force. Without it "
                    + "those that the environment gives are told, and in the JSON object all of them.")
    boolean settings;

    @ArgGroup(validate = false, heading = "%nModel and device:%n")
    ModelOptions model = new ModelOptions();

    @ArgGroup(validate = false, heading = "%nStates:%n")
    StateOptions states = new StateOptions();

    @Mixin
    CommonOptions.OfModel common = new CommonOptions.OfModel();

    InfoCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        if (settings) {
            List<Setting> all = Settings.read(terminal);
            terminal.out().print(common.json ? Json.object(json -> json(json, all)) : words(all));
            return 0;
        }
        ModelInfo info = model.info(terminal, common.verbose);
        terminal.out().print(common.json ? Json.object(json -> json(json, info)) : words(info));
        return 0;
    }

    private String words(ModelInfo info) {
        GriffinConfig c = info.config();
        StringBuilder out = new StringBuilder();
        line(out, "model", model.name());
        line(out, "architecture", "Griffin (RecurrentGemma)");
        line(out, "layers",
                c.layers() + ": " + c.recurrentLayers() + " recurrent, " + c.attentionLayers() + " attention (" + pattern(c) + ")");
        line(out, "widths",
                "model " + c.width() + ", recurrence " + c.lruWidth() + ", MLP " + c.mlpWidth() + ", " + c.heads() + " heads of "
                        + c.headWidth());
        line(out, "parameters", count(c.parameters()));
        line(out, "weights", bytes(info.weightBytes()) + ", " + info.weightPlace().words());
        line(out, "state", bytes(info.stateBytes()) + " per sequence on this device");
        line(out, "", bytes(c.stateBytes(DType.F32)) + " in float32");
        line(out, "", bytes(c.stateBytes(DType.BF16)) + " in bfloat16 (recurrence in float32)");
        line(out, "workspace", bytes(info.workspaceBytes()) + " for all sequences together");
        line(out, "", "named states in " + states.stateFolder(terminal).folder() + ", compression "
                + states.stateCompression(terminal).word());
        line(out, "window", count(c.window()) + " tokens before the current one");
        line(out, "vocabulary", count(c.vocabulary()) + " tokens" + (info.hasTokenizer() ? "" : "; no tokenizer.json: ids only"));
        line(out, "first id", info.bosId().map(String::valueOf).orElse("none"));
        line(out, "end ids", info.endIds().stream().map(String::valueOf).collect(Collectors.joining(", ")));
        line(out, "device", info.device().kind() + " (" + info.device().name() + ")");
        line(out, "length", "unlimited, always: a state has the same size after any number of tokens");
        List<Setting> all = Settings.read(terminal);
        List<Setting> set = all.stream().filter(Setting::set).toList();
        line(out, "settings",
                "of serve: " + (set.isEmpty() ? "none" : set.size()) + " from the environment; griffin-run info --settings lists all "
                        + all.size() + ", with option and variable");
        set.forEach(setting -> line(out, "", setting.option() + " " + setting.words() + " (" + setting.variable() + ")"));
        return out.toString();
    }

    private static String words(List<Setting> all) {
        StringBuilder out = new StringBuilder("Settings of serve, each an option and an environment variable:\n");
        for (Setting setting : all) {
            out.append(String.format(Locale.ROOT, "  %-20s %-26s %s%s%n", setting.option(), setting.variable(), setting.words(),
                    setting.set() ? " (from the environment)" : "").replace("\r", ""));
        }
        return out.toString();
    }

    private static void line(StringBuilder out, String name, String value) {
        out.append(String.format(Locale.ROOT, "%-13s %s%n", name, value.isEmpty() ? "none" : value).replace("\r", ""));
    }

    private static String count(long value) {
        return String.format(Locale.ROOT, "%,d", value);
    }

    private static String bytes(long value) {
        return String.format(Locale.ROOT, "%,d bytes (%.1f MiB)", value, value / 1048576.0);
    }

    /** One letter per layer. */
    private static String pattern(GriffinConfig config) {
        return config.blockKinds().stream().map(kind -> kind == BlockKind.RECURRENT ? "R" : "A").collect(Collectors.joining());
    }

    private void json(JsonGenerator json, ModelInfo info) {
        GriffinConfig c = info.config();
        json.writeStringProperty("model", model.name());
        json.writeStringProperty("architecture", "griffin");
        json.writeNumberProperty("layers", c.layers());
        json.writeNumberProperty("recurrent_layers", c.recurrentLayers());
        json.writeNumberProperty("attention_layers", c.attentionLayers());
        json.writeArrayPropertyStart("block_types");
        c.blockKinds().forEach(kind -> json.writeString(kind.name().toLowerCase(Locale.ROOT)));
        json.writeEndArray();
        json.writeNumberProperty("width", c.width());
        json.writeNumberProperty("lru_width", c.lruWidth());
        json.writeNumberProperty("mlp_width", c.mlpWidth());
        json.writeNumberProperty("heads", c.heads());
        json.writeNumberProperty("head_width", c.headWidth());
        json.writeNumberProperty("parameters", c.parameters());
        json.writeNumberProperty("weight_bytes", info.weightBytes());
        json.writeStringProperty("weights", info.weightPlace().word());
        json.writeNumberProperty("state_bytes", info.stateBytes());
        json.writeNumberProperty("state_bytes_f32", c.stateBytes(DType.F32));
        json.writeNumberProperty("state_bytes_bf16", c.stateBytes(DType.BF16));
        json.writeStringProperty("state_dir", states.stateFolder(terminal).folder().toString());
        json.writeStringProperty("state_compression", states.stateCompression(terminal).word());
        json.writeNumberProperty("workspace_bytes", info.workspaceBytes());
        json.writeNumberProperty("window", c.window());
        json.writeNumberProperty("vocabulary", c.vocabulary());
        json.writeBooleanProperty("tokenizer", info.hasTokenizer());
        json.writeName("bos_id");
        info.bosId().ifPresentOrElse(json::writeNumber, json::writeNull);
        Json.ids(json, "end_ids", info.endIds());
        json.writeStringProperty("device", info.device().kind());
        json.writeStringProperty("device_name", info.device().name());
        json.writeNumberProperty("device_memory_bytes", info.device().memoryBytes());
        json(json, Settings.read(terminal));
    }

    private static void json(JsonGenerator json, List<Setting> all) {
        json.writeObjectPropertyStart("settings");
        for (Setting setting : all) {
            json.writeName(setting.option().substring(2).replace('-', '_'));
            if (setting.value() == null) {
                json.writeNull();
            } else {
                json.writeString(setting.value());
            }
        }
        json.writeEndObject();
    }
}
