package griffin.session;

import griffin.error.StateFormatException;
import griffin.io.AtomicFile;
import griffin.io.FileErrors;
import griffin.model.GriffinConfig;
import griffin.model.ModelRunner;
import griffin.weights.WeightFiles;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.file.FileAlreadyExistsException;
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

    /** A sequence with no tokens, on one of the pool's reserved slots. */
    public Sequence createReserved() {
        return new Sequence(runner, pool, Sequence.Mark.START, pool.acquire(true));
    }

    /** The part of {@link #snapshot} that needs the device. */
    public StateSnapshot.Copy copy(Sequence sequence) {
        sequence.requireUsable();
        return StateSnapshot.copy(identity(), pool, sequence, sequence.mark(), runner.backend());
    }

    /** The same without a token that is not in the state yet, or was only sampled. */
    public StateSnapshot.Copy copyConsumed(Sequence sequence) {
        sequence.requireUsable();
        Sequence.Mark mark = new Sequence.Mark(sequence.consumed(), Sequence.NONE, Sequence.NONE, sequence.mark().tokenHash());
        return StateSnapshot.copy(identity(), pool, sequence, mark, runner.backend());
    }

    /** A snapshot that is whole and this model's, unpacked. */
    public static final class Checked {

        private final byte[] bytes;
        private final SnapshotHeader header;

        private Checked(byte[] bytes, SnapshotHeader header) {
            this.bytes = bytes;
            this.header = header;
        }

        public SnapshotHeader header() {
            return header;
        }

        /** Whether its last token waits to be read, so that the sequence can go on without being given another. */
        public boolean pending() {
            return header.pending() != Sequence.NONE;
        }
    }

    /**
     * The part of {@link #restore} that needs no device. From any thread.
     *
     * @param name what messages call the bytes
     * @throws StateFormatException when they are damaged or another model's
     */
    public Checked check(byte[] bytes, String name) {
        SnapshotHeader header = StateSnapshot.verify(MemorySegment.ofArray(bytes), name);
        header.requireModel(identity(), pool.states().layout(), name);
        return new Checked(StateSnapshot.repack(bytes, Packing.NONE), header);
    }

    /** A sequence from a snapshot that was checked, on one of the pool's reserved slots. */
    public Sequence restoreReserved(Checked checked) {
        return StateSnapshot.read(MemorySegment.ofArray(checked.bytes), "the snapshot", identity(), runner, pool, true);
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
        return StateSnapshot.read(bytes, name, identity(), runner, pool, false);
    }

    /** Writes a snapshot to {@code file}, which appears whole or stays as it was. From any thread. */
    public static void write(byte[] snapshot, Path file) {
        try (AtomicFile target = new AtomicFile(file)) {
            target.write(ByteBuffer.wrap(snapshot));
            target.commit();
        } catch (IOException e) {
            throw unwritten(file, e);
        }
    }

    /**
     * The same for a file that must not be there yet. Of several writers, in threads or processes, one succeeds.
     *
     * @return whether it was written; if not, the name is taken
     */
    public static boolean writeNew(byte[] snapshot, Path file) {
        try (AtomicFile target = new AtomicFile(file)) {
            target.write(ByteBuffer.wrap(snapshot));
            target.commitNew();
            return true;
        } catch (FileAlreadyExistsException e) {
            return false;
        } catch (IOException e) {
            throw unwritten(file, e);
        }
    }

    private static UncheckedIOException unwritten(Path file, IOException e) {
        return new UncheckedIOException("the state cannot be written to " + file + ": " + FileErrors.reason(e), e);
    }

    /** What {@code reader} makes of a file that {@link #write} wrote. From any thread. */
    public static <T> T read(Path file, Function<MemorySegment, T> reader) {
        try (SnapshotFile saved = new SnapshotFile(file)) {
            return saved.read(reader);
        }
    }

    /** The fingerprint of the model: SHA-256, 32 bytes. */
    public synchronized byte[] identity() {
        if (identity == null) {
            identity = ModelIdentity.of(config, files);
        }
        return identity;
    }
}
