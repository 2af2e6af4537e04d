package griffin.backend.cuda;

import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/** Work on a device by a thread of its own; its result or its failure comes to whoever asks for it. */
final class Aside<T> {

    private final FutureTask<T> task;

    /** Begins. */
    Aside(CudaContext context, String thread, Callable<T> work) {
        task = new FutureTask<>(() -> {
            context.enter();
            return work.call();
        });
        Thread.ofPlatform().daemon().name(thread).start(task);
    }

    /** Waits for its end. */
    boolean succeeded() {
        await();
        return task.state() == FutureTask.State.SUCCESS;
    }

    /** Waits for its end and throws what it threw. */
    T get() {
        await();
        if (task.state() == FutureTask.State.SUCCESS) {
            return task.resultNow();
        }
        switch (task.exceptionNow()) {
            case RuntimeException e -> throw e;
            case Error e -> throw e;
            case Throwable e -> throw new IllegalStateException(e); // work on a device throws no others
        }
    }

    private void await() {
        boolean interrupted = false;
        while (!task.isDone()) {
            try {
                task.get();
            } catch (InterruptedException e) {
                interrupted = true;
            } catch (ExecutionException e) {
                break; // get() throws it
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
