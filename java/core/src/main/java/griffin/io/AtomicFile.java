package griffin.io;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;

/**
 * A file that appears whole or not at all. The bytes go to a temporary file beside the target, which {@link #commit()} forces to disk and
 * moves over the target in one step; closing without a commit removes it and leaves an old target as it was.
 */
public final class AtomicFile implements AutoCloseable {

    private static final int MOST_NAMES = 1000;

    private final Path target;
    private final Path temporary;
    private final FileChannel channel;

    /** Starts a file. */
    public AtomicFile(Path target) throws IOException {
        this.target = target.toAbsolutePath();
        this.temporary = newTemporary(this.target);
        this.channel = FileChannel.open(temporary, StandardOpenOption.WRITE);
    }

    /** With the permissions of an ordinary new file, which a temporary file of the library's making would not have. */
    private static Path newTemporary(Path target) throws IOException {
        for (int i = 0;; i++) {
            try {
                String name = "." + target.getFileName() + "." + ProcessHandle.current().pid() + "-" + i + ".part";
                return Files.createFile(target.resolveSibling(name));
            } catch (FileAlreadyExistsException taken) {
                if (i == MOST_NAMES) {
                    throw taken;
                }
            }
        }
    }

    /** Appends all remaining bytes of the buffer. */
    public void write(ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }

    /** Puts the file in its place; nothing can be written afterwards. */
    public void commit() throws IOException {
        channel.force(true);
        channel.close();
        Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        syncDirectory();
    }

    /** So that the new name survives a power failure; not every system can open a directory, and there it is not needed. */
    private void syncDirectory() {
        try (FileChannel directory = FileChannel.open(target.getParent(), StandardOpenOption.READ)) {
            directory.force(true);
        } catch (IOException e) {
            return;
        }
    }

    /** Removes what was written unless {@link #commit()} completed. */
    @Override
    public void close() throws IOException {
        channel.close();
        Files.deleteIfExists(temporary);
    }
}
