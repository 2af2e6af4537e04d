package griffin.io;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.NoSuchFileException;

/** What exceptions of files say to people: those of the JDK have only a path for a message, and the rest in the name of their type. */
public final class FileErrors {

    private FileErrors() {}

    /** Why it failed, as the end of a sentence that says what was tried. */
    public static String reason(IOException e) {
        return switch (e) {
            case NoSuchFileException missing -> missing.getFile() + " does not exist";
            case AccessDeniedException denied -> "no permission for " + denied.getFile();
            case FileAlreadyExistsException file -> file.getFile() + " is no folder";
            default -> e.getMessage() == null ? e.toString() : e.getMessage();
        };
    }
}
