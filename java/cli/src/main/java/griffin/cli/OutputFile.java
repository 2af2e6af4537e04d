package griffin.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** A file that a command writes at its end. */
final class OutputFile {

    private OutputFile() {}

    /**
     * Refuses at once what would fail after a long run.
     *
     * @param asked the option and its value, for the message
     */
    static void check(String asked, Path file) {
        Path folder = file.toAbsolutePath().getParent();
        if (folder != null && !Files.isDirectory(folder)) {
            String found = Files.exists(folder) ? folder + " is no folder" : "the folder " + folder + " does not exist";
            throw refused(asked + ": " + found + "; make it, or name a file in another");
        }
        if (Files.isDirectory(file)) {
            throw refused(asked + ": that is a folder; name a file");
        }
    }

    private static UncheckedIOException refused(String message) {
        return new UncheckedIOException(message, new IOException(message));
    }
}
