package griffin.weights;

import griffin.error.ModelFormatException;
import griffin.json.Excerpt;

/** Names of files inside a model: checked here once, so that no source of files has to trust an index. */
final class FileNames {

    private static final int MAX_LENGTH = 1024;

    private FileNames() {}

    /** Returns the name if it stays inside the model's directory on every operating system. */
    static String checked(String name, String location) {
        if (!staysInside(name)) {
            throw new ModelFormatException(location + ": file name '" + Excerpt.of(name)
                    + "' is refused: expected a plain relative name inside the model directory");
        }
        return name;
    }

    /** Whether a name found beside a model is worth listing: classes and hidden files are not the model's. */
    static boolean ofModel(String name) {
        return !name.isEmpty() && !name.startsWith(".") && !name.endsWith(".class");
    }

    private static boolean staysInside(String name) {
        if (name.isEmpty() || name.length() > MAX_LENGTH) {
            return false;
        }
        for (String part : name.split("/", -1)) {
            if (part.isEmpty() || part.equals(".") || part.equals("..")) {
                return false;
            }
        }
        return name.chars().noneMatch(c -> c == '\\' || c == ':' || c < ' ' || Character.isSurrogate((char) c));
    }
}
