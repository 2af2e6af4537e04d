package griffin.weights;

import griffin.error.ModelFormatException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.function.LongConsumer;

/**
 * Where a model's files come from: a directory, or the resources of a jar. Names are relative and use {@code /}; a name that would
 * leave the place (absolute, {@code ..}) is refused with {@link ModelFormatException}, as it may come from a hostile index file.
 */
public interface ModelFiles {

    /** Where these files are, for messages. */
    String location();

    /** Whether a regular file of this name is here. */
    boolean exists(String name);

    /** The full path of a file, present or not, for messages. */
    String describe(String name);

    /**
     * Maps a whole file read-only, without copying it. The address need not be aligned: a file inside a jar starts anywhere.
     *
     * @param arena owns the mapping
     * @throws ModelFormatException if the file is missing or cannot be mapped
     */
    MemorySegment map(String name, Arena arena);

    /**
     * Opens a file for reading from its start.
     *
     * @throws ModelFormatException if the file is missing or cannot be read
     */
    InputStream open(String name);

    /** The names of the files here, sorted; files in subdirectories are left out. */
    List<String> names();

    /**
     * A model directory.
     *
     * @throws ModelFormatException if the directory is missing or is something else
     */
    static ModelFiles of(Path directory) {
        return DirectoryFiles.of(directory);
    }

    /**
     * Resources beside a class, in a directory of classes or in a jar whose entries are stored uncompressed.
     *
     * @param anchor a class of the same directory or jar
     * @param folder path below the package of the class; empty for the package itself
     * @throws ModelFormatException if the class was loaded from something else, or the jar cannot be mapped in place
     */
    static ModelFiles inJar(Class<?> anchor, String folder) {
        return JarFiles.beside(anchor, folder);
    }

    /**
     * The same files, but what is mapped is a copy in memory of this process, read when it is asked for.
     *
     * @param copied told how many bytes have been copied so far
     */
    default ModelFiles copied(LongConsumer copied) {
        return new CopiedFiles(this, copied);
    }
}
