package griffin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.jar.JarOutputStream;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The command as a process of its own: signals, pipes and encodings are the system's. */
@DisabledOnOs(OS.WINDOWS)
class ProcessTest {

    private static final long SECONDS = 60;

    @TempDir
    Path folder;

    private ProcessBuilder command(String... arguments) {
        return commandOf(System.getProperty("java.class.path"), arguments);
    }

    private ProcessBuilder commandOf(String classPath, String... arguments) {
        List<String> words = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "--add-modules",
                "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "-XX:+UseSerialGC", "-cp", classPath,
                "griffin.cli.Main"));
        words.addAll(Arrays.asList(arguments));
        ProcessBuilder builder = new ProcessBuilder(words).redirectError(folder.resolve("err").toFile());
        builder.environment().put("LC_ALL", "C");
        builder.environment().put(Terminal.TTY_VARIABLE, "");
        return builder;
    }

    private String errors() throws Exception {
        return Files.readString(folder.resolve("err"));
    }

    private int end(Process process) throws Exception {
        assertTrue(process.waitFor(SECONDS, TimeUnit.SECONDS), "it must end");
        return process.exitValue();
    }

    /** What was started in the background of a script, or by nohup, ignores some signals, and so does every process that it starts. */
    static void assumeHeard(String signal) throws Exception {
        Path status = Path.of("/proc/self/status");
        int bit = switch (signal) {
            case "HUP" -> 0;
            case "INT" -> 1;
            default -> 14;
        };
        if (Files.exists(status)) {
            String ignored = Files.readAllLines(status).stream().filter(line -> line.startsWith("SigIgn:")).findFirst().orElse("SigIgn: 0");
            long mask = Long.parseUnsignedLong(ignored.substring("SigIgn:".length()).strip(), 16);
            assumeTrue((mask >>> bit & 1) == 0, "SIG" + signal + " is ignored here: the tests were started in the background");
        }
    }

    @ParameterizedTest
    @CsvSource({"INT,130", "TERM,143", "HUP,129"})
    void signalEndsCleanly(String signal, int exit) throws Exception {
        assumeHeard(signal);
        Path state = folder.resolve("saved.state");
        Process process = command("--ignore-eos", "--max-tokens", "100000000", "--save", state.toString(), "Once upon a time").start();
        try (InputStream out = process.getInputStream()) {
            CompletableFuture.delayedExecutor(SECONDS, TimeUnit.SECONDS).execute(process::destroyForcibly); // reading has no time limit
            byte[] first = out.readNBytes(40);
            new ProcessBuilder("kill", "-" + signal, Long.toString(process.pid())).start().waitFor();
            String text = new String(first, StandardCharsets.UTF_8) + new String(out.readAllBytes(), StandardCharsets.UTF_8);
            assertEquals(exit, end(process), this::errorsOrFailure);
            assertTrue(text.endsWith("\n"), text);
            assertTrue(Files.size(state) > 0);
        } finally {
            process.destroyForcibly();
        }
    }

    /** At the prompt the first Ctrl-C says how to leave; the second leaves, and the chat is saved. */
    @Test
    void chatEndsByTheSecondInterrupt() throws Exception {
        assumeHeard("INT");
        Path state = folder.resolve("saved.state");
        ProcessBuilder builder = command("chat", "--max-tokens", "3", "--save", state.toString());
        builder.environment().put(Terminal.TTY_VARIABLE, "02");
        Process process = builder.start();
        try {
            process.getOutputStream().write("Hello\n".getBytes(StandardCharsets.UTF_8));
            process.getOutputStream().flush();
            awaitError("you> ", 2);
            new ProcessBuilder("kill", "-INT", Long.toString(process.pid())).start().waitFor();
            awaitError("Ctrl-C again", 1);
            assertTrue(process.isAlive(), "the first one only tells");
            new ProcessBuilder("kill", "-INT", Long.toString(process.pid())).start().waitFor();
            assertEquals(130, end(process), this::errorsOrFailure);
            assertTrue(Files.size(state) > 0);
        } finally {
            process.destroyForcibly();
        }
    }

    /** Between replies and without a person, a signal saves the chat and ends it. */
    @ParameterizedTest
    @CsvSource({"INT,130", "TERM,143", "HUP,129"})
    void waitingChatIsSaved(String signal, int exit) throws Exception {
        Path state = folder.resolve("saved.state");
        Process process = command("chat", "--max-tokens", "3", "--stats", "--state", state.toString()).start();
        try {
            process.getOutputStream().write("Hello\n".getBytes(StandardCharsets.UTF_8));
            process.getOutputStream().flush();
            awaitError("generated", 1);
            new ProcessBuilder("kill", "-" + signal, Long.toString(process.pid())).start().waitFor();
            assertEquals(exit, end(process), this::errorsOrFailure);
            assertTrue(Files.size(state) > 0);
        } finally {
            process.destroyForcibly();
        }
    }

    /** A build replaces the jars of a chat that waits: what it needs next cannot be read, and one line says so. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void replacedProgramFilesAreExplained(boolean gone) throws Exception {
        Path classes = Path.of("target/classes");
        Path jar = folder.resolve("griffin-cli.jar");
        try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(jar)); Stream<Path> files = Files.walk(classes)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                out.putNextEntry(new ZipEntry(classes.relativize(file).toString().replace(File.separatorChar, '/')));
                Files.copy(file, out);
            }
        }
        String others = Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
                .filter(path -> !Path.of(path).endsWith(Path.of("cli", "target", "classes")))
                .collect(Collectors.joining(File.pathSeparator));
        Process process = commandOf(jar + File.pathSeparator + others, "chat", "--device", "cpu", "--max-tokens", "3").start();
        try {
            process.getOutputStream().write("/nothing\n".getBytes(StandardCharsets.UTF_8));
            process.getOutputStream().flush();
            awaitError("there is no command /nothing", 1);
            Files.write(jar, new byte[gone ? 0 : (int) Files.size(jar)]); // in place, under the JVM that has it open
            process.getOutputStream().write("Hello\n".getBytes(StandardCharsets.UTF_8));
            process.getOutputStream().flush();
            assertEquals(1, end(process), this::errorsOrFailure);
            assertEquals("griffin-run: the program's files changed while it ran: start it again",
                    errors().lines().filter(line -> !line.contains("incubator")).toList().getLast());
            assertFalse(errors().contains("\tat "), errors());
        } finally {
            process.destroyForcibly();
        }
    }

    private void awaitError(String text, int times) throws Exception {
        for (long end = System.nanoTime() + SECONDS * 1_000_000_000L; errors().split(Pattern.quote(text), -1).length <= times;) {
            assertTrue(System.nanoTime() < end, () -> "no " + text + " in: " + errorsOrFailure());
            Thread.sleep(20);
        }
    }

    private String errorsOrFailure() {
        try {
            return errors();
        } catch (Exception e) {
            return e.toString();
        }
    }

    @Test
    void readerThatLeavesEndsItQuietly() throws Exception {
        Process process = command("--device", "cpu", "--ignore-eos", "--max-tokens", "100000000", "Once upon a time").start();
        try {
            process.getInputStream().readNBytes(10);
            process.getInputStream().close();
            assertEquals(0, end(process), this::errorsOrFailure);
            assertEquals("", errors().lines().filter(line -> !line.contains("incubator")).toList().toString().replaceAll("[\\[\\]]", ""));
        } finally {
            process.destroyForcibly();
        }
    }

    @Test
    void utf8WhateverTheLocale() throws Exception {
        File input = Files.writeString(folder.resolve("in"), "/nö\n").toFile();
        Process process = command("chat", "--device", "cpu").redirectInput(input).start();
        assertEquals(0, end(process), this::errorsOrFailure);
        assertTrue(errors().contains("there is no command /nö"), errors());
    }

    /** What bash offers after each of these, called as bash calls it when TAB is pressed. */
    @Test
    void bashCompletes() throws Exception {
        File script = folder.resolve("completion").toFile();
        assertEquals(0, end(command("completion", "bash").redirectOutput(script).start()), this::errorsOrFailure);
        assertEquals("--device", completed(script, "--dev"));
        assertEquals("--device", completed(script, "a prompt", "--temperature", "0", "--dev"));
        assertEquals("chat", completed(script, "ch"));
        assertEquals("--temperature", completed(script, "chat", "--temp"));
        assertEquals("cpu cuda", completed(script, "--device", "c"));
        assertEquals("zsh", completed(script, "completion", "z"));
        assertEquals("chat", completed(script, "help", "ch"));
        assertEquals(String.join(" ", new HelpCommand.Commands()), completed(script, "help", ""));
    }

    private static String completed(File script, String... words) throws Exception {
        String program = """
                source "$1"; shift
                function_name=$(complete -p griffin-run) && function_name=${function_name##*-F } && function_name=${function_name%% *}
                COMP_WORDS=(griffin-run "$@"); COMP_CWORD=$#; COMP_LINE="${COMP_WORDS[*]}"; COMP_POINT=${#COMP_LINE}
                "$function_name" && for reply in "${COMPREPLY[@]}"; do echo "$reply"; done
                """;
        List<String> command = new ArrayList<>(List.of("bash", "--norc", "-c", program, "bash", script.toString()));
        command.addAll(Arrays.asList(words));
        Process bash = new ProcessBuilder(command).start();
        String replies = new String(bash.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        String said = new String(bash.getErrorStream().readAllBytes(), StandardCharsets.UTF_8);
        assertTrue(bash.waitFor(SECONDS, TimeUnit.SECONDS), "it must end");
        return replies.lines().map(String::strip).collect(Collectors.joining(" "))
                + said.lines().filter(line -> !line.contains("compopt: not currently executing")).collect(Collectors.joining());
    }
}
