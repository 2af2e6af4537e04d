package griffin.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Parameters;

/** The {@code griffin-run} command. Exit codes: 0 done, 1 failed, 2 the request or the installation is at fault. */
@Command(name = "griffin-run", mixinStandardHelpOptions = true, versionProvider = Main.Version.class,
        description = "Runs Griffin (RecurrentGemma) language models.")
public final class Main implements Callable<Integer> {

    @Parameters(arity = "0..*", paramLabel = "PROMPT", description = "The text to continue.")
    private String[] prompt;

    /** Runs one command line and exits with its code. */
    public static void main(String[] args) {
        System.exit(new CommandLine(new Main()).execute(args));
    }

    @Override
    public Integer call() {
        System.err.println("griffin-run: this version has no text generation; it knows --help and --version");
        return CommandLine.ExitCode.USAGE;
    }

    /** The version in the jar's manifest. */
    static final class Version implements IVersionProvider {

        @Override
        public String[] getVersion() {
            String version = Main.class.getPackage().getImplementationVersion();
            return new String[] {"griffin-run " + (version == null ? "(unpacked)" : version)};
        }
    }
}
