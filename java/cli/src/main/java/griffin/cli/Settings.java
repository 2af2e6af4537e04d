package griffin.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import picocli.CommandLine;
import picocli.CommandLine.Model.OptionSpec;

/** The settings of {@code serve} as they are in force: by the environment, else their defaults. */
final class Settings {

    /**
     * One setting.
     *
     * @param variable the environment variable
     * @param value    what is in force, or null where that depends on the model
     * @param set      whether the variable says so
     */
    record Setting(String option, String variable, String value, boolean set) {

        /** What is in force, for people. */
        String words() {
            if (option.equals(ModelOptions.WINDOW)) {
                return value == null || value.equals("0") ? "0, as many tokens as the model was trained with" : value;
            }
            return value == null ? "not set" : value;
        }
    }

    private Settings() {}

    static List<Setting> read(Terminal terminal) {
        CommandLine command = Main.commandLine(terminal);
        command.parseArgs("serve"); // which fills in what nobody gave
        CommandLine serve = command.getSubcommands().get("serve");
        List<Setting> settings = new ArrayList<>();
        for (OptionSpec option : serve.getCommandSpec().options()) {
            String variable = Environment.variable(option);
            if (variable != null) {
                Object value = option.getValue();
                boolean secret = option.longestName().equals("--api-key") && value != null;
                settings.add(new Setting(option.longestName(), variable, value == null ? null : secret ? "(set)" : text(value),
                        !terminal.environment().getOrDefault(variable, "").isEmpty()));
            }
        }
        return settings;
    }

    private static String text(Object value) {
        return value instanceof List<?> list ? list.stream().map(String::valueOf).collect(Collectors.joining(",")) : value.toString();
    }
}
