package griffin.cli;

import griffin.Griffin;
import griffin.error.InvalidRequestException;
import griffin.io.FileErrors;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/** Token ids as people write them: {@code 2,5,7}, or {@code @FILE} with integers separated by commas or white space. */
final class Ids {

    private Ids() {}

    /**
     * @throws InvalidRequestException when something else than integers is there
     * @throws UncheckedIOException    when the file cannot be read
     */
    static int[] parse(String argument) {
        String text = argument.startsWith("@") ? text(Path.of(argument.substring(1))) : argument;
        return numbers(text, where(argument));
    }

    /** Refuses ids that the model does not have, by the name of what gave them. */
    static void check(int[] ids, String argument, Griffin griffin) {
        int vocabulary = griffin.config().vocabulary();
        for (int i = 0; i < ids.length; i++) {
            if (ids[i] < 0 || ids[i] >= vocabulary) {
                throw new InvalidRequestException(where(argument) + " must hold ids of the model's vocabulary, 0 to " + (vocabulary - 1)
                        + "; found " + ids[i] + " at index " + i);
            }
        }
    }

    private static String where(String argument) {
        return "--ids" + (argument.startsWith("@") ? " " + argument : "");
    }

    /** A file as UTF-8 text. */
    static String text(Path file) {
        try {
            return Utf8.text(Files.readAllBytes(file), file.toString(), 0);
        } catch (IOException e) {
            String why = !Files.exists(file) ? "there is no such file" : Files.isDirectory(file) ? "it is a folder" : FileErrors.reason(e);
            throw new UncheckedIOException(file + " cannot be read: " + why, e);
        }
    }

    private static int[] numbers(String text, String where) {
        int[] ids = new int[16];
        int count = 0;
        for (String word : text.split("[,\\s]+")) {
            if (word.isEmpty()) {
                continue;
            }
            if (count == ids.length) {
                ids = Arrays.copyOf(ids, 2 * count);
            }
            try {
                ids[count++] = Integer.parseInt(word);
            } catch (NumberFormatException e) {
                String shown = word.length() > 30 ? word.substring(0, 30) + "..." : word;
                throw new InvalidRequestException(
                        where + " must hold token ids, integers separated by commas or white space; found '" + shown + "'", e);
            }
        }
        if (count == 0) {
            throw new InvalidRequestException(where + " must hold token ids, and holds none");
        }
        return Arrays.copyOf(ids, count);
    }
}
