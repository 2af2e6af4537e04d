package griffin.session;

import griffin.error.StateFormatException;
import griffin.io.FileErrors;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.function.Function;

/** A file with a snapshot, mapped: it is copied nowhere but into a slot. */
public final class SnapshotFile implements AutoCloseable {

    private final Path file;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment bytes;

    /** @throws StateFormatException when there is no such file, or none that could be a snapshot */
    public SnapshotFile(Path file) {
        this.file = file;
        try (FileChannel channel = open(file)) {
            if (channel.size() > Integer.MAX_VALUE) {
                throw new StateFormatException(
                        file + " is not a saved Griffin state: it has " + channel.size() + " bytes, and a state at most "
                                + Integer.MAX_VALUE + "; name another file");
            }
            bytes = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
        } catch (NoSuchFileException e) {
            arena.close();
            throw new StateFormatException("there is no state file " + file, e);
        } catch (IOException e) {
            arena.close();
            throw new UncheckedIOException(file + " cannot be read: " + FileErrors.reason(e), e);
        } catch (RuntimeException e) {
            arena.close();
            throw e;
        }
    }

    private static FileChannel open(Path file) throws IOException {
        if (Files.isDirectory(file)) {
            throw new StateFormatException(file + " is a folder, not a state file");
        }
        return FileChannel.open(file);
    }

    /**
     * What {@code reader} makes of the bytes.
     *
     * @throws StateFormatException when another program cuts the file short meanwhile
     */
    public <T> T read(Function<MemorySegment, T> reader) {
        try {
            return reader.apply(bytes);
        } catch (InternalError e) { // how Java reports a page of a mapped file that is gone
            throw new StateFormatException(file + " was changed while it was read: read it again", e);
        }
    }

    @Override
    public void close() {
        arena.close();
    }
}
