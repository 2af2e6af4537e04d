package griffin.cli;

import griffin.Griffin;
import griffin.Session;
import griffin.error.InvalidRequestException;
import java.nio.file.Files;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** A text in progress as a file: where a command goes on from, and what it leaves behind. */
final class Sessions extends StateOptions {

    @Option(names = "--state", paramLabel = "NAME|FILE",
            description = "Go on from this state if it exists, and write it at the end, also after Ctrl-C, SIGTERM or SIGHUP. With a / or "
                    + "the ending .state it is a file, else a name in the folder of states (griffin-run state ls).")
    String state;

    @Option(names = "--save", paramLabel = "FILE",
            description = "Save the session at the end, also after Ctrl-C, SIGTERM or SIGHUP. The file grows until the window is full, "
                    + "and never after, whatever is read.")
    Path save;

    @Option(names = "--resume", paramLabel = "FILE",
            description = "Go on from a saved session of the same model, exactly where it stopped.")
    Path resume;

    private Path target;
    private Path source;

    /** Refuses at once what would fail after a long run. */
    void check(Terminal terminal) {
        target = save;
        source = resume;
        stateCompression(terminal);
        if (state != null) {
            useState(terminal);
        }
        if (target != null) {
            OutputFile.check(state != null ? "--state " + state : "--save " + save, target);
        }
    }

    private void useState(Terminal terminal) {
        if (save != null || resume != null) {
            throw new InvalidRequestException("--state goes on from a state and writes it: leave " + (save != null ? "--save" : "--resume")
                    + " out, or take --save and --resume instead");
        }
        target = stateFile(terminal, state);
        if (!isFile(state)) {
            stateFolder(terminal).create();
        }
        source = Files.exists(target) ? target : null;
    }

    /** Whether there is something to go on from. */
    boolean resumes() {
        return source != null;
    }

    Session open(Griffin griffin) {
        return source == null ? griffin.newSession() : griffin.load(source);
    }

    /** Saves if that was asked for and can be done; returns whether nothing was left undone. */
    boolean save(Session session, Terminal terminal) {
        if (target != null && session.broken()) {
            terminal.note(target + " is not written, as the session's state was lost in the failure");
            return false;
        }
        if (target != null) {
            session.save(target, stateCompression(terminal));
        }
        return true;
    }

    /** Saves what there is before a failure ends the command, which {@code failure} goes on to report. */
    void rescue(Session session, Terminal terminal, Throwable failure) {
        if (target == null) {
            return;
        }
        try {
            if (save(session, terminal)) {
                terminal.note("saved the " + session.length() + " tokens so far to " + target);
            }
        } catch (RuntimeException e) {
            failure.addSuppressed(e);
        }
    }
}
