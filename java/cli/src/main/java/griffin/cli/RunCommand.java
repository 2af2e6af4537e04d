package griffin.cli;

import griffin.Generation;
import griffin.GenerationOptions;
import griffin.Griffin;
import griffin.Session;
import java.util.concurrent.Callable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code griffin-run PROMPT}: continues a text. */
@Command(name = "griffin-run", versionProvider = Version.class, sortOptions = false, optionListHeading = "%nOptions:%n",
        commandListHeading = "%nCommands:%n",
        customSynopsis = {"griffin-run [OPTIONS] PROMPT", "       griffin-run [OPTIONS] (--ids IDS | --file FILE | < FILE)",
            "       griffin-run COMMAND [OPTIONS]     (griffin-run COMMAND --help tells more)"},
        description = {"", "Continues a text with a Griffin (RecurrentGemma) language model. The text goes to standard output as it comes; "
                + "everything else goes to standard error."},
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {"0:all went well, also when the reader of a pipe has gone",
            "1:a model, a state, a file, a folder or a hub is missing, damaged or failed, memory is too small, a device that was taken failed at "
                    + "work, or griffin-run could not be built",
            "2:the command line or the prompt is wrong, the device that --device names cannot be used here, or the launcher found no JDK "
                    + "or Maven",
            "130:ended by Ctrl-C, likewise 143 by SIGTERM and 129 by SIGHUP; what was written is kept, --save and --state "
                    + "still save, and pull goes on later; serve ends with 0 if its requests end in time"},
        footerHeading = "%nExamples:%n",
        footer = {"  griffin-run \"Once upon a time\"",
            "  griffin-run --temperature 0 --max-tokens 50 --stop \"The end\" \"Tom had a red ball.\"",
            "  griffin-run pull google/recurrentgemma-2b-it", "  griffin-run chat --model recurrentgemma:2b-it",
            "  griffin-run --file book.txt --max-tokens 0 --save book.state",
            "  griffin-run --resume book.state \"In the end, he\"", "  griffin-run chat --state lily",
            "  echo \"A big dog\" | griffin-run --json | jq -r .text",
            "  griffin-run --model some-model --ids 2,5,7 --max-tokens 10", "", "Environment:",
            "  JAVA_HOME          a JDK 25 or newer to use first", "  GRIFFIN_JAVA_OPTS  further options of the JVM, such as -Xmx8g",
            "  GRIFFIN_JVM_DIRS   folders to search for JDKs, separated by colons",
            "  GRIFFIN_STATE_DIR  as --state-dir; GRIFFIN_STATE_COMPRESSION as --state-compression",
            "  GRIFFIN_MODELS     folder of the models that pull fetches; default: ~/.cache/griffin/models",
            "  GRIFFIN_HUB        address of the hub; griffin-run pull --help tells which other variables there are",
            "  NO_COLOR           no colours in help%n"})
final class RunCommand implements Callable<Integer> {

    private final Terminal terminal;

    @Parameters(index = "0", arity = "0..1", paramLabel = "PROMPT",
            description = "The text to continue, in quotes; - reads standard input, as does leaving it out in a pipe. "
                    + "A prompt that is, or almost is, the name of a command, or begins with a hyphen, comes after --.")
    String text;

    @ArgGroup(validate = false, heading = "%nOther prompts:%n", order = 1)
    Prompt prompt = new Prompt();

    @ArgGroup(validate = false, heading = "%nModel and device:%n", order = 2)
    ModelOptions model = new ModelOptions();

    @ArgGroup(validate = false, heading = "%nGeneration (what is left out follows the model's generation_config.json, else greedy):%n",
            order = 3)
    TextSamplingOptions sampling = new TextSamplingOptions();

    @ArgGroup(validate = false, heading = "%nSessions:%n", order = 4)
    Sessions sessions = new Sessions();

    @ArgGroup(validate = false, heading = "%nOutput:%n", order = 5)
    Reports reports = new Reports();

    @Option(names = "--version", versionHelp = true, description = "Print the version and end.")
    boolean version;

    @Mixin
    CommonOptions.OfModel common = new CommonOptions.OfModel();

    RunCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        sessions.check(terminal);
        sampling.check();
        Prompt.Given given = prompt.read(terminal, text, sessions.resumes());
        try (Griffin griffin = model.open(terminal, common.verbose); Session session = sessions.open(griffin)) {
            if (given.ids() != null) {
                Ids.check(given.ids(), prompt.ids, griffin);
            }
            GenerationOptions options = sampling.of(griffin);
            Reply reply = new Reply(terminal, griffin, session.length(), session::cancel, common.json);
            Generation generation = generate(session, given, options, reply);
            sessions.save(session, terminal);
            if (common.json) {
                terminal.out().print(json(griffin, session, options, generation));
            }
            reply.explain(generation, reports.stats, sampling.logprobs != null && !common.json);
            if (reports.stats) {
                terminal.note(Report.settings(model.name(), griffin, options.sampling()));
                Report.weights(griffin).ifPresent(terminal::note);
            }
            return reply.exitCode();
        }
    }

    private Generation generate(Session session, Prompt.Given given, GenerationOptions options, Reply reply) {
        int before = session.length();
        try {
            return given.ids() == null ? session.generate(given.text(), options, reply) : session.generate(given.ids(), options, reply);
        } catch (Throwable e) {
            if (session.length() > before || session.broken()) { // a refused request is no reason to overwrite a file
                sessions.rescue(session, terminal, e);
            }
            throw e;
        } finally {
            reply.finish();
        }
    }

    private String json(Griffin griffin, Session session, GenerationOptions options, Generation generation) {
        return Json.object(json -> {
            Report.settings(json, model.name(), griffin, options);
            Report.generation(json, griffin, generation, sampling.logprobs != null);
            json.writeNumberProperty("session_tokens", session.length());
        });
    }
}
