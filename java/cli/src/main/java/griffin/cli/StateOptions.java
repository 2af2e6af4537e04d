package griffin.cli;

import griffin.StateCompression;
import griffin.StateFolder;
import griffin.error.InvalidRequestException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Iterator;
import picocli.CommandLine.Option;

/** Where states are kept by name, and how they are stored. An option wins over its variable. */
class StateOptions {

    static final String FOLDER_VARIABLE = "GRIFFIN_STATE_DIR";
    static final String COMPRESSION_VARIABLE = "GRIFFIN_STATE_COMPRESSION";

    /** For messages and completion. */
    static final class Compressions implements Iterable<String> {
        @Override
        public Iterator<String> iterator() {
            return Arrays.stream(StateCompression.values()).map(StateCompression::word).iterator();
        }
    }

    @Option(names = "--state-dir", order = 8, paramLabel = "DIR",
            description = "Folder of states that have a name. Default: $GRIFFIN_STATE_DIR, else $XDG_STATE_HOME/griffin or "
                    + "~/.local/state/griffin (Windows: %%LOCALAPPDATA%%\\griffin\\states).")
    Path folder;

    @Option(names = "--state-compression", order = 9, paramLabel = "HOW", completionCandidates = Compressions.class,
            description = "How states are written: ${COMPLETION-CANDIDATES}. lossless takes longer and goes on exactly; q8 keeps the "
                    + "window's keys and values in 8 bits, so that what follows may differ. Default: $GRIFFIN_STATE_COMPRESSION, else none.")
    String compression;

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

    StateCompression stateCompression(Terminal terminal) {
        if (compression != null) {
            return parsed(compression, "--state-compression");
        }
        String value = terminal.environment().getOrDefault(COMPRESSION_VARIABLE, "");
        return value.isEmpty() ? StateCompression.NONE : parsed(value, COMPRESSION_VARIABLE);
    }

    private static StateCompression parsed(String value, String source) {
        try {
            return StateCompression.of(value);
        } catch (InvalidRequestException e) {
            throw new InvalidRequestException(source + " must be none, lossless or q8, not '" + value + "'", e);
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
