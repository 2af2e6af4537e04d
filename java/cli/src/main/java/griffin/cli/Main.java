package griffin.cli;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.Model.UsageMessageSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;

/** The {@code griffin-run} command. */
public final class Main {

    /** Columns of help where it goes to no terminal. */
    private static final int HELP_WIDTH = 110;

    private static final List<String> RARE_COMMANDS = List.of("pull", "list", "rm", "serve");
    /** What is about all commands. */
    private static final List<String> EVERY_COMMAND = List.of("-h", "--help", "help", "completion");

    private Main() {}

    /** Runs one command line in this process and exits with its code; {@code --help} lists them. */
    public static void main(String[] args) {
        ProgramFiles.watch();
        Terminal terminal = Terminal.ofProcess();
        terminal.interrupts().install(() -> {
            terminal.out().hangUp();
            terminal.err().hangUp();
        });
        System.exit(runWhole(terminal, args));
    }

    /** The same also where the classes that would report a failure have gone with the rest of the program's files. */
    private static int runWhole(Terminal terminal, String... args) {
        try {
            return run(terminal, args);
        } catch (LinkageError e) {
            terminal.note(ProgramFiles.explain(e) ? ProgramFiles.CHANGED : "a part of the program is missing, " + e + ": build it again");
            if (List.of(args).contains("--verbose")) {
                e.printStackTrace();
            }
            return 1;
        }
    }

    /** Runs one command line and returns the exit code; nothing escapes as an exception. */
    static int run(Terminal terminal, String... args) {
        boolean verbose = List.of(args).contains("--verbose");
        boolean json = Arrays.stream(args).takeWhile(word -> !word.equals("--")).anyMatch("--json"::equals); // if it does not parse
        try {
            ParseResult parsed = parse(commandLine(terminal, List.of(args)), terminal, args);
            ParseResult last = parsed.hasSubcommand() ? parsed.subcommand() : parsed;
            json = last.matchedOptionValue("--json", false);
            return run(terminal, last);
        } catch (ParameterException e) {
            return Failure.report(terminal, e, false, json);
        } catch (Throwable e) {
            return Failure.report(terminal, e, verbose, json);
        }
    }

    private static int run(Terminal terminal, ParseResult last) throws Exception {
        CommandLine chosen = last.commandSpec().commandLine();
        if (last.isUsageHelpRequested()) {
            terminal.out().print(help(chosen, terminal));
            return 0;
        }
        if (last.isVersionHelpRequested()) {
            terminal.out().print(version(chosen));
            return 0;
        }
        return ((java.util.concurrent.Callable<?>) last.commandSpec().userObject()).call() instanceof Integer code ? code : 0;
    }

    /** Parses a command line without running it. */
    static ParseResult parse(CommandLine command, Terminal terminal, String... args) {
        ParseResult parsed = command.parseArgs(commandFirst(terminal, command, args));
        if (parsed.hasSubcommand() && !parsed.matchedArgs().isEmpty()) {
            String name = parsed.subcommand().commandSpec().name();
            throw new ParameterException(command,
                    "what belongs to the command " + name + " comes after its name, and '" + args[0] + "' stands before it");
        }
        refuseMisspelling(command, parsed, List.of(args));
        return parsed;
    }

    /**
     * Options before a command are moved behind its name, where the command judges them: {@code --model DIR chat} is
     * {@code chat --model DIR}. What stands before the name must parse by itself, so the value of an option is never taken for a command.
     */
    private static String[] commandFirst(Terminal terminal, CommandLine command, String[] args) {
        if (args.length < 2 || !args[0].startsWith("-")) {
            return args;
        }
        for (int i = 1; i < args.length && !args[i - 1].equals("--"); i++) {
            if (command.getSubcommands().containsKey(args[i]) && areOptions(terminal, Arrays.copyOf(args, i))) {
                List<String> moved = new ArrayList<>(List.of(args));
                moved.addFirst(moved.remove(i));
                return moved.toArray(String[]::new);
            }
        }
        return args;
    }

    private static boolean areOptions(Terminal terminal, String[] words) {
        try {
            return commandLine(terminal).parseArgs(words).matchedPositionals().isEmpty();
        } catch (ParameterException e) {
            return false;
        }
    }

    /** A prompt of one word that is almost a command's name is more likely that command. */
    private static void refuseMisspelling(CommandLine command, ParseResult parsed, List<String> args) {
        if (parsed.hasSubcommand() || args.contains("--")) {
            return;
        }
        String prompt = parsed.matchedPositionalValue(0, "");
        UsageErrors.command(command, prompt).ifPresent(name -> {
            throw new ParameterException(command,
                    "there is no command '" + prompt + "', did you mean '" + name + "'? To go on from that word, write: griffin-run -- "
                            + prompt);
        });
    }

    /** A command's manual, in colour where that is welcome. */
    static String help(CommandLine command, Terminal terminal) {
        return help(command, terminal.colours(terminal.outTerminal()) ? Ansi.ON : Ansi.OFF);
    }

    /** A command's manual. Its header is for the list of commands; its own manual begins with how it is called. */
    static String help(CommandLine command, Ansi ansi) {
        List<String> sections = new ArrayList<>(command.getHelpSectionKeys());
        sections.removeAll(List.of(UsageMessageSpec.SECTION_KEY_HEADER_HEADING, UsageMessageSpec.SECTION_KEY_HEADER));
        return command.setHelpSectionKeys(sections).getUsageMessage(ansi);
    }

    private static String version(CommandLine command) {
        StringWriter text = new StringWriter();
        command.printVersionHelp(new PrintWriter(text, true), Ansi.OFF);
        return text.toString();
    }

    /** The command with its subcommands. */
    static CommandLine commandLine(Terminal terminal) {
        return commandLine(terminal, true);
    }

    /** The same for certain arguments: without the commands that they cannot mean, whose options take time to look at. */
    private static CommandLine commandLine(Terminal terminal, List<String> args) {
        return commandLine(terminal, args.stream().anyMatch(argument -> EVERY_COMMAND.contains(argument)
                || RARE_COMMANDS.stream().anyMatch(name -> argument.length() <= name.length() + 1
                        && UsageErrors.distance(name, argument) <= 1)));
    }

    private static CommandLine commandLine(Terminal terminal, boolean rare) {
        CommandLine command = new CommandLine(new RunCommand(terminal));
        command.addSubcommand(new ChatCommand(terminal)).addSubcommand(new InfoCommand(terminal))
                .addSubcommand(new DevicesCommand(terminal));
        if (rare) {
            command.addSubcommand(new PullCommand(terminal)).addSubcommand(new ListCommand(terminal))
                    .addSubcommand(new RemoveCommand(terminal)).addSubcommand(new ServeCommand(terminal));
        }
        command.addSubcommand(new LogitsCommand(terminal)).addSubcommand(new StateCommand(terminal))
                .addSubcommand(new CompletionCommand(terminal))
                .addSubcommand(new HelpCommand(terminal));
        Environment environment = new Environment(terminal.environment());
        command.getSubcommands().forEach((name, subcommand) -> {
            if (Environment.COMMANDS.contains(name)) {
                subcommand.setDefaultValueProvider(environment);
            }
        });
        // @FILE belongs to --ids. The width of a terminal is asked for only when help is printed.
        return command.setExpandAtFiles(false).setAllowSubcommandsAsOptionParameters(true).setUsageHelpWidth(HELP_WIDTH)
                .setUsageHelpAutoWidth(terminal.outTerminal())
                .setUsageHelpLongOptionsMaxWidth(30);
    }
}
