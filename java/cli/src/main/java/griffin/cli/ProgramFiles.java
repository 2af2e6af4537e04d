package griffin.cli;

import java.io.File;
import java.util.ServiceConfigurationError;
import java.util.zip.ZipException;

/**
 * The files of this program, from which Java reads a class when it is first needed: where a build replaces them under a running command,
 * such a class is missing, or belongs to another build.
 */
final class ProgramFiles {

    static final String CHANGED = "the program's files changed while it ran: start it again";

    private static long start = System.currentTimeMillis();

    private ProgramFiles() {}

    /** What is written from now on is a change. Also loads this class, while it can be. */
    static void watch() {
        start = System.currentTimeMillis();
    }

    /** Whether that they changed is the reason of a failure. */
    static boolean explain(Throwable e) {
        for (Throwable cause = e; cause != null; cause = cause.getCause()) {
            if (cause instanceof LinkageError || cause instanceof ClassNotFoundException || cause instanceof ZipException
                    || cause instanceof ServiceConfigurationError || cause instanceof InternalError) {
                return changed();
            }
        }
        return false;
    }

    private static boolean changed() {
        for (String path : System.getProperty("java.class.path").split(File.pathSeparator)) {
            File file = new File(path);
            if (!file.exists() || file.isFile() && file.lastModified() > start) {
                return true;
            }
        }
        return false;
    }
}
