package griffin.weights;

import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.LongConsumer;
import java.util.stream.LongStream;

/**
 * The files of a model, read into memory of this process instead of mapped. That takes as much memory as the weights have and time to
 * open; in return the weights lie in large pages however the system keeps the files, and no other program can push them out.
 */
final class CopiedFiles implements ModelFiles {

    private static final long PIECE = 32L << 20;

    private final ModelFiles files;
    private final LongConsumer copied;
    private long total;

    /** @param copied told how many bytes have been copied altogether, from several threads but one at a time */
    CopiedFiles(ModelFiles files, LongConsumer copied) {
        this.files = files;
        this.copied = copied;
    }

    @Override
    public MemorySegment map(String name, Arena arena) {
        try (Arena source = Arena.ofShared()) {
            MemorySegment from = files.map(name, source);
            MemorySegment to = LargePages.allocate(from.byteSize(), arena);
            long pieces = (from.byteSize() + PIECE - 1) / PIECE;
            LongStream.range(0, pieces).parallel().forEach(piece -> {
                long at = piece * PIECE;
                long bytes = Math.min(PIECE, from.byteSize() - at);
                MemorySegment.copy(from, at, to, at, bytes);
                report(bytes);
            });
            return to.asReadOnly();
        }
    }

    private synchronized void report(long bytes) {
        total += bytes;
        copied.accept(total);
    }

    @Override
    public String location() {
        return files.location();
    }

    @Override
    public boolean exists(String name) {
        return files.exists(name);
    }

    @Override
    public String describe(String name) {
        return files.describe(name);
    }

    @Override
    public InputStream open(String name) {
        return files.open(name);
    }

    @Override
    public List<String> names() {
        return files.names();
    }
}
