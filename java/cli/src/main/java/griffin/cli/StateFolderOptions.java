package griffin.cli;

import griffin.StateFolder;
import griffin.error.InvalidRequestException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** Where states are kept by name. An option wins over its variable. */
class StateFolderOptions {

    static final String FOLDER_VARIABLE = "GRIFFIN_STATE_DIR";

    @Option(names = "--state-dir", order = 8, paramLabel = "DIR",
            description = "Folder of states that have a name. Default: $GRIFFIN_STATE_DIR, else $XDG_STATE_HOME/griffin or "
                    + "~/.local/state/griffin (Windows: %%LOCALAPPDATA%%\\griffin\\states).")
    Path folder;

    /** The folder of named states. */
    StateFolder stateFolder(Terminal terminal) {
        if (folder != null) {
            return new StateFolder(folder);
        }
        String value = terminal.environment().getOrDefault(FOLDER_VARIABLE, "");
        try {
            return new StateFolder(
                    value.isEmpty() ? StateFolder.defaultPath(name -> terminal.environment().get(name)) : Path.of(value));
        } catch (InvalidPathException e) {
            throw new InvalidRequestException(FOLDER_VARIABLE + " must be the name of a folder, not '" + value + "'", e);
        }
    }

    /** Whether a value means a file: it has a separator, or the ending of one. Else it is a name. */
    static boolean isFile(String value) {
        return value.endsWith(StateFolder.EXTENSION) || value.contains("/") || value.contains("\\");
    }

    /** The file that a name or the name of a file means. */
    Path stateFile(Terminal terminal, String value) {
        return isFile(value) ? file(value) : stateFolder(terminal).path(value);
    }

    /** A file by its name on the command line. */
    static Path file(String value) {
        try {
            return Path.of(value);
        } catch (InvalidPathException e) {
            throw new InvalidRequestException("'" + value + "' cannot be the name of a file: " + e.getReason(), e);
        }
    }
}
