package griffin.cli;

import griffin.Generation;
import griffin.GenerationOptions;
import griffin.Griffin;
import griffin.Session;
import griffin.error.GriffinException;
import griffin.error.InvalidRequestException;
import griffin.tokenizer.ChatTemplate;
import java.io.UncheckedIOException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code griffin-run chat}: a conversation whose history is the model's state. */
@Command(name = "chat", header = "talk with a model that was trained on turns", sortOptions = false, abbreviateSynopsis = true,
        optionListHeading = "%nOptions:%n", description = {"",
            "Talks with a model that was trained on turns. The history lives in the model's state, so a "
                    + "turn costs its own tokens only, however long the chat. In a pipe, each line is a message, and only "
                    + "replies are printed.",
            "",
            "While it runs: /save FILE, /load FILE, /stats, /help, /exit; a message that begins with a slash is written with two. Ctrl-C stops a "
                    + "reply but not the chat; Ctrl-D, or Ctrl-C twice while no reply is under way, ends it."})
final class ChatCommand implements Callable<Integer> {

    private static final String HELP = """
            /save FILE   save the chat; the file grows until the window is full, and never after
            /load FILE   go on with a saved chat instead of this one
            /stats       length of the chat, and speed of the last reply
            /exit        end, as Ctrl-D does
            Ctrl-C stops a reply. A message that begins with a slash is written with two.
            """;

    /** What arrow keys and their kin send; the terminal's own editing knows backspace, Ctrl-W and Ctrl-U. */
    private static final Pattern ESCAPES = Pattern.compile("\033(\\[[0-9;?]*[ -/]*[@-~]|O[A-Z])");

    private record Turn(String message, Generation generation) {}

    private final Terminal terminal;
    private final List<Turn> turns = new ArrayList<>();
    private Griffin griffin;
    /** Volatile, as {@link #leaving}: Ctrl-C comes on a thread of its own. */
    private volatile Session session;
    /** Ctrl-C was pressed since the last line. */
    private volatile boolean leaving;
    private GenerationOptions options;
    private int exit;
    /** Why the last reply that failed did. */
    private String failure;

    @ArgGroup(validate = false, heading = "%nModel and device:%n", order = 2)
    ModelOptions model = new ModelOptions();

    @ArgGroup(validate = false, heading = "%nGeneration (what is left out follows the model's generation_config.json, else greedy):%n",
            order = 3)
    SamplingOptions sampling = new SamplingOptions();

    @ArgGroup(validate = false, heading = "%nSessions:%n", order = 4)
    Sessions sessions = new Sessions();

    @ArgGroup(validate = false, heading = "%nOutput:%n", order = 5)
    Reports reports = new Reports();

    @Mixin
    CommonOptions.OfModel common = new CommonOptions.OfModel();

    ChatCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        sessions.check(terminal);
        sampling.check();
        boolean person = terminal.inTerminal();
        try (Griffin opened = model.open(terminal, common.verbose)) {
            griffin = opened;
            // Refuses a model without turns before anybody types.
            new ChatTemplate(griffin.tokenizer());
            options = sampling.of(griffin);
            session = sessions.open(griffin);
            terminal.interrupts().otherwise(signal -> stay(signal, person));
            if (person) {
                terminal.err().println("Ctrl-C stops a reply, Ctrl-D or /exit ends the chat, /help tells more.");
            }
            try {
                talkAndSave(person);
            } finally {
                terminal.interrupts().otherwise(null);
                session.close();
            }
            if (common.json) {
                terminal.out().print(json());
            }
        }
        return terminal.interrupts().ending() ? terminal.interrupts().exitCode() : exit;
    }

    private void talkAndSave(boolean person) {
        try {
            talk(new Lines(terminal.in()), person);
        } catch (Throwable e) {
            sessions.rescue(session, terminal, e);
            throw e;
        }
        if (!sessions.save(session, terminal)) {
            exit = Failure.FAILED;
        }
    }

    /** A signal while no reply is under way ends the chat, except for a person's first Ctrl-C, which says how to leave. */
    private boolean stay(Interrupts.Signal signal, boolean person) {
        if (leaving || !person || signal != Interrupts.Signal.INT) {
            if (person) {
                terminal.err().print("\n");
            }
            try {
                sessions.save(session, terminal);
            } catch (GriffinException | UncheckedIOException e) {
                Failure.report(terminal, e, common.verbose);
            }
            return false;
        }
        leaving = true;
        terminal.err().print("\n(Ctrl-C again, Ctrl-D or /exit ends the chat)\nyou> ");
        return true;
    }

    private void talk(Lines lines, boolean person) {
        while (!terminal.out().closed() && !terminal.interrupts().ending()) {
            if (person) {
                terminal.err().print("you> ");
            }
            String line = next(lines, person);
            leaving = false;
            if (person && line != null) {
                line = ESCAPES.matcher(line).replaceAll("");
            }
            if (line == null) {
                if (person) {
                    terminal.err().print("\n");
                }
                return;
            }
            if (line.isBlank()) {
                continue;
            }
            if (line.startsWith("/") && !line.startsWith("//")) {
                if (!obey(line.strip())) {
                    return;
                }
            } else {
                reply(line.startsWith("//") ? line.substring(1) : line);
            }
        }
    }

    /** The next line; one that is no text ends a chat in a pipe, but not one with a person. */
    private String next(Lines lines, boolean person) {
        while (true) {
            try {
                return lines.next();
            } catch (InvalidRequestException e) {
                if (!person) {
                    throw e;
                }
                Failure.report(terminal, e, common.verbose);
                terminal.err().print("you> ");
            }
        }
    }

    /** A reply that fails is reported, and the chat goes on as long as there is a state to go on from. */
    private void reply(String message) {
        if (session.broken()) {
            exit = Failure.FAILED;
            terminal.note("the chat's state was lost in the failure: /load FILE goes on with a saved chat, /exit ends");
            return;
        }
        try {
            say(message);
        } catch (GriffinException | UncheckedIOException e) {
            exit = Failure.report(terminal, e, common.verbose);
            failure = Failure.sentence(e);
        }
    }

    private void say(String message) {
        Reply reply = new Reply(terminal, griffin, session.length(), session::cancel, common.json);
        Generation generation;
        try {
            generation = session.chat(message, options, reply);
        } finally {
            reply.finish();
        }
        turns.add(new Turn(message, generation));
        reply.explain(generation, reports.stats, sampling.logprobs != null && !common.json);
    }

    /** A line that begins with a slash. Returns false to end; a command that fails is reported, and the chat goes on. */
    private boolean obey(String line) {
        String[] words = line.split("\\s+", 2);
        try {
            switch (words[0]) {
                case "/exit", "/quit" -> {
                    return false;
                }
                case "/help" -> terminal.err().print(HELP);
                case "/stats" -> terminal.note(stats());
                case "/save", "/load" -> saveOrLoad(words);
                default -> terminal.note("there is no command " + words[0] + "; /help lists them");
            }
        } catch (GriffinException | UncheckedIOException e) {
            Failure.report(terminal, e, common.verbose);
        } catch (InvalidPathException e) {
            terminal.note("that cannot be the name of a file: " + e.getReason());
        }
        return true;
    }

    private void saveOrLoad(String[] words) {
        if (words.length < 2) {
            terminal.note(words[0] + " needs the name of a file");
            return;
        }
        Path file = Path.of(words[1]);
        if (words[0].equals("/save") && session.broken()) {
            terminal.note("there is nothing to save: the chat's state was lost in the failure");
        } else if (words[0].equals("/save")) {
            session.save(file, sessions.stateCompression(terminal));
            terminal.note("saved " + session.length() + " tokens to " + file);
        } else {
            Session loaded = griffin.load(file);
            session.close();
            session = loaded;
            terminal.note("loaded " + session.length() + " tokens from " + file);
        }
    }

    private String stats() {
        return "the chat has " + session.length() + " tokens in a state of " + griffin.stateBytes() + " bytes"
                + (turns.isEmpty() ? "" : "; last turn: " + Report.stats(turns.getLast().generation()));
    }

    private String json() {
        return Json.object(json -> {
            Report.settings(json, model.name(), griffin, options);
            json.writeArrayPropertyStart("turns");
            for (Turn turn : turns) {
                json.writeStartObject();
                json.writeStringProperty("message", turn.message());
                Report.generation(json, griffin, turn.generation(), sampling.logprobs != null);
                json.writeEndObject();
            }
            json.writeEndArray();
            if (failure != null) {
                json.writeStringProperty("error", failure);
            }
        });
    }
}
