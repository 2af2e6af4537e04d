package griffin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/**
 * What the two launchers must have in common, read from their texts: {@code griffin-run.cmd} runs on Windows alone, where no test of this
 * project runs.
 */
class LaunchersAgreeTest {

    private final String posix = read("griffin-run").replace("\\\n", " ");
    private final String windows = read("griffin-run.cmd").replace("^\n", " ");

    private static String read(String name) {
        try {
            return Files.readString(Path.of("../..", name)).replace("\r\n", "\n");
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static List<String> all(String text, String regex) {
        return Pattern.compile(regex, Pattern.MULTILINE).matcher(text).results().map(MatchResult::group).toList();
    }

    private static String line(String text, String part) {
        List<String> lines = text.lines().filter(line -> line.contains(part)).toList();
        assertEquals(1, lines.size(), "lines with " + part + ": " + lines);
        return lines.getFirst();
    }

    /** Options of a command line, in its order. */
    private static List<String> options(String line) {
        return all(line, "(?<=\\s)-[-\\w][^\\s\"]*( jdk\\.incubator\\.vector| java/cli)?");
    }

    @Test
    void theJvmGetsTheSameOptions() {
        List<String> options = options(line(posix, "griffin.cli.Main \"$@\""));
        assertEquals(List.of("--add-modules jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "-cp"), options);
        assertEquals(options, options(line(windows, "griffin.cli.Main %*")));
        assertEquals("-XX:+UseSerialGC", all(line(posix, "collector=-"), "-XX\\S+").getFirst());
        assertEquals("-XX:+UseSerialGC", all(line(windows, "\"COLLECTOR=-"), "-XX[^\"\\s]+").getFirst());
        // Large pages are for Linux alone, the user's options the last word.
        assertTrue(posix.indexOf("$collector $pages ${GRIFFIN_JAVA_OPTS-}") > 0);
        assertTrue(windows.indexOf("%COLLECTOR% %GRIFFIN_JAVA_OPTS%") > 0);
    }

    @Test
    void mavenGetsTheSameOptions() {
        List<String> options = options(line(posix, "-Dgriffin.skipChecks"));
        assertTrue(options.contains("-pl java/cli") && options.contains("-Dmaven.test.skip=true"), options::toString);
        assertEquals(options, options(line(windows, "-Dgriffin.skipChecks")));
        assertEquals(options(" " + all(posix, "--sun-misc[^']*").getFirst()), options(" " + all(windows, "--sun-misc[^%]*").getFirst()));
    }

    @Test
    void theSameJdkAndTheSameModules() {
        String modules = "java/core java/stories java/cuda java/hub java/server java/cli bindings cuda-kernels";
        assertEquals(List.of("needed=25"), all(posix, "^needed=\\d+$"));
        assertEquals(List.of("if %MAJOR% LSS 25"), all(windows, "if %MAJOR% \\w+ \\d+"));
        assertTrue(posix.contains("modules='" + modules + "'"));
        assertEquals(Set.of(modules.replace('/', '\\')), all(windows, "(?<=%%M in \\()[^)]*").stream().collect(Collectors.toSet()));
    }

    /** Each message with the exit code that follows it. */
    @Test
    void theSameWordsAndExitCodes() {
        String posixWords = posix.replace("$needed", "25");
        for (String words : List.of("2 needs a JDK 25 or newer; found ", "2 needs Maven 3.8 or newer to build because ",
                "1 the build failed, for the reason above.")) {
            int code = words.charAt(0) - '0';
            String text = words.substring(2);
            assertTrue(Pattern.compile("fail " + code + "\\s+['\"]" + Pattern.quote(text)).matcher(posixWords).find(), text);
            assertTrue(Pattern.compile("echo griffin-run: " + Pattern.quote(text) + ".*\\nexit /b " + code + "\\n").matcher(windows).find(),
                    text);
        }
        for (String text : List.of("griffin-run: building, because ", "griffin-run: waiting for ", " without a compiler in ",
                "or set JAVA_HOME to one.", "found no mvn on PATH", "install it")) {
            assertTrue(posix.contains(text) && windows.contains(text), text);
        }
        assertEquals(Set.of("JAVA_HOME", "GRIFFIN_JAVA_OPTS", "GRIFFIN_JVM_DIRS"),
                Set.copyOf(all(line(windows, "rem Settings:"), "\\b[A-Z]+_[A-Z_]+")));
        assertEquals(line(posix, "Exit codes of the launcher").replace("# ", ""),
                line(windows, "Exit codes of the launcher").replace("rem ", ""));
    }

    /** cmd.exe has no syntax check; a label that is missing ends the script. */
    @Test
    void everyLabelOfTheWindowsLauncherExists() {
        Set<String> used = new TreeSet<>(all(windows, "(?<=(goto|call) :)\\w+"));
        assertEquals(used, new TreeSet<>(all(windows, "(?<=^:)\\w+")));
        assertTrue(used.containsAll(List.of("try", "stale", "start")), used::toString);
        for (String line : windows.lines().toList()) {
            assertEquals(0, line.chars().filter(c -> c == '"').count() % 2, "quotes are paired: " + line);
        }
    }
}
