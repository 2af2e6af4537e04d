package griffin.cli;

import picocli.CommandLine.Option;

/** What is told besides the text. */
final class Reports {

    @Option(names = "--stats", description = "Tell tokens, speeds, seed and settings on standard error at the end. On a CPU the first time "
            + "to read includes bringing the mapped weights into memory.")
    boolean stats;
}
