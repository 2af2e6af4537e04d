package griffin.hub;

import griffin.error.HubException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.LongConsumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Fills the ranges that files lack, over a bounded number of connections. Ends all of them as soon as one fails for good. */
final class Transfer {

    /** A file cannot be gone on with as it is: what is there of it has to go. */
    static final class Fault extends RuntimeException {

        private static final long serialVersionUID = 1L;

        final transient HubFile file;
        /** The storage gives whole files only. */
        final boolean whole;

        Fault(HubFile file, boolean whole, String reason) {
            super(reason);
            this.file = file;
            this.whole = whole;
        }
    }

    private record Piece(PartialFile file, int range) {}

    private static final Pattern CONTENT_RANGE = Pattern.compile("bytes (\\d{1,18})-\\d{1,18}/(\\d{1,18}|\\*)");
    /**
     * A large page. Linux keeps what one call writes in pieces as large as that allows, and only a piece of this size, at a multiple of it
     * in the file, can be mapped as a large page when the model is read.
     */
    static final int BLOCK_BYTES = 2 << 20;

    private final Hub hub;
    private final Hub.Repository repository;
    private final AtomicBoolean failing;
    private final LongConsumer gained;
    private final Queue<Piece> queue = new ConcurrentLinkedQueue<>();
    private final AtomicReference<Throwable> failure = new AtomicReference<>();

    /**
     * @param failing set when a range fails for good; what {@code hub} asks to know whether to stop must include it
     * @param gained  called with bytes that came, negative where they have to come again
     */
    Transfer(Hub hub, Hub.Repository repository, AtomicBoolean failing, LongConsumer gained) {
        this.hub = hub;
        this.repository = repository;
        this.failing = failing;
        this.gained = gained;
    }

    /**
     * Returns when every range of the files is there.
     *
     * @throws Fault                 when one of the files has to begin anew
     * @throws CancellationException when the pull was stopped
     */
    void run(List<PartialFile> files, int connections) {
        for (PartialFile file : files) {
            for (int range = 0; range < file.ranges(); range++) {
                if (!file.isDone(range)) {
                    queue.add(new Piece(file, range));
                }
            }
        }
        List<Thread> threads = new ArrayList<>();
        for (int i = Math.min(connections, queue.size()); i > 0; i--) {
            threads.add(Thread.ofPlatform().daemon().name("griffin-pull-" + i).start(this::work));
        }
        join(threads);
        switch (failure.get()) {
            case null -> {}
            case RuntimeException e -> throw e;
            case Error e -> throw e;
            case Throwable e -> throw new IllegalStateException(e);
        }
    }

    private void join(List<Thread> threads) {
        boolean interrupted = false;
        for (Thread thread : threads) {
            while (thread.isAlive()) {
                try {
                    thread.join();
                } catch (InterruptedException e) {
                    interrupted = true;
                    fail(new CancellationException());
                }
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private void fail(Throwable e) {
        failure.compareAndSet(null, e);
        failing.set(true);
    }

    private void work() {
        byte[] buffer = new byte[BLOCK_BYTES];
        try {
            for (Piece piece; !failing.get() && (piece = queue.poll()) != null;) {
                PartialFile file = piece.file();
                int range = piece.range();
                Retries retries = hub.retries("fetching " + file.file.name());
                retries.run(() -> {
                    fill(file, range, retries, buffer);
                    return null;
                });
                file.finish(range);
            }
        } catch (Throwable e) {
            fail(e);
        }
    }

    private void fill(PartialFile file, int range, Retries retries, byte[] buffer) throws IOException {
        long from = file.start(range) + file.done(range);
        long to = file.start(range) + file.length(range);
        Answer answer = hub.open(repository, file.file, from, to, file.etag());
        try {
            if (isWhole(answer, file, from) && from > 0) {
                gained.accept(-file.done(range));
                file.restart(range);
            }
            while (!file.isDone(range)) {
                block(file, range, answer, retries, buffer);
            }
        } finally {
            hub.done(answer);
        }
    }

    /** Brings a range to the next multiple of a block, or to its end. What came before a failure is written, too. */
    private void block(PartialFile file, int range, Answer answer, Retries retries, byte[] buffer) throws IOException {
        long at = file.start(range) + file.done(range);
        long left = file.length(range) - file.done(range);
        int length = (int) Math.min(BLOCK_BYTES - at % BLOCK_BYTES, left);
        int filled = 0;
        try {
            while (filled < length) {
                int count = answer.read(buffer, filled, length - filled);
                if (count < 0) {
                    throw new IOException("the connection ended " + (left - filled) + " bytes too early");
                }
                filled += count;
                gained.accept(count);
                retries.gained();
            }
        } finally {
            file.write(range, ByteBuffer.wrap(buffer, 0, filled));
        }
    }

    /** Whether the answer begins with the file's first byte, as opposed to the one asked for; refuses any other answer. */
    private static boolean isWhole(Answer answer, PartialFile partial, long from) {
        HubFile file = partial.file;
        if (answer.status == 416) {
            throw new Fault(file, false, "the storage has less of it than the hub says");
        }
        if (!partial.accept(answer.header("etag").orElse(""))) {
            throw new Fault(file, false, "it changed at the storage since a part of it was fetched");
        }
        if (answer.status == 206) {
            Optional<Matcher> range = answer.header("content-range").map(CONTENT_RANGE::matcher).filter(Matcher::matches);
            if (range.isEmpty() || Long.parseLong(range.get().group(1)) != from) {
                throw new HubException(answer.where() + " was asked for " + file.name() + " from byte " + from + " on and answered with "
                        + "another part of it");
            }
            String size = range.get().group(2);
            if (!size.equals("*") && Long.parseLong(size) != file.bytes()) {
                throw new Fault(file, false, "it has " + size + " bytes at the storage, where the hub says " + file.bytes());
            }
            return false;
        }
        long length = answer.length().orElse(file.bytes());
        if (answer.status != 200 || length != file.bytes() || answer.kind().equals("text/html")) {
            throw new HubException(
                    answer.where() + " answered " + answer.status + " with " + (answer.length().isPresent() ? length + " bytes of "
                            : "") + answer.kind() + " where " + file.name() + " was expected, " + file.bytes() + " bytes");
        }
        if (partial.ranges() > 1) {
            throw new Fault(file, true, "the storage gives whole files only");
        }
        return true;
    }
}
