package griffin.backend.cuda;

import java.util.concurrent.Callable;
import java.util.concurrent.FutureTask;

/** Work on a device by a thread of its own; its result or its failure comes to whoever asks for it. */
final class Aside<T> {

    private final FutureTask<T> task;
    private final Thread thread;

    /** Begins. */
    Aside(CudaContext context, String name, Callable<T> work) {
        task = new FutureTask<>(() -> {
            context.enter();
            return work.call();
        });
        thread = Thread.ofPlatform().daemon().name(name).start(task);
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
        while (thread.isAlive()) {
            try {
                thread.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
