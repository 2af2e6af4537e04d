package griffin.cli;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.Griffin;
import griffin.Session;
import griffin.stories.GriffinStories;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The README's command lines are accepted, and what it says they print is what they print. */
class ReadmeLinesTest {

    /** A line of a code block, perhaps after a shell's prompt, or a span of code; placeholders in brackets are no command line. */
    private static final Pattern LINE = Pattern.compile("(?:^\\$? ?|[`(])\\.?/?griffin-run( [^`\\n]*)", Pattern.MULTILINE);
    private static final Pattern WORD = Pattern.compile("\"([^\"]*)\"|'([^']*)'|(\\S+)");

    private final String readme = read();

    private static String read() {
        try {
            return Files.readString(Path.of("../../README.md"));
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    /** The words up to a comment, a pipe or the end of a substitution. */
    private static String[] words(String line) {
        List<String> words = new ArrayList<>();
        for (Matcher word = WORD.matcher(line.replaceFirst("\\)$", "")); word.find();) {
            String plain = word.group(3);
            if (plain != null && plain.matches("[#|<>].*")) {
                break;
            }
            words.add(plain != null ? plain : word.group(1) != null ? word.group(1) : word.group(2));
        }
        return words.toArray(String[]::new);
    }

    @Test
    void everyCommandLineParses() {
        List<String> lines = LINE.matcher(readme).results().map(match -> match.group(1)).filter(line -> !line.contains("[")).toList();
        assertTrue(lines.size() >= 8, lines::toString);
        Terminal nowhere = new Terminal(null, null, null, false, false, false, Map.of(), null);
        for (String line : lines) {
            String[] words = words(line);
            assertDoesNotThrow(() -> Main.parse(Main.commandLine(nowhere), nowhere, words), line);
        }
        assertTrue(lines.stream().anyMatch(line -> line.contains("chat")), lines::toString);
    }

    @Test
    void theSampleIsWhatIsPrinted() {
        Matcher sample = Pattern.compile("^\\$ \\./griffin-run( .*)\n((?:[^`].*\n)+)```", Pattern.MULTILINE).matcher(readme);
        assertTrue(sample.find(), "the README shows a run");
        Cli.Result result = Cli.run(words(sample.group(1)));
        assertEquals(0, result.exit(), result::err);
        String warning = "WARNING: Using incubator modules: jdk.incubator.vector\n";
        assertEquals(sample.group(2), warning + result.err() + result.out());
    }

    /** The state commands, one after the other, print what the README shows; the time is another. */
    @Test
    void theStatesAreWhatIsPrinted(@TempDir Path folder) {
        Matcher block = Pattern.compile("## States\n\n```\n(.*?)```", Pattern.DOTALL).matcher(readme);
        assertTrue(block.find(), "the README shows states");
        List<String> expected = block.group(1).lines().toList();
        StringBuilder printed = new StringBuilder();
        for (String line : expected.stream().filter(line -> line.startsWith("$ ./griffin-run ")).toList()) {
            Cli cli = new Cli();
            cli.environment = Map.of("GRIFFIN_STATE_DIR", folder.resolve("states").toString());
            Cli.Result result = cli.launch(words(line.substring("$ ./griffin-run".length()).replace("story.state",
                    folder.resolve("story.state").toString())));
            assertEquals(0, result.exit(), result::err);
            printed.append(line).append('\n').append(result.err()).append(result.out());
        }
        assertEquals(withoutTimes(block.group(1)), withoutTimes(printed.toString()));
    }

    private static String withoutTimes(String text) {
        return text.replaceAll("20\\d\\d-\\d\\d-\\d\\d \\d\\d:\\d\\dZ", "TIME");
    }

    /** The README's way to the embedded model. */
    @Test
    void theEmbeddedModelOpens() {
        assertTrue(readme.contains("`Griffin.open(GriffinStories.files())`") && readme.contains("`griffin.stories.GriffinStories`"));
        try (Griffin griffin = Griffin.open(GriffinStories.files()); Session session = griffin.newSession()) {
            assertTrue(session.generate("Once").text().length() > 10);
        }
    }
}
