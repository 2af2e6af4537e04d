package griffin.hub;

import java.util.regex.Pattern;

/**
 * A file of a repository.
 *
 * @param name     its name; a plain one, without a folder
 * @param bytes    its size
 * @param checksum what its content hashes to
 */
record HubFile(String name, long bytes, Checksum checksum) {

    private static final Pattern PLAIN = Pattern.compile("[A-Za-z0-9_][A-Za-z0-9._-]{0,199}");

    /** Whether a name is one that a file of a model may have: no folder, nothing hidden. */
    static boolean isPlain(String name) {
        return PLAIN.matcher(name).matches();
    }
}
