package griffin.cli;

import griffin.StateCompression;
import griffin.error.InvalidRequestException;
import java.util.Arrays;
import picocli.CommandLine.Option;

/** Where states are kept by name, and how they are stored. An option wins over its variable. */
class StateOptions extends StateFolderOptions {

    static final String COMPRESSION_VARIABLE = "GRIFFIN_STATE_COMPRESSION";

    static final class Compressions extends Words {
        Compressions() {
            super(Arrays.stream(StateCompression.values()).map(StateCompression::word).toList());
        }
    }

    @Option(names = "--state-compression", order = 9, paramLabel = "HOW", completionCandidates = Compressions.class,
            description = "How states are written: ${COMPLETION-CANDIDATES}. lossless takes longer and goes on exactly; q8 keeps the "
                    + "window's keys and values in 8 bits, so that what follows may differ. Default: $GRIFFIN_STATE_COMPRESSION, else none.")
    String compression;

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
}
