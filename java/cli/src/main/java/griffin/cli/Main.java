package griffin.cli;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;

/** The {@code griffin-run} command. */
public final class Main {

    /** Columns of help where it goes to no terminal. */
    private static final int HELP_WIDTH = 110;

    private Main() {}

    /** Runs one command line in this process and exits with its code: 0 done, 1 failed, 2 wrong usage, 130 after Ctrl-C. */
    public static void main(String[] args) {
        Terminal terminal = Terminal.ofProcess();
        terminal.interrupts().install();
        System.exit(run(terminal, args));
    }

    /** Runs one command line and returns the exit code; nothing escapes as an exception. */
    static int run(Terminal terminal, String... args) {
        boolean verbose = List.of(args).contains("--verbose");
        try {
            return parseAndRun(terminal, args);
        } catch (ParameterException e) {
            return Failure.report(terminal, e);
        } catch (Throwable e) {
            return Failure.report(terminal, e, verbose);
        }
    }

    private static int parseAndRun(Terminal terminal, String[] args) throws Exception {
        CommandLine command = commandLine(terminal);
        ParseResult parsed = command.parseArgs(args);
        if (parsed.hasSubcommand() && !parsed.matchedArgs().isEmpty()) {
            String name = parsed.subcommand().commandSpec().name();
            throw new ParameterException(command,
                    "what belongs to the command " + name + " comes after its name, and '" + args[0] + "' stands before it");
        }
        ParseResult last = parsed.hasSubcommand() ? parsed.subcommand() : parsed;
        CommandLine chosen = last.commandSpec().commandLine();
        if (last.isUsageHelpRequested()) {
            terminal.out().print(chosen.getUsageMessage(terminal.colours(terminal.outTerminal()) ? Ansi.ON : Ansi.OFF));
            return 0;
        }
        if (last.isVersionHelpRequested()) {
            terminal.out().print(version(chosen));
            return 0;
        }
        return ((java.util.concurrent.Callable<?>) last.commandSpec().userObject()).call() instanceof Integer code ? code : 0;
    }

    private static String version(CommandLine command) {
        StringWriter text = new StringWriter();
        command.printVersionHelp(new PrintWriter(text, true), Ansi.OFF);
        return text.toString();
    }

    /** The command with its subcommands. */
    static CommandLine commandLine(Terminal terminal) {
        CommandLine command = new CommandLine(new RunCommand(terminal));
        command.addSubcommand(new ChatCommand(terminal)).addSubcommand(new InfoCommand(terminal))
                .addSubcommand(new DevicesCommand(terminal))
                .addSubcommand(new LogitsCommand(terminal)).addSubcommand(new CompletionCommand(terminal));
        // @FILE belongs to --ids. The width of a terminal is asked for only when help is printed.
        return command.setExpandAtFiles(false).setUsageHelpWidth(HELP_WIDTH).setUsageHelpAutoWidth(terminal.outTerminal())
                .setUsageHelpLongOptionsMaxWidth(30);
    }
}
