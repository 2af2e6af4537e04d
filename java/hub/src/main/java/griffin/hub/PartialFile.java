package griffin.hub;

import griffin.error.HubException;
import griffin.io.FileErrors;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A file on its way: ranges that several threads fill side by side, a journal of what is there, and the hash of the part that is
 * there from the beginning on, which follows the ranges. Every failure of the disk is a {@link HubException}.
 */
final class PartialFile implements AutoCloseable {

    private static final int HASH_BUFFER_BYTES = 1 << 20;

    final HubFile file;
    private final Path path;
    private final DiskFile disk;
    private final RangeJournal journal;
    /** Bytes of each range that are written; {@link RangeJournal#done} is where they began. */
    private final long[] done;
    private final ReentrantLock hashing = new ReentrantLock();
    private final MessageDigest digest;
    private long hashed;

    /**
     * Goes on with what an earlier pull has left, or begins.
     *
     * @param path       the file itself
     * @param notes      the folder of journals
     * @param rangeBytes length of a range where it begins
     */
    PartialFile(Path path, Path notes, HubFile file, long rangeBytes, DiskFile.Opener opener) {
        this.file = file;
        this.path = path;
        Path note = notes.resolve(file.name());
        DiskFile opened = null;
        try {
            boolean there = Files.isRegularFile(path) && Files.isRegularFile(note);
            opened = opener.open(path);
            RangeJournal kept = RangeJournal.open(note, file, rangeBytes, !there);
            if (there && !isLongEnough(opened.size(), kept)) {
                kept.close();
                kept = RangeJournal.open(note, file, rangeBytes, true);
            }
            disk = opened;
            journal = kept;
            done = journal.done.clone();
        } catch (IOException e) {
            close(opened, e);
            throw failed(e);
        }
        digest = file.checksum().start(file.bytes());
    }

    /** Whether a file's length fits what its journal says is in it. */
    private boolean isLongEnough(long length, RangeJournal kept) {
        long end = 0;
        for (int range = 0; range < kept.done.length; range++) {
            end = kept.done[range] == 0 ? end : range * kept.rangeBytes + kept.done[range];
        }
        return length >= end && length <= file.bytes();
    }

    private static void close(DiskFile opened, IOException because) {
        try {
            if (opened != null) {
                opened.close();
            }
        } catch (IOException e) {
            because.addSuppressed(e);
        }
    }

    int ranges() {
        return done.length;
    }

    long start(int range) {
        return range * journal.rangeBytes;
    }

    long length(int range) {
        return journal.length(range, file.bytes());
    }

    /** Bytes of a range that are there. */
    synchronized long done(int range) {
        return done[range];
    }

    boolean isDone(int range) {
        return done(range) == length(range);
    }

    /** Bytes of all ranges that are there. */
    synchronized long done() {
        long sum = 0;
        for (long bytes : done) {
            sum += bytes;
        }
        return sum;
    }

    /** A range begins anew. */
    synchronized void restart(int range) {
        done[range] = 0;
    }

    /** What the storage calls the content; empty when it did not say. */
    String etag() {
        return journal.etag();
    }

    /** Takes the storage's name of the content, or returns false if the ranges so far have another. */
    boolean accept(String etag) {
        try {
            return journal.accept(etag);
        } catch (IOException e) {
            throw failed(e);
        }
    }

    /** Appends all remaining bytes to a range, of which one thread at a time is in charge. */
    void write(int range, ByteBuffer bytes) {
        int count = bytes.remaining();
        try {
            disk.write(bytes, start(range) + done(range));
        } catch (IOException e) {
            throw failed(e);
        }
        synchronized (this) {
            done[range] += count;
        }
    }

    /** A range is complete: it goes to the disk, then into the journal; and the hash moves on if no other thread moves it. */
    void finish(int range) {
        try {
            disk.force();
            journal.range(range, length(range));
        } catch (IOException e) {
            throw failed(e);
        }
        if (hashing.tryLock()) {
            try {
                hash();
            } finally {
                hashing.unlock();
            }
        }
    }

    /** Where the first range begins that is not complete, or the end of the file. */
    private synchronized long frontier() {
        int range = 0;
        while (range < done.length && done[range] == length(range)) {
            range++;
        }
        return range < done.length ? start(range) : file.bytes();
    }

    private void hash() {
        ByteBuffer buffer = ByteBuffer.allocate(HASH_BUFFER_BYTES);
        try {
            for (long end; hashed < (end = frontier());) {
                buffer.clear().limit((int) Math.min(buffer.capacity(), end - hashed));
                int count = disk.read(buffer, hashed);
                if (count <= 0) {
                    throw new IOException("it ended at byte " + hashed);
                }
                digest.update(buffer.flip());
                hashed += count;
            }
        } catch (IOException e) {
            throw failed(e);
        }
    }

    /** The hash of the complete file, which is then on the disk; may be asked once. */
    String checksum() {
        hashing.lock();
        try {
            hash();
            disk.force();
            return Checksum.end(digest);
        } catch (IOException e) {
            throw failed(e);
        } finally {
            hashing.unlock();
        }
    }

    private HubException failed(IOException e) {
        long free = 0;
        try {
            free = Files.getFileStore(path.getParent()).getUsableSpace();
        } catch (IOException none) {
            e.addSuppressed(none);
        }
        return new HubException(path + " cannot be written: " + FileErrors.reason(e) + " (" + file.bytes() + " bytes in all, " + free
                + " free): make room, then pull again; it goes on from what is there", e);
    }

    /** Writes down how far each range is, and closes; for a pull that ends before its end. */
    @Override
    public void close() {
        try (disk; journal) {
            for (int range = 0; range < done.length; range++) {
                if (!isDone(range) && done(range) != journal.done[range]) {
                    journal.range(range, done(range));
                }
            }
        } catch (IOException e) {
            throw failed(e);
        }
    }
}
