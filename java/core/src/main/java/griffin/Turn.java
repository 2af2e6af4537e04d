package griffin;

import griffin.weights.ModelFiles;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

/** Whose turn it is to use a model's device: one thread's at a time, in the order of asking. */
final class Turn {

    private final ModelFiles files;
    private final ReentrantLock lock = new ReentrantLock(true);
    private boolean closed;
    /** Whether device steps are being run; guarded by the lock. */
    private boolean stepping;

    Turn(ModelFiles files) {
        this.files = files;
    }

    /** Runs with the device to oneself. */
    <T> T exclusively(Supplier<T> work) {
        lock.lock();
        try {
            if (closed) {
                throw new IllegalStateException("this model has been closed");
            }
            return work.get();
        } catch (InternalError e) {
            throw ChangedFile.explain(e, files);
        } finally {
            lock.unlock();
        }
    }

    /**
     * Runs device steps, {@link #exclusively}. The lock lets its own thread in again, and a step that a listener started would overwrite
     * the one that is calling it.
     */
    <T> T inSteps(Supplier<T> steps) {
        refuseInSteps();
        stepping = true;
        try {
            return steps.get();
        } finally {
            stepping = false;
        }
    }

    private void refuseInSteps() {
        if (stepping) {
            throw new IllegalStateException("a listener cannot generate, score or close the model that is calling it: do so when the call "
                    + "has returned, or cancel it first");
        }
    }

    /** Runs with the device to oneself, or not at all once the model is closed. */
    void exclusivelyIfOpen(Runnable work) {
        lock.lock();
        try {
            if (!closed) {
                work.run();
            }
        } finally {
            lock.unlock();
        }
    }

    /**
     * No more turns; {@code last} is run the first time.
     *
     * @throws IllegalStateException within {@link #inSteps}
     */
    void close(Runnable last) {
        lock.lock();
        try {
            refuseInSteps();
            if (!closed) {
                closed = true;
                last.run();
            }
        } finally {
            lock.unlock();
        }
    }
}
