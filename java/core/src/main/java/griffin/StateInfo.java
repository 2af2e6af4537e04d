package griffin;

import griffin.error.StateFormatException;
import griffin.io.FileErrors;
import griffin.session.SnapshotFile;
import griffin.session.SnapshotHeader;
import griffin.session.StateSnapshot;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.HexFormat;

/**
 * What a saved state is, found without its model.
 *
 * @param version     of the format: 1 or 2
 * @param compression how it is stored
 * @param model       {@link Griffin#modelIdentity} of its model, in hexadecimal digits
 * @param shape       its model's state in words
 * @param tokens      of the session
 * @param bytes       of the saved state
 * @param plainBytes  of the same state in float32: {@code bytes} are fewer where numbers are bfloat16, or compressed
 * @param saved       when the file was written
 */
public record StateInfo(int version, StateCompression compression, String model, String shape, int tokens, long bytes, long plainBytes,
        Instant saved) {

    /**
     * Reads a whole file and checks it.
     *
     * @throws StateFormatException when it is missing, damaged or no state
     */
    public static StateInfo read(Path file) {
        return read(file, StateSnapshot::verify);
    }

    /** Reads no more than the beginning of a file; what follows may be damaged. */
    static StateInfo readHeader(Path file) {
        return read(file, StateSnapshot::header);
    }

    private interface Reader {
        SnapshotHeader read(MemorySegment bytes, String name);
    }

    private static StateInfo read(Path file, Reader reader) {
        try (SnapshotFile opened = new SnapshotFile(file)) {
            Instant saved = Files.getLastModifiedTime(file).toInstant();
            return opened.read(bytes -> of(reader.read(bytes, file.toString()), bytes.byteSize(), saved));
        } catch (IOException e) {
            throw new UncheckedIOException(file + " cannot be read: " + FileErrors.reason(e), e);
        }
    }

    /**
     * Checks a whole state.
     *
     * @param name what messages call it
     * @throws StateFormatException when it is damaged or no state
     */
    public static StateInfo of(byte[] snapshot, String name) {
        return of(snapshot, name, Instant.now());
    }

    /** The same of a state that was saved at another time. */
    public static StateInfo of(byte[] snapshot, String name, Instant saved) {
        return of(StateSnapshot.verify(MemorySegment.ofArray(snapshot), name), snapshot.length, saved);
    }

    private static StateInfo of(SnapshotHeader header, long bytes, Instant saved) {
        return new StateInfo(header.version(), StateCompression.of(header.packing()), HexFormat.of().formatHex(header.identity()),
                header.shape(), header.tokens(), bytes, header.plainBytes(), saved);
    }

    /** How many times smaller than in float32 it is. */
    public double ratio() {
        return (double) plainBytes / bytes;
    }
}
