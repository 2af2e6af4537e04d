package griffin.backend.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Every piece of every loop is run once, whatever the threads are doing; errors come out as they were thrown. */
@Timeout(60)
class WorkersTest {

    private static final int MOST = 64;

    @Test
    void everyPieceOnce() {
        Random random = new Random(1);
        for (int size : new int[] {1, 2, 3, 8}) {
            try (Workers workers = new Workers(size)) {
                for (int loop = 0; loop < 5000; loop++) {
                    check(workers, random.nextInt(MOST + 1), loop);
                }
            }
        }
    }

    /** Threads that have parked are woken, and one that is about to park misses nothing. */
    @Test
    void pausesOfEveryLength() throws InterruptedException {
        Random random = new Random(2);
        try (Workers workers = new Workers(3)) {
            for (int loop = 0; loop < 1000; loop++) {
                check(workers, 1 + random.nextInt(8), loop);
                long pause = System.nanoTime() + random.nextInt(400_000);
                while (System.nanoTime() < pause) {
                    Thread.onSpinWait();
                }
                if (loop % 100 == 0) {
                    Thread.sleep(20);
                }
            }
        }
    }

    private static void check(Workers workers, int pieces, int loop) {
        AtomicIntegerArray runs = new AtomicIntegerArray(MOST + 1);
        workers.run(pieces, (index, scratch) -> runs.incrementAndGet(index));
        for (int i = 0; i <= MOST; i++) {
            assertEquals(i < pieces ? 1 : 0, runs.get(i), "piece " + i + " of " + pieces + " in loop " + loop);
        }
    }

    /** Also after a pause that is longer than they spin. */
    @Test
    void allThreadsWork() throws InterruptedException {
        try (Workers workers = new Workers(3)) {
            for (int round = 0; round < 3; round++) {
                Set<Thread> threads = ConcurrentHashMap.newKeySet();
                CountDownLatch met = new CountDownLatch(3);
                workers.run(3, (index, scratch) -> {
                    threads.add(Thread.currentThread());
                    met.countDown();
                    await(met);
                });
                assertEquals(3, threads.size());
                Thread.sleep(50);
            }
        }
    }

    private static void await(CountDownLatch latch) {
        try {
            assertTrue(latch.await(20, TimeUnit.SECONDS), "one of the threads does not work");
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    @Test
    void theFirstErrorComesOutAsItIs() {
        try (Workers workers = new Workers(3)) {
            for (Throwable thrown : new Throwable[] {new InternalError("a page is gone"), new IllegalArgumentException("wrong")}) {
                for (int failing : new int[] {0, 5, 9}) {
                    AtomicIntegerArray runs = new AtomicIntegerArray(10);
                    assertSame(thrown, assertThrows(Throwable.class, () -> workers.run(10, (index, scratch) -> {
                        runs.incrementAndGet(index);
                        if (index == failing) {
                            fail(thrown);
                        }
                    })));
                    for (int i = 0; i < 10; i++) {
                        assertEquals(1, runs.get(i), "the others are run");
                    }
                    check(workers, 10, failing);
                }
            }
            // Piece 1 fails only when piece 0 has: it is not the first.
            CountDownLatch first = new CountDownLatch(1);
            IllegalStateException expected = new IllegalStateException("first");
            assertSame(expected, assertThrows(Throwable.class, () -> workers.run(2, (index, scratch) -> {
                if (index == 0) {
                    first.countDown();
                    throw expected;
                }
                await(first);
                pause();
                throw new IllegalStateException("second");
            })));
        }
    }

    private static void fail(Throwable thrown) {
        if (thrown instanceof Error error) {
            throw error;
        }
        throw (RuntimeException) thrown;
    }

    private static void pause() {
        try {
            Thread.sleep(50);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    @Test
    void closingEndsTheThreads() throws InterruptedException {
        for (int pause : new int[] {0, 50}) { // while they spin, and while they are parked
            Set<Thread> threads = ConcurrentHashMap.newKeySet();
            try (Workers workers = new Workers(3)) {
                CountDownLatch met = new CountDownLatch(3);
                workers.run(3, (index, scratch) -> {
                    threads.add(Thread.currentThread());
                    met.countDown();
                    await(met);
                });
                Thread.sleep(pause);
            }
            threads.remove(Thread.currentThread());
            for (Thread thread : threads) {
                thread.join(20_000);
                assertFalse(thread.isAlive(), thread.getName());
            }
        }
    }
}
