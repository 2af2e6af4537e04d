package griffin.session;

import griffin.error.StateFormatException;
import griffin.io.AtomicFile;
import griffin.model.GriffinConfig;
import griffin.model.ModelRunner;
import griffin.weights.WeightFiles;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

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

    /** The sequence as bytes, in the format of {@link StateSnapshot}. */
    public byte[] snapshot(Sequence sequence) {
        sequence.requireUsable();
        return StateSnapshot.write(identity(), pool, sequence, runner.backend());
    }

    /**
     * A sequence from what {@link #snapshot} returned.
     *
     * @param name what messages call the bytes
     * @throws StateFormatException when they are damaged or another model's
     */
    public Sequence restore(byte[] bytes, String name) {
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

    /** Reads what {@link #write} wrote, to be restored. From any thread. */
    public byte[] read(Path file) {
        long most = StateSnapshot.HEADER_BYTES + pool.states().layout().bytes() + 4;
        try {
            long size = Files.size(file);
            if (size > most) {
                throw new StateFormatException(
                        file + " is no state of this model: it has " + size + " bytes, and a state at most " + most
                                + "; name another file");
            }
            return Files.readAllBytes(file);
        } catch (NoSuchFileException e) {
            throw new StateFormatException("there is no state file " + file, e);
        } catch (IOException e) {
            throw new UncheckedIOException(file + " cannot be read: " + e, e);
        }
    }

    private byte[] identity() {
        if (identity == null) {
            identity = ModelIdentity.of(config, files);
        }
        return identity;
    }
}
