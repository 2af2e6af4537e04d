package griffin.cli;

import griffin.StateCompression;
import griffin.StateFolder;
import griffin.StateInfo;
import griffin.error.InvalidRequestException;
import griffin.error.StateFormatException;
import griffin.io.FileErrors;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.core.JsonGenerator;

/** {@code griffin-run state}: saved states, without their model. */
@Command(name = "state", header = "list, show, take in, give out and remove saved states", sortOptions = false,
        optionListHeading = "%nOptions:%n",
        customSynopsis = {"griffin-run state ls", "       griffin-run state info NAME|FILE", "       griffin-run state save NAME FILE",
            "       griffin-run state load NAME FILE", "       griffin-run state rm NAME..."},
        description = {"",
            "Lists, shows, takes in, gives out and removes saved states. Reads no model. A text or chat is kept under a name "
                    + "by --state NAME.",
            "",
            "  ls    the states in the folder; looks at the beginnings of their files alone",
            "  info  a state's model, tokens, size and compression; reads and checks all of it",
            "  save  put a state's file into the folder under a name, once it has been checked; - is standard input",
            "  load  write a named state to a file, once it has been checked; - is standard output",
            "  rm    remove states", "",
            "A name has 1 to 100 letters, digits, dots, underscores and hyphens. What has a / or ends in .state is a file."})
final class StateCommand implements Callable<Integer> {

    static final class Actions extends Words {
        Actions() {
            super("ls", "info", "save", "load", "rm");
        }
    }

    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm'Z'", Locale.ROOT)
            .withZone(ZoneOffset.UTC);

    private final Terminal terminal;

    @Parameters(index = "0", paramLabel = "WHAT", completionCandidates = Actions.class, description = "One of ${COMPLETION-CANDIDATES}.")
    String action;

    @Parameters(index = "1..*", arity = "0..*", paramLabel = "NAME|FILE",
            description = "None for ls; a state's name or file for info; a name and a file "
                    + "for save and load; names for rm.")
    List<String> operands = new ArrayList<>();

    @Option(names = "--force", description = "With save and load: replace what is there.")
    boolean force;

    @ArgGroup(validate = false, heading = "%nStates:%n")
    Options states = new Options();

    /** Not the options of commands that make states: {@code save} takes a state as it is, whatever the variable says. */
    static final class Options extends StateFolderOptions {

        @Option(names = "--state-compression", order = 9, paramLabel = "HOW", completionCandidates = StateOptions.Compressions.class,
                description = "With save: how the state is stored in the folder, ${COMPLETION-CANDIDATES}. lossless goes on exactly; q8 keeps the window's "
                        + "keys and values in 8 bits, so that what follows may differ. Default: as it is in FILE.")
        String compression;
    }

    @Mixin
    CommonOptions common = new CommonOptions();

    StateCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        StateFolder folder = states.stateFolder(terminal);
        switch (action) {
            case "ls" -> {
                require(operands.isEmpty(), "state ls takes no name; state info NAME tells about one");
                list(folder);
            }
            case "info" -> {
                require(operands.size() == 1, "state info needs one name or file");
                String which = operands.getFirst();
                info(which, StateFolderOptions.isFile(which) ? StateInfo.read(StateFolderOptions.file(which)) : folder.info(which));
            }
            case "save" -> {
                require(operands.size() == 2, "state save needs a name and a file: griffin-run state save NAME FILE");
                info(operands.get(0), save(folder, operands.get(0), operands.get(1)));
            }
            case "load" -> {
                require(operands.size() == 2, "state load needs a name and a file: griffin-run state load NAME FILE");
                load(folder, operands.get(0), operands.get(1));
            }
            case "rm" -> {
                require(!operands.isEmpty(), "state rm needs the name of a state");
                remove(folder);
            }
            default -> throw new InvalidRequestException("there is no state " + action + ": use ls, info, save, load or rm");
        }
        return 0;
    }

    private static void require(boolean condition, String message) {
        if (!condition) {
            throw new InvalidRequestException(message);
        }
    }

    private void list(StateFolder folder) {
        List<StateFolder.Entry> entries = folder.list();
        if (common.json) {
            terminal.out().print(Json.object(json -> {
                json.writeStringProperty("folder", folder.folder().toString());
                json.writeArrayPropertyStart("states");
                entries.forEach(entry -> json(json, entry));
                json.writeEndArray();
            }));
            return;
        }
        if (entries.isEmpty()) {
            terminal.note("there are no states in " + folder.folder());
            return;
        }
        int widest = Math.max(4, entries.stream().mapToInt(entry -> entry.name().length()).max().orElse(0));
        String format = "%-" + widest + "s  %9s  %10s  %-13s  %-8s  %s%n";
        terminal.out()
                .print(String.format(Locale.ROOT, format, "NAME", "TOKENS", "SIZE", "COMPRESSION", "MODEL", "SAVED").replace("\r", ""));
        for (StateFolder.Entry entry : entries) {
            terminal.out().print(entry.info()
                    .map(i -> String.format(Locale.ROOT, format, entry.name(), i.tokens(), mebibytes(i.bytes()),
                            i.compression().word() + String.format(Locale.ROOT, " %.1fx", i.ratio()), i.model().substring(0, 8),
                            TIME.format(i.saved())))
                    .orElseGet(() -> String.format(Locale.ROOT, "%-" + widest + "s  %s%n", entry.name(), entry.problem().orElseThrow()))
                    .replace("\r", ""));
        }
    }

    private static String mebibytes(long bytes) {
        return String.format(Locale.ROOT, "%.1f MiB", bytes / 1048576.0);
    }

    private static void json(JsonGenerator json, StateFolder.Entry entry) {
        json.writeStartObject();
        json.writeStringProperty("name", entry.name());
        entry.info().ifPresent(info -> json(json, info));
        entry.problem().ifPresent(problem -> json.writeStringProperty("problem", problem));
        json.writeEndObject();
    }

    private static void json(JsonGenerator json, StateInfo info) {
        json.writeNumberProperty("tokens", info.tokens());
        json.writeNumberProperty("bytes", info.bytes());
        json.writeNumberProperty("float32_bytes", info.plainBytes());
        Json.number(json, "ratio", info.ratio());
        json.writeStringProperty("compression", info.compression().word());
        json.writeNumberProperty("format_version", info.version());
        json.writeStringProperty("model", info.model());
        json.writeStringProperty("model_shape", info.shape());
        json.writeStringProperty("saved", info.saved().toString());
    }

    private void info(String which, StateInfo info) {
        if (common.json) {
            terminal.out().print(Json.object(json -> {
                json.writeStringProperty("state", which);
                json(json, info);
            }));
            return;
        }
        String text = """
                state        %s
                tokens       %,d
                size         %,d bytes (%.1f MiB)
                compression  %s, ratio %.2f (%,d bytes in float32)
                model        %s
                shape        %s
                saved        %s
                checksums    right
                """;
        terminal.out().print(String.format(Locale.ROOT, text, which, info.tokens(), info.bytes(), info.bytes() / 1048576.0,
                info.compression().word(), info.ratio(), info.plainBytes(), info.model(), info.shape(), TIME.format(info.saved())));
    }

    private StateInfo save(StateFolder folder, String name, String file) {
        byte[] snapshot = file.equals("-") ? standardInput() : bytes(StateFolderOptions.file(file));
        String source = file.equals("-") ? "standard input" : file;
        if (states.compression != null) {
            snapshot = StateCompression.of(states.compression).apply(snapshot, source);
        }
        require(force || !folder.contains(name),
                "there is a state " + name + " in " + folder.folder() + " already: take another name, or replace it with --force");
        return folder.add(name, snapshot, source, force);
    }

    private byte[] standardInput() {
        try {
            return terminal.in().readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException("standard input cannot be read: " + e.getMessage(), e);
        }
    }

    private static byte[] bytes(Path file) {
        try {
            return Files.readAllBytes(file);
        } catch (NoSuchFileException e) {
            throw new StateFormatException("there is no state file " + file, e);
        } catch (IOException e) {
            throw new UncheckedIOException(file + " cannot be read: " + FileErrors.reason(e), e);
        }
    }

    private static Instant saved(Path file) {
        try {
            return Files.getLastModifiedTime(file).toInstant();
        } catch (IOException e) {
            throw new UncheckedIOException(file + " cannot be read: " + FileErrors.reason(e), e);
        }
    }

    private void load(StateFolder folder, String name, String file) {
        Path source = folder.path(name);
        if (!folder.contains(name)) {
            throw new StateFormatException("there is no state " + name + " in " + folder.folder());
        }
        byte[] snapshot = bytes(source); // once, so that what is checked is what is written
        StateInfo info = StateInfo.of(snapshot, source.toString(), saved(source));
        if (file.equals("-")) {
            require(!terminal.outTerminal() && !common.json,
                    "a state is no text: send standard output to a file or a pipe, without --json");
            terminal.out().print(snapshot);
            return;
        }
        Path target = StateFolderOptions.file(file);
        require(force || !Files.exists(target), target + " exists already: take another name, or replace it with --force");
        StateFolder.write(snapshot, target);
        info(name, info);
    }

    private void remove(StateFolder folder) {
        for (String name : operands) { // all or none
            if (!folder.contains(name)) {
                throw new StateFormatException("there is no state " + name + " in " + folder.folder());
            }
        }
        operands.forEach(folder::remove);
        if (common.json) {
            terminal.out().print(Json.object(json -> {
                json.writeArrayPropertyStart("removed");
                operands.forEach(json::writeString);
                json.writeEndArray();
            }));
        } else {
            terminal.note("removed " + String.join(", ", operands));
        }
    }
}
