package griffin.cli;

import java.lang.reflect.Field;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import picocli.CommandLine.IDefaultValueProvider;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.OptionSpec;

/** Environment variables that stand for options: {@code --state-dir} is GRIFFIN_STATE_DIR. What the command line says goes first. */
record Environment(Map<String, String> variables) implements IDefaultValueProvider {

    /** The commands whose options have variables. */
    static final List<String> COMMANDS = List.of("serve", "info");

    /** An option that can be given several times: its variable has the plural's name and commas between the values. */
    private static final String ALLOWED_HOST = "--allowed-host";

    /** The variable of an option, or null if it has none. */
    static String variable(OptionSpec option) {
        boolean has = option.userObject() instanceof Field field && field.getDeclaringClass() == ServeOptions.class
                || option.longestName().equals(ModelOptions.WINDOW);
        String name = option.longestName() + (option.longestName().equals(ALLOWED_HOST) ? "s" : "");
        return !has ? null : "GRIFFIN_" + name.substring(2).toUpperCase(Locale.ROOT).replace('-', '_');
    }

    @Override
    public String defaultValue(ArgSpec argument) {
        String variable = argument instanceof OptionSpec option ? variable(option) : null;
        String value = variable == null ? null : variables.get(variable);
        return value == null || value.isEmpty() ? null : value;
    }
}
