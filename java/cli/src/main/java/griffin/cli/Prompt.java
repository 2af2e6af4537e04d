package griffin.cli;

import griffin.error.InvalidRequestException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** Where the prompt comes from if not from the argument: ids, file or standard input. */
final class Prompt {

    @Option(names = "--ids", paramLabel = "IDS",
            description = "Token ids instead of text: 2,5,7 or @FILE, where integers stand separated by commas or white space. "
                    + "They are taken as they are (no BOS is added), and need no tokenizer.")
    String ids;

    @Option(names = {"-f", "--file"}, paramLabel = "FILE",
            description = "Read the prompt from a UTF-8 text file. One line end at the end of a file or of standard input is left out.")
    Path file;

    /** What was given. Exactly one of the two is set. */
    record Given(String text, int[] ids) {}

    /**
     * The prompt from the one place that has it.
     *
     * @param text    the argument, or null
     * @param resumed whether a saved session goes on, so that the prompt may be empty
     */
    Given read(Terminal terminal, String text, boolean resumed) {
        int sources = (text == null ? 0 : 1) + (ids == null ? 0 : 1) + (file == null ? 0 : 1);
        if (sources > 1) {
            throw new InvalidRequestException("the prompt must come from one place, and several were given: leave all but one of PROMPT"
                    + (ids == null ? "" : ", --ids") + (file == null ? "" : ", --file") + " out");
        }
        if (ids != null) {
            return new Given(null, Ids.parse(ids));
        }
        if (file != null) {
            return given(withoutLineEnd(Ids.text(file)), file + " is empty", resumed);
        }
        if (text != null && !text.equals("-")) {
            return given(text, "it is empty", resumed);
        }
        if (text == null && terminal.inTerminal()) {
            if (resumed) {
                return new Given("", null);
            }
            throw new InvalidRequestException("there is no prompt: griffin-run \"Once upon a time\", or griffin-run --help for more");
        }
        return given(withoutLineEnd(standardInput(terminal)), "none was given as an argument, and standard input is empty", resumed);
    }

    private static Given given(String text, String empty, boolean resumed) {
        if (text.isEmpty() && !resumed) {
            throw new InvalidRequestException(
                    "there is no prompt: " + empty + "; a text from nothing begins with --ids and the first id that "
                            + "griffin-run info tells");
        }
        return new Given(text, null);
    }

    private static String standardInput(Terminal terminal) {
        try {
            return Utf8.text(terminal.in().readAllBytes(), "standard input", 0);
        } catch (IOException e) {
            throw new UncheckedIOException("standard input cannot be read: " + e.getMessage(), e);
        }
    }

    private static String withoutLineEnd(String text) {
        int end = text.length();
        if (text.endsWith("\n")) {
            end -= text.endsWith("\r\n") ? 2 : 1;
        }
        return text.substring(0, end);
    }
}
