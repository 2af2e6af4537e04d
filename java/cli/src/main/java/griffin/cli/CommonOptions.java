package griffin.cli;

import picocli.CommandLine.Option;

/** What every command takes, in words that fit it. */
final class CommonOptions {

    private static final String JSON =
            "Print exactly one JSON object on standard output, once everything is done; its field error tells why "
                    + "if the command fails.";
    private static final String TRACE = "Follow an error with its Java stack trace.";
    private static final String DEVICE_AND_TRACE = "Tell which device was taken and why, and follow an error with its Java stack trace.";
    private static final String HELP = "Print this help and end.";

    @Option(names = "--json", description = JSON)
    boolean json;

    @Option(names = "--verbose", description = TRACE)
    boolean verbose;

    @Option(names = {"-h", "--help"}, usageHelp = true, description = HELP)
    boolean help;

    /** The same for a command that runs or looks at a model. */
    static final class OfModel {

        @Option(names = "--json", description = JSON)
        boolean json;

        @Option(names = "--verbose", description = DEVICE_AND_TRACE)
        boolean verbose;

        @Option(names = {"-h", "--help"}, usageHelp = true, description = HELP)
        boolean help;
    }

    /** The same for a server, which has no end to wait for. */
    static final class OfServer {

        @Option(names = "--json",
                description = "Print exactly one JSON object on standard output: where the server listens, as soon as it does, or in its field error why "
                        + "it could not start.")
        boolean json;

        @Option(names = "--verbose", description = DEVICE_AND_TRACE)
        boolean verbose;

        @Option(names = {"-h", "--help"}, usageHelp = true, description = HELP)
        boolean help;
    }
}
