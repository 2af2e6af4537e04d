package griffin.session;

import griffin.error.StateFormatException;
import griffin.io.AtomicFile;
import griffin.model.GriffinConfig;
import griffin.model.ModelRunner;
import griffin.weights.WeightFiles;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.function.Function;

/** The sequences of one model, and their way to bytes and files and back. Not thread-safe, but for the files. */
public final class States {

    private final ModelRunner runner;
    private final StatePool pool;
    private final GriffinConfig config;
    private final WeightFiles files;
    private byte[] identity;

    public States(ModelRunner runner, StatePool pool, GriffinConfig config, WeightFiles files) {
        this.runner = runner;
        this.pool = pool;
        this.config = config;
        this.files = files;
    }

    /** A sequence with no tokens. */
    public Sequence create() {
        return new Sequence(runner, pool);
    }

    /** The sequence as bytes, not packed. */
    public byte[] snapshot(Sequence sequence) {
        return snapshot(sequence, Packing.NONE);
    }

    /** The sequence as bytes, in the format of {@link StateSnapshot}. */
    public byte[] snapshot(Sequence sequence, Packing packing) {
        sequence.requireUsable();
        return StateSnapshot.write(identity(), pool, sequence, packing);
    }

    /**
     * A sequence from what {@link #snapshot} returned.
     *
     * @param name what messages call the bytes
     * @throws StateFormatException when they are damaged or another model's
     */
    public Sequence restore(byte[] bytes, String name) {
        return restore(MemorySegment.ofArray(bytes), name);
    }

    /** The same from any memory. */
    public Sequence restore(MemorySegment bytes, String name) {
        return StateSnapshot.read(bytes, name, identity(), runner, pool);
    }

    /** Writes a snapshot to {@code file}, which appears whole or stays as it was. From any thread. */
    public static void write(byte[] snapshot, Path file) {
        try (AtomicFile target = new AtomicFile(file)) {
            target.write(ByteBuffer.wrap(snapshot));
            target.commit();
        } catch (IOException e) {
            throw new UncheckedIOException("the state cannot be written to " + file + ": " + e, e);
        }
    }

    /** What {@code reader} makes of a file that {@link #write} wrote. From any thread. */
    public static <T> T read(Path file, Function<MemorySegment, T> reader) {
        try (SnapshotFile saved = new SnapshotFile(file)) {
            return saved.read(reader);
        }
    }

    /** The fingerprint of the model: SHA-256, 32 bytes. */
    public byte[] identity() {
        if (identity == null) {
            identity = ModelIdentity.of(config, files);
        }
        return identity;
    }
}
