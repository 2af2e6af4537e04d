package griffin.hub;

import griffin.error.HubException;
import griffin.io.FileErrors;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Held by whoever changes a model's folder. The system gives it back when a process ends, however it ends. Its file stays: a lock on a
 * file that somebody else replaced would be no lock.
 */
final class ModelLock implements AutoCloseable {

    /** Behind the text, which others can then read also where locks keep readers out. */
    private static final long LOCKED_BYTE = Long.MAX_VALUE - 1;
    /** By this process: on some systems, opening and closing the file once more would give the lock back. */
    private static final Set<Path> HELD = ConcurrentHashMap.newKeySet();

    private final Path file;
    private final FileChannel channel;

    private ModelLock(Path file, FileChannel channel) {
        this.file = file;
        this.channel = channel;
    }

    /** @throws HubException when somebody else holds it */
    static ModelLock take(Path path, ModelName name) {
        Path file = path.toAbsolutePath().normalize();
        if (!HELD.add(file)) {
            throw held(name, Long.toString(ProcessHandle.current().pid()));
        }
        ModelLock taken = null;
        try {
            taken = lock(file, name);
            return taken;
        } catch (IOException e) {
            throw new HubException("the lock " + file + " cannot be taken: " + FileErrors.reason(e), e);
        } finally {
            if (taken == null) {
                HELD.remove(file);
            }
        }
    }

    private static ModelLock lock(Path file, ModelName name) throws IOException {
        Files.createDirectories(file.getParent());
        FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        boolean taken = false;
        try {
            if (channel.tryLock(LOCKED_BYTE, 1, false) == null) {
                throw held(name, Files.readString(file).strip());
            }
            channel.truncate(0).write(ByteBuffer.wrap((ProcessHandle.current().pid() + "\n").getBytes(StandardCharsets.US_ASCII)));
            taken = true;
            return new ModelLock(file, channel);
        } finally {
            if (!taken) {
                channel.close();
            }
        }
    }

    private static HubException held(ModelName name, String process) {
        return new HubException(name + " is being pulled or removed by process " + (process.matches("\\d{1,10}") ? process : "(unknown)")
                + ": wait until that has ended");
    }

    @Override
    public void close() {
        try {
            channel.close();
        } catch (IOException e) {
            throw new HubException("the lock " + file + " cannot be given back: " + FileErrors.reason(e), e);
        } finally {
            HELD.remove(file);
        }
    }
}
