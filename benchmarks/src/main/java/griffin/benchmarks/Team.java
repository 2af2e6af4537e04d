package griffin.benchmarks;

import java.util.Arrays;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.atomic.AtomicReference;

/** Threads that all start at once; the time is from the start of the first to the end of the last. */
final class Team {

    /** A thread's part of the work. */
    interface Part {
        void run(int thread);
    }

    private Team() {}

    /** Runs {@code part} on that many threads and returns the seconds it took. */
    static double seconds(int threads, Part part) {
        long[] start = new long[threads];
        long[] end = new long[threads];
        CyclicBarrier gate = new CyclicBarrier(threads);
        Thread[] team = new Thread[threads];
        AtomicReference<Throwable> failure = new AtomicReference<>();
        for (int i = 0; i < threads; i++) {
            int id = i;
            team[i] = new Thread(() -> {
                try {
                    gate.await();
                } catch (Exception e) {
                    throw new IllegalStateException(e);
                }
                start[id] = System.nanoTime();
                try {
                    part.run(id);
                } catch (Throwable e) {
                    failure.compareAndSet(null, e);
                }
                end[id] = System.nanoTime();
            });
            team[i].start();
        }
        try {
            for (Thread t : team) {
                t.join();
            }
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
        if (failure.get() != null) {
            throw new IllegalStateException("a part of the work failed, so there is no time to report: " + failure.get(), failure.get());
        }
        return (Arrays.stream(end).max().getAsLong() - Arrays.stream(start).min().getAsLong()) / 1e9;
    }

    /** The middle of some numbers, which it sorts. */
    static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        int half = sorted.length / 2;
        return sorted.length % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
    }
}
