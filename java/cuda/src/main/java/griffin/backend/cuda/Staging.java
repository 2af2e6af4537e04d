package griffin.backend.cuda;

import griffin.bindings.cuda.Cuda;
import griffin.error.DeviceException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Pinned buffers between mapped files and the device. Reading the page cache is the slow half (a core manages about a tenth of what the bus
 * takes), so many threads read the next buffers while the device copies the last ones. Buffers are small and many, because pinning memory
 * costs more than a tenth of a second a gigabyte, and pinned at once, because each call costs a millisecond. 2B on an H200 machine: 8
 * buffers of 4 MiB 0.225 to 0.241 s, 24 of 2 MiB 0.192 to 0.203 s, 12 of 8 MiB 0.282 s.
 */
final class Staging implements AutoCloseable {

    static final int BUFFERS = 24;
    private static final int MOST_READERS = 16;
    private static final int PIECE = 1 << 20;
    private static final int READ_AHEAD = BUFFERS - 6;

    private record Filling(int buffer, List<Future<?>> reads, long bytes, long to, Runnable then) {}

    private final CudaContext context;
    private final CudaMemory memory;
    private final int size;
    private final MemorySegment pinned;
    private final MemorySegment[] copied = new MemorySegment[BUFFERS];
    private final ArrayDeque<Filling> filling = new ArrayDeque<>();
    private final ExecutorService readers;
    private int turn;

    /** @param bytes of each buffer */
    Staging(CudaContext context, CudaMemory memory, int bytes) {
        this.context = context;
        this.memory = memory;
        size = bytes;
        pinned = memory.pinUnfilled((long) BUFFERS * bytes);
        for (int i = 0; i < BUFFERS; i++) {
            MemorySegment event = context.arena.allocate(ValueLayout.ADDRESS);
            CudaErrors.check(Cuda.cuEventCreate(event, Cuda.CU_EVENT_DISABLE_TIMING()), "cuEventCreate");
            copied[i] = event.get(ValueLayout.ADDRESS, 0);
        }
        readers = Executors.newFixedThreadPool(Math.clamp(Runtime.getRuntime().availableProcessors(), 1, MOST_READERS),
                Thread.ofPlatform().daemon().name("griffin-load-", 0).factory());
    }

    int size() {
        return size;
    }

    /**
     * Begins to bring at most {@link #size} bytes to the device.
     *
     * @param then what to issue right behind the copy
     */
    void copy(MemorySegment from, long to, Runnable then) {
        turn = (turn + 1) % BUFFERS;
        CudaErrors.check(Cuda.cuEventSynchronize(copied[turn]), "cuEventSynchronize while weights are loaded");
        filling.add(new Filling(turn, read(from, buffer(turn)), from.byteSize(), to, then));
        while (filling.size() > READ_AHEAD) {
            issue(filling.remove());
        }
    }

    private MemorySegment buffer(int i) {
        return pinned.asSlice((long) i * size, size);
    }

    private List<Future<?>> read(MemorySegment from, MemorySegment into) {
        List<Future<?>> reads = new ArrayList<>();
        if (from.byteSize() <= PIECE) {
            MemorySegment.copy(from, 0, into, 0, from.byteSize());
            return reads;
        }
        for (long at = 0; at < from.byteSize(); at += PIECE) {
            long start = at;
            reads.add(readers.submit(() -> MemorySegment.copy(from, start, into, start, Math.min(PIECE, from.byteSize() - start))));
        }
        return reads;
    }

    private void issue(Filling f) {
        f.reads.forEach(Staging::await);
        CudaErrors.check(Cuda.cuMemcpyHtoDAsync_v2(f.to, buffer(f.buffer), f.bytes, context.stream), "cuMemcpyHtoDAsync of a weight");
        CudaErrors.check(Cuda.cuEventRecord(copied[f.buffer], context.stream), "cuEventRecord");
        f.then.run();
    }

    private static void await(Future<?> read) {
        boolean interrupted = false;
        while (true) {
            try {
                read.get();
                break;
            } catch (InterruptedException e) {
                interrupted = true;
            } catch (ExecutionException e) {
                if (e.getCause() instanceof InternalError gone) {
                    throw gone; // a page that is not there any more: who knows the file explains it
                }
                throw new DeviceException("reading weights failed: " + e.getCause(), e.getCause());
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** Issues what has begun; from then on the sources are not read any more. Not done between tensors: readers would stand idle. */
    void drain() {
        while (!filling.isEmpty()) {
            issue(filling.remove());
        }
    }

    /** Waits for what was begun and gives everything back, also when reading or copying failed. */
    @Override
    public void close() {
        readers.close(); // first: they write to pinned memory
        try {
            context.synchronize("loading weights");
        } finally {
            memory.unpin(pinned);
            for (MemorySegment event : copied) {
                Cuda.cuEventDestroy_v2(event);
            }
        }
    }
}
