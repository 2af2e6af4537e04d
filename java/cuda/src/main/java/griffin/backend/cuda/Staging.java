package griffin.backend.cuda;

import griffin.bindings.cuda.Cuda;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * Pinned buffers between mapped files and the device. Reading the page cache is the slow half (a core manages about a tenth of what the bus
 * takes), so many readers work side by side, and each brings its pieces all the way: it waits until one of its buffers is free, fills it,
 * issues the copy and whatever converts it. The thread that loads only names the pieces, so that the bus never waits for it. Buffers are
 * small and few, because pinning memory costs more than a tenth of a second a gigabyte, and pinned at once, because each call costs a
 * millisecond.
 */
final class Staging implements AutoCloseable {

    /** Bytes of a buffer that is large enough for nearly everything. */
    static final int PIECE = 2 << 20;
    private static final int MOST_READERS = 16;
    /** One is filled while the other is on the bus. */
    private static final int BUFFERS_EACH = 2;
    /** More than one, so that conversions and the gaps between copies of one stream do not hold up the bus. */
    private static final int STREAMS = 4;
    private static final int WAITING_EACH = 4;
    private static final int ALIGNMENT = 256;

    private final CudaContext context;
    private final CudaMemory memory;
    private final int size;
    private final Pieces pieces;
    private final List<MemorySegment> streams = new ArrayList<>();
    private final List<MemorySegment> events = new ArrayList<>();
    private final List<Thread> readers = new ArrayList<>();
    private final int readerCount = Math.clamp(Runtime.getRuntime().availableProcessors(), 1, MOST_READERS);
    private MemorySegment pinned;
    /** Device memory for what is to be converted, a buffer for each reader; made when something is. */
    private long raw;
    private boolean copying;

    /** @param bytes that each buffer holds at least */
    Staging(CudaContext context, CudaMemory memory, int bytes) {
        this.context = context;
        this.memory = memory;
        size = Math.ceilDiv(bytes, ALIGNMENT) * ALIGNMENT;
        pieces = new Pieces(WAITING_EACH * readerCount);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            pinned = memory.pinUnfilled((long) readerCount * BUFFERS_EACH * size);
            for (int i = 0; i < Math.min(STREAMS, readerCount); i++) {
                CudaErrors.check(Cuda.cuStreamCreate(out, Cuda.CU_STREAM_NON_BLOCKING()), "cuStreamCreate");
                streams.add(out.get(ValueLayout.ADDRESS, 0));
            }
            for (int i = 0; i < readerCount * BUFFERS_EACH; i++) {
                CudaErrors.check(Cuda.cuEventCreate(out, Cuda.CU_EVENT_DISABLE_TIMING()), "cuEventCreate");
                events.add(out.get(ValueLayout.ADDRESS, 0));
            }
            link();
            for (int i = 0; i < readerCount; i++) {
                Thread thread = Thread.ofPlatform().daemon().name("griffin-load-" + i).unstarted(new Reader(i));
                thread.start();
                readers.add(thread);
            }
        } catch (Throwable e) {
            abandon(e);
            throw e;
        }
    }

    /** A driver's function is linked when it is first used, which takes a millisecond or more and all readers would wait for. */
    private static void link() {
        Cuda.cuEventSynchronize$handle();
        Cuda.cuMemcpyHtoDAsync_v2$handle();
        Cuda.cuLaunchKernelEx$handle();
        Cuda.cuEventRecord$handle();
    }

    int size() {
        return size;
    }

    /**
     * Begins to bring a piece to the device. A failure of an earlier one comes out here, too: as an {@link InternalError} where a page of
     * the source is gone, as a {@link griffin.error.GriffinException} otherwise.
     *
     * @param piece whose source lives until {@link #drain}
     */
    void copy(Pieces.Piece piece) {
        if (piece.conversion() != null && raw == 0) {
            raw = memory.allocateUnfilled((long) readerCount * size, "loading");
        }
        copying = true;
        pieces.put(piece);
    }

    /**
     * Waits until all that was begun is on the device; from then on the sources are not read any more. Fails as {@link #copy} does. Not
     * done between tensors: readers would stand idle.
     */
    void drain() {
        if (copying) {
            pieces.awaitIssued();
            synchronize();
            copying = false;
        }
    }

    private void synchronize() {
        for (MemorySegment stream : streams) {
            CudaErrors.check(Cuda.cuStreamSynchronize(stream), "loading weights");
        }
    }

    /** Brings pieces through buffers of its own, on a stream that keeps their order. */
    private final class Reader implements Runnable {

        private final int number;
        private final MemorySegment stream;
        private int turn;

        Reader(int number) {
            this.number = number;
            stream = streams.get(number % streams.size());
        }

        @Override
        public void run() {
            try {
                context.enter();
                for (Pieces.Piece piece = pieces.take(); piece != null; piece = pieces.take()) {
                    bring(piece);
                    pieces.issued();
                }
            } catch (Throwable e) {
                pieces.fail(e);
            }
        }

        private void bring(Pieces.Piece piece) {
            turn = (turn + 1) % BUFFERS_EACH;
            int buffer = number * BUFFERS_EACH + turn;
            MemorySegment copied = events.get(buffer);
            CudaErrors.check(Cuda.cuEventSynchronize(copied), "cuEventSynchronize while weights are loaded");
            long bytes = piece.from().byteSize();
            MemorySegment filled = pinned.asSlice((long) buffer * size, bytes).copyFrom(piece.from());
            boolean plain = piece.conversion() == null;
            long own = raw + (long) number * size;
            CudaErrors.check(Cuda.cuMemcpyHtoDAsync_v2(plain ? piece.to() : own, filled, bytes, stream), "cuMemcpyHtoDAsync of a weight");
            if (!plain) {
                piece.conversion().issue(own, piece.to(), stream); // the next copy to it is behind this on the stream
            }
            CudaErrors.check(Cuda.cuEventRecord(copied, stream), "cuEventRecord");
        }
    }

    /** Ends the readers and waits for what they issued. Pieces that none has taken yet are given up. */
    void stop() {
        pieces.end();
        joinReaders();
        long converted = raw;
        raw = 0;
        try {
            synchronize();
        } catch (Throwable e) {
            freeConverted(converted, e);
            throw e;
        }
        freeConverted(converted, null);
    }

    /** @param because what has failed already, to which a failure is added; or null */
    private void freeConverted(long converted, Throwable because) {
        try {
            if (converted != 0) {
                memory.free(converted);
            }
        } catch (Throwable e) {
            if (because == null) {
                throw e;
            }
            because.addSuppressed(e);
        }
    }

    private void joinReaders() {
        boolean interrupted = false;
        while (!readers.isEmpty()) {
            try {
                readers.getLast().join();
                readers.removeLast();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** Gives back what a stopped one still has: some milliseconds, which nobody need wait for. */
    void giveBack() {
        MemorySegment last = pinned;
        pinned = null;
        events.forEach(Cuda::cuEventDestroy_v2);
        events.clear();
        streams.forEach(Cuda::cuStreamDestroy_v2);
        streams.clear();
        if (last != null) {
            memory.unpin(last);
        }
    }

    /** Stops and gives everything back, also when reading or copying failed. */
    @Override
    public void close() {
        try {
            stop();
        } finally {
            giveBack();
        }
    }

    /** Closes it because of a failure, to which further ones are added. */
    void abandon(Throwable because) {
        try {
            close();
        } catch (Throwable e) {
            because.addSuppressed(e);
        }
    }
}
