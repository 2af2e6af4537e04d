package griffin;

import griffin.error.InvalidRequestException;
import griffin.error.StateFormatException;
import griffin.io.FileErrors;
import griffin.io.OwnerFolder;
import griffin.session.States;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Saved states by name in one folder, each in a file NAME.state. A name never leaves the folder: it is 1 to 100 letters, digits, dots,
 * underscores and hyphens, begins with a letter or digit and does not end with a dot. Thread-safe; several processes may share a folder.
 */
public final class StateFolder {

    /** What a state's file is called after its name. */
    public static final String EXTENSION = ".state";

    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?");
    /** Windows opens a device by these names, whatever the folder and the extension. */
    private static final Pattern DEVICE = Pattern.compile("(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\\..*)?");

    private final Path folder;

    /** A named state: what it is, or why that cannot be told. Exactly one of the two is there. */
    public record Entry(String name, Optional<StateInfo> info, Optional<String> problem) {}

    /** The folder need not exist yet. */
    public StateFolder(Path folder) {
        this.folder = folder;
    }

    /**
     * Where states are if nobody says otherwise: {@code $XDG_STATE_HOME/griffin} or {@code ~/.local/state/griffin}; on Windows
     * {@code %LOCALAPPDATA%\griffin\states}.
     *
     * @param environment returns the value of a variable, or null
     */
    public static Path defaultPath(UnaryOperator<String> environment) {
        boolean windows = System.getProperty("os.name").toLowerCase(Locale.ROOT).startsWith("windows");
        String base = environment.apply(windows ? "LOCALAPPDATA" : "XDG_STATE_HOME");
        Path home = Path.of(System.getProperty("user.home"));
        if (windows) {
            return (base == null || base.isEmpty() ? home.resolve("AppData").resolve("Local") : Path.of(base)).resolve("griffin")
                    .resolve("states");
        }
        boolean usable = base != null && Path.of(base).isAbsolute(); // as its specification demands
        return (usable ? Path.of(base) : home.resolve(".local").resolve("state")).resolve("griffin");
    }

    /** Where the states are. */
    public Path folder() {
        return folder;
    }

    /**
     * The file of a name, whether it exists or not.
     *
     * @throws InvalidRequestException when it is no name, or the file is a link that may lead elsewhere
     */
    public Path path(String name) {
        if (!NAME.matcher(name).matches() || DEVICE.matcher(name).matches()) {
            throw new InvalidRequestException("'" + shown(name) + "' cannot be the name of a state: it must have 1 to 100 letters, digits, "
                    + "dots, underscores and hyphens, begin with a letter or digit and not end with a dot (and be no device of Windows)");
        }
        Path file = folder.resolve(name + EXTENSION);
        if (Files.isSymbolicLink(file)) {
            throw new InvalidRequestException("the state " + name + " is a symbolic link, which could lead out of " + folder
                    + ": name the file itself");
        }
        return file;
    }

    private static String shown(String name) {
        String printable = name.replaceAll("\\p{Cntrl}", "?");
        return printable.length() > 40 ? printable.substring(0, 40) + "..." : printable;
    }

    /** Whether there is a state of that name. */
    public boolean contains(String name) {
        return Files.isRegularFile(path(name), LinkOption.NOFOLLOW_LINKS);
    }

    /** The states, by name. Looks at the beginnings of the files alone. */
    public List<Entry> list() {
        List<Entry> entries = new ArrayList<>();
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.sorted().toList()) {
                String name = file.getFileName().toString().replaceFirst("\\" + EXTENSION + "$", "");
                if (file.getFileName().toString().endsWith(EXTENSION) && NAME.matcher(name).matches()
                        && Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
                    entries.add(entry(name, file));
                }
            }
        } catch (NoSuchFileException e) {
            return List.of();
        } catch (IOException e) {
            throw new UncheckedIOException(folder + " cannot be read: " + FileErrors.reason(e), e);
        }
        return entries;
    }

    private static Entry entry(String name, Path file) {
        try {
            return new Entry(name, Optional.of(StateInfo.readHeader(file)), Optional.empty());
        } catch (StateFormatException | UncheckedIOException e) {
            return new Entry(name, Optional.empty(), Optional.of(e.getMessage()));
        }
    }

    /**
     * What a state is; reads and checks all of it.
     *
     * @throws StateFormatException when there is none, or it is damaged
     */
    public StateInfo info(String name) {
        return StateInfo.read(existing(name));
    }

    /**
     * Puts a state into the folder under a name, once it has been checked. Of several threads or processes that add the same name without
     * replacing, one succeeds.
     *
     * @param source  what messages call the bytes
     * @param replace whether a state of that name is replaced
     * @throws StateFormatException    when it is damaged or no state
     * @throws InvalidRequestException when the name is taken and must not be replaced
     */
    public StateInfo add(String name, byte[] snapshot, String source, boolean replace) {
        Path file = path(name);
        StateInfo info = StateInfo.of(snapshot, source);
        create();
        if (replace) {
            States.write(snapshot, file);
        } else if (!States.writeNew(snapshot, file)) {
            throw new InvalidRequestException(
                    "there is a state " + name + " in " + folder + " already: take another name, or replace it");
        }
        return info;
    }

    /** Writes a state to a file outside: whole or not at all. */
    public static void write(byte[] snapshot, Path file) {
        States.write(snapshot, file);
    }

    /**
     * Removes a state.
     *
     * @throws StateFormatException when there is none
     */
    public void remove(String name) {
        Path file = existing(name);
        try {
            Files.delete(file);
        } catch (IOException e) {
            throw new UncheckedIOException(file + " cannot be removed: " + FileErrors.reason(e), e);
        }
    }

    private Path existing(String name) {
        Path file = path(name);
        if (!contains(name)) {
            throw new StateFormatException("there is no state " + name + " in " + folder);
        }
        return file;
    }

    /** Makes the folder if it is missing, for its owner alone: a state tells what was said. */
    public void create() {
        try {
            OwnerFolder.create(folder);
        } catch (IOException e) {
            throw new UncheckedIOException("the folder of states " + folder + " cannot be made: " + FileErrors.reason(e), e);
        }
    }
}
