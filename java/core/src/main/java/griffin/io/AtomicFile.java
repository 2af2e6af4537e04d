package griffin.io;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.FileSystemLoopException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A file that appears whole or not at all. The bytes go to a temporary file beside the target, which {@link #commit()} forces to disk and
 * moves over the target in one step, or {@link #commitNew()} to a name that must be free; closing without a commit removes it and leaves an old target as it was.
 */
public final class AtomicFile implements AutoCloseable {

    /** Of the whole process: no two writers share a name, also of the same target and at the same time. */
    private static final AtomicLong NAMES = new AtomicLong();
    private static final int MOST_TRIES = 1000;
    private static final int MOST_LINKS = 40;

    private final Path target;
    private final Path temporary;
    private final FileChannel channel;
    private boolean committed;

    /**
     * Starts a file. If {@code target} is a symbolic link, the file it leads to is replaced and the link stays.
     *
     * @throws IOException when there can be no such file, such as at the root of a file system, or none can be written beside it
     */
    public AtomicFile(Path target) throws IOException {
        this.target = resolve(target.toAbsolutePath());
        if (this.target.getFileName() == null) {
            throw new FileSystemException(target.toString(), null, "this is a root folder: name a file in it");
        }
        if (!Files.isDirectory(this.target.getParent())) {
            throw new FileSystemException(target.toString(), null,
                    "the folder " + this.target.getParent() + " does not exist: make it, or name a file in another");
        }
        Path path = newName();
        for (int i = 0; Files.exists(path, LinkOption.NOFOLLOW_LINKS) && i < MOST_TRIES; i++) {
            path = newName(); // taken by a process of the same id that crashed, or runs on another machine
        }
        temporary = path;
        // With the permissions of an ordinary new file, which a temporary file of the library's making would not have.
        channel = FileChannel.open(temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    }

    private Path newName() {
        return target
                .resolveSibling("." + target.getFileName() + "." + ProcessHandle.current().pid() + "-" + NAMES.getAndIncrement() + ".part");
    }

    /** Follows links, also one that leads nowhere yet. */
    private static Path resolve(Path path) throws IOException {
        Path at = path;
        for (int i = 0; Files.isSymbolicLink(at); i++) {
            if (i == MOST_LINKS) {
                throw new FileSystemLoopException(path.toString());
            }
            at = at.resolveSibling(Files.readSymbolicLink(at)).normalize();
        }
        return at;
    }

    /** Appends all remaining bytes of the buffer. */
    public void write(ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }

    /** Puts the file in its place; nothing can be written afterwards. */
    public void commit() throws IOException {
        finish();
        replace();
    }

    /**
     * Puts the file in its place unless there is one of its name already. Of several writers, in threads or processes, one succeeds.
     *
     * @throws FileAlreadyExistsException when the name is taken
     */
    public void commitNew() throws IOException {
        finish();
        try {
            Files.createLink(target, temporary); // takes the name with the whole file behind it, which no move does
        } catch (FileAlreadyExistsException e) {
            throw e;
        } catch (UnsupportedOperationException | FileSystemException e) {
            commitReserved(); // hard links are not for every file system
            return;
        }
        committed = true;
        Files.delete(temporary);
        syncDirectory();
    }

    /** An empty file takes the name, for that moment also for others to see, and is replaced. */
    void commitReserved() throws IOException {
        finish();
        Files.createFile(target);
        try {
            replace();
        } catch (IOException e) {
            Files.deleteIfExists(target);
            throw e;
        }
    }

    private void finish() throws IOException {
        if (channel.isOpen()) {
            channel.force(true);
            channel.close();
        }
    }

    private void replace() throws IOException {
        Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        committed = true;
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

    /** Removes what was written unless {@link #commit()} or {@link #commitNew()} completed. */
    @Override
    public void close() throws IOException {
        channel.close();
        if (!committed) {
            Files.deleteIfExists(temporary);
        }
    }
}
