package griffin.cli;

import picocli.CommandLine.Option;

/** What every command takes. */
final class CommonOptions {

    @Option(names = "--json", description = "Print exactly one JSON object on standard output, once everything is done.")
    boolean json;

    @Option(names = "--verbose", description = "Tell which device was taken and why, and follow an error with its Java stack trace.")
    boolean verbose;

    @Option(names = {"-h", "--help"}, usageHelp = true, description = "Print this help and end.")
    boolean help;
}
