package griffin.backend.cuda;

/**
 * The {@link Staging} of a backend: made ahead on a thread of its own, kept while weights are loaded, given back on a thread of its own. Used
 * by the thread that loads alone.
 */
final class Stagings implements AutoCloseable {

    private final CudaContext context;
    private final CudaMemory memory;
    private Aside<Staging> ahead;
    private Aside<Void> returned;
    private Staging current;

    /** Begins to make the first one. */
    Stagings(CudaContext context, CudaMemory memory) {
        this.context = context;
        this.memory = memory;
        ahead = new Aside<>(context, "griffin-pin", () -> new Staging(context, memory, Staging.PIECE));
    }

    /** Makes one ready whose buffers hold at least so many bytes. @return how many they hold */
    int prepare(int bytes) {
        if (current == null && ahead != null) {
            Aside<Staging> made = ahead;
            ahead = null;
            current = made.get();
        }
        if (current == null || current.size() < bytes) {
            release();
            settle();
            current = new Staging(context, memory, Math.max(bytes, Staging.PIECE));
        }
        return current.size();
    }

    /** As {@link Staging#copy}; when it fails, everything is given back. */
    void copy(Pieces.Piece piece) {
        try {
            current.copy(piece);
        } catch (Throwable e) {
            abandon(e);
            throw e;
        }
    }

    /** Waits until what was begun is on the device: before anything that uses weights. Fails as {@link #copy} does. */
    void finish() {
        if (current != null) {
            try {
                current.drain();
            } catch (Throwable e) {
                abandon(e);
                throw e;
            }
        }
    }

    /** {@link #finish}, then gives the buffers back; the next load takes others. */
    void release() {
        finish();
        if (current != null) {
            Staging last = current;
            current = null;
            try {
                last.stop();
                settle();
                returned = new Aside<>(context, "griffin-unpin", () -> {
                    last.giveBack();
                    return null;
                });
            } catch (Throwable e) {
                last.abandon(e);
                throw e;
            }
        }
    }

    private void abandon(Throwable because) {
        Staging last = current;
        current = null;
        last.abandon(because);
    }

    /** Waits for what is being given back. @throws griffin.error.DeviceException when that failed */
    private void settle() {
        Aside<Void> last = returned;
        returned = null;
        if (last != null) {
            last.get();
        }
    }

    /** Gives everything back. What was not finished is given up. */
    @Override
    public void close() {
        try {
            if (ahead != null && ahead.succeeded()) { // what failed has given back what it had, and nobody asked for it
                ahead.get().close();
            }
            if (current != null) {
                current.close();
            }
        } finally {
            ahead = null;
            current = null;
            settle();
        }
    }
}
