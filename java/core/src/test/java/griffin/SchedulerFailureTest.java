package griffin;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.Backend;
import griffin.error.DeviceException;
import griffin.error.GriffinException;
import griffin.error.InvalidRequestException;
import griffin.error.ModelFormatException;
import griffin.error.StateFormatException;
import griffin.sampling.SamplingParams;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** A device that fails: who fails with it, and that everything else goes on. */
@Timeout(120)
@ExtendWith(Seed.class)
class SchedulerFailureTest {

    private static final DeviceException FAULT = new DeviceException("the device failed");
    private static final GenerationOptions GREEDY =
            GenerationOptions.DEFAULT.withSampling(SamplingParams.GREEDY).withIgnoreEos(true).withMaxTokens(20);
    private static final GenerationListener SILENT = new GenerationListener() {};

    @TempDir
    private Path folder;
    private Griffin griffin;
    private volatile String failing = "";
    private volatile int callsBefore;

    @BeforeEach
    void open() {
        ByteModel.write(folder);
        griffin = ByteModel.open(folder, cpu -> (Backend) Proxy.newProxyInstance(Backend.class.getClassLoader(),
                new Class<?>[] {Backend.class}, (proxy, method, arguments) -> {
                    if (method.getName().equals(failing) && callsBefore-- == 0) {
                        throw FAULT;
                    }
                    try {
                        return method.invoke(cpu, arguments);
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                }));
    }

    @AfterEach
    void close() {
        griffin.close();
    }

    private void failAt(String method, int calls) {
        callsBefore = calls;
        failing = method;
    }

    private List<Integer> alone(int... ids) {
        try (Session session = griffin.newSession()) {
            return session.generate(ids, GREEDY, SILENT).ids();
        }
    }

    private static Throwable failure(Completion completion) {
        return assertThrows(GriffinException.class, completion::result);
    }

    @Test
    void aFailedStepFailsThoseOfThatStep() throws InterruptedException {
        List<Integer> expected = alone(2, 9);
        try (Scheduler scheduler = Scheduler.builder(griffin).parallel(3).listener((requests, rows, decoding) -> {
            if (decoding == 2) {
                failAt("run", 0);
            }
        }).start()) {
            for (int round = 0; round < 5; round++) {
                Completion before = scheduler.submit(Job.of(new int[] {2, 9}, GREEDY));
                assertEquals(expected, before.result().ids());
                List<Completion> all = new ArrayList<>();
                for (int i = 0; i < 2; i++) {
                    all.add(scheduler.submit(Job.of(new int[] {2, 9}, GREEDY.withMaxTokens(Integer.MAX_VALUE))));
                }
                for (Completion one : all) {
                    if (failure(one) != FAULT) {
                        throw new AssertionError("another failure", failure(one));
                    }
                    assertTrue(one.state().isEmpty());
                }
            }
            assertEquals(10, scheduler.statistics().failed());
            assertEquals(expected, scheduler.submit(Job.of(new int[] {2, 9}, GREEDY)).result().ids(), "the scheduler lives on");
        }
        assertEquals(griffin.sessions(), griffin.pool().free());
    }

    /** Every call of the device fails once, somewhere in a random schedule: no request hangs, no slot is lost, all others are right. */
    @Test
    void anythingMayFail() throws InterruptedException {
        List<Integer> expected = alone(2, 9, 31);
        Random random = Seed.random("faults");
        int failed = 0;
        try (Scheduler scheduler =
                Scheduler.builder(griffin).parallel(4).prefixes(new MapStore()).leastCached(2).cacheInterval(2).start()) {
            for (String method : List.of("submit", "run", "await", "clearSlot", "exportSlot", "importSlot", "read", "write")) {
                for (int round = 0; round < 20; round++) {
                    List<Completion> all = new ArrayList<>();
                    failAt(method, random.nextInt(20));
                    for (int i = 0; i < 6; i++) {
                        all.add(scheduler
                                .submit(new Job(i % 2 == 0 ? new int[] {2, 9, 31} : new int[] {5, random.nextInt(200)}, GREEDY, null,
                                        i % 3 == 0)));
                    }
                    for (int i = 0; i < 6; i++) {
                        try {
                            Generation result = all.get(i).result();
                            assertEquals(i % 2 == 0 ? expected : result.ids(), result.ids(), method);
                        } catch (DeviceException e) {
                            failed++;
                            assertSame(FAULT, e);
                        }
                    }
                    failing = "";
                }
            }
            assertEquals(0, scheduler.statistics().running());
        }
        assertTrue(failed > 20, failed + " failed");
        assertEquals(griffin.sessions(), griffin.pool().free());
    }

    /** A state with a NaN in it: its own sequence fails, and no other in the same steps. */
    @Test
    void logitsThatAreNotFiniteFailOneSequence() throws InterruptedException {
        List<Integer> expected = alone(5, 6, 7);
        byte[] poisoned;
        try (Session session = griffin.newSession()) {
            session.generate(new int[] {2, 9, 31}, GREEDY.withMaxTokens(12), SILENT);
            poisoned = poison(session.snapshot());
        }
        try (Scheduler scheduler = Scheduler.builder(griffin).start()) {
            for (int i = 0; i < 10; i++) {
                Completion good = scheduler.submit(new Job(new int[] {5, 6, 7}, GREEDY, null, true));
                Completion bad = scheduler.submit(new Job(new int[] {4}, GREEDY, poisoned, true));
                assertInstanceOf(ModelFormatException.class, failure(bad));
                assertTrue(failure(bad).getMessage().contains("not finite"), failure(bad).getMessage());
                assertEquals(expected, good.result().ids());
            }
        }
    }

    /** Replaces the first number of the state, the recurrent part, in a snapshot whose blocks are float32, and seals it again. */
    private static byte[] poison(byte[] snapshot) {
        ByteBuffer bytes = ByteBuffer.wrap(snapshot).order(ByteOrder.LITTLE_ENDIAN);
        int blocks = bytes.getInt(104);
        int table = 108;
        int start = table + 12 * blocks + 4;
        bytes.putFloat(start, Float.NaN);
        bytes.putInt(table + 8, crc(snapshot, start, bytes.getInt(table + 4)));
        bytes.putInt(start - 4, crc(snapshot, 0, start - 4));
        return snapshot;
    }

    private static int crc(byte[] bytes, int at, int length) {
        CRC32C crc = new CRC32C();
        crc.update(bytes, at, length);
        return (int) crc.getValue();
    }

    @Test
    void aModelThatIsClosedFailsItsRequests() throws InterruptedException {
        try (Scheduler scheduler = Scheduler.builder(griffin).start()) {
            Completion running = scheduler.submit(Job.of(new int[] {2, 9}, GREEDY.withMaxTokens(Integer.MAX_VALUE)));
            running.next();
            griffin.close();
            assertTrue(failure(running).getMessage().contains("has been closed"), failure(running).getMessage());
            Completion late = scheduler.submit(Job.of(new int[] {2, 9}, GREEDY));
            assertTrue(failure(late).getMessage().contains("has been closed"), failure(late).getMessage());
        }
    }

    /** A state that claims so many tokens that positions would overflow never reaches a step. */
    @Test
    void aStateThatIsTooLongIsRefused() {
        byte[] forged;
        try (Session session = griffin.newSession()) {
            session.generate(new int[] {2, 9, 31}, GREEDY, SILENT); // the window is full, so that the state's size does not tell
            forged = session.snapshot();
        }
        for (int tokens : new int[] {Integer.MAX_VALUE, Integer.MAX_VALUE - 1, 1 << 30}) { // and one is pending
            StateFormatException e = assertThrows(StateFormatException.class, () -> griffin.restore(withTokens(forged, tokens)));
            assertTrue(e.getMessage().contains(tokens + " tokens"), e.getMessage());
        }
    }

    @Test
    void aSequenceEndsBeforeItIsTooLong() throws InterruptedException {
        byte[] forged;
        try (Session session = griffin.newSession()) {
            session.generate(new int[] {2, 9, 31}, GREEDY, SILENT);
            forged = withTokens(session.snapshot(), (1 << 30) - 6);
        }
        try (Scheduler scheduler = Scheduler.builder(griffin).start()) {
            Generation last = scheduler.submit(new Job(new int[] {4, 5}, GREEDY.withMaxTokens(Integer.MAX_VALUE), forged, false)).result();
            assertEquals(3, last.ids().size());
            assertEquals(FinishReason.LENGTH, last.finishReason());
            assertInstanceOf(InvalidRequestException.class,
                    failure(scheduler.submit(new Job(new int[] {4, 5, 6, 7, 8, 9}, GREEDY, forged, false))));
        }
    }

    private static byte[] withTokens(byte[] snapshot, int tokens) {
        ByteBuffer bytes = ByteBuffer.wrap(snapshot).order(ByteOrder.LITTLE_ENDIAN);
        int end = 108 + 12 * bytes.getInt(104);
        bytes.putInt(76, tokens).putInt(end, crc(snapshot, 0, end));
        return snapshot;
    }

    /** A prompt that is being looked up when the model is closed fails as well, and the scheduler can be closed. */
    @Test
    @Timeout(20)
    void aLookUpUnderWayFailsWithTheRest() throws InterruptedException {
        CountDownLatch entered = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        MapStore store = new MapStore() {
            @Override
            public Optional<Found> find(int[] ids) {
                entered.countDown();
                try {
                    goOn.await();
                } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                }
                return super.find(ids);
            }
        };
        Scheduler scheduler = Scheduler.builder(griffin).prefixes(store).leastCached(2).start();
        try {
            Completion looking = scheduler.submit(Job.of(new int[] {2, 9}, GREEDY));
            entered.await();
            griffin.close();
            Completion late = scheduler.submit(Job.of(new int[] {5, 6}, GREEDY));
            assertTrue(failure(late).getMessage().contains("has been closed"), failure(late).getMessage());
            assertTrue(failure(looking).getMessage().contains("has been closed"), failure(looking).getMessage());
        } finally {
            goOn.countDown();
        }
        assertTimeoutPreemptively(Duration.ofSeconds(20), scheduler::close);
    }

    /** A copy for the cache that fails costs the request nothing, and equal prompts do not wait for it. */
    @Test
    void aFailedCopyForTheCacheFailsNobody() throws InterruptedException {
        List<Integer> expected = alone(2, 9, 31);
        try (Scheduler scheduler =
                Scheduler.builder(griffin).parallel(3).prefixes(new MapStore()).leastCached(2).cacheInterval(2).listener(
                        (requests, rows, decoding) -> failAt("exportSlot", 0)).start()) {
            for (int i = 0; i < 4; i++) {
                Completion one = scheduler.submit(Job.of(new int[] {2, 9, 31}, GREEDY));
                Completion two = scheduler.submit(Job.of(new int[] {2, 9, 31}, GREEDY));
                assertEquals(expected, one.result().ids());
                assertEquals(expected, two.result().ids());
            }
            assertEquals(0, scheduler.statistics().failed());
            assertTrue(scheduler.statistics().uncached() > 0, () -> scheduler.statistics().toString());
        }
    }

    @Test
    void aSchedulerThatCannotStartTakesNoSlots() {
        int free = griffin.pool().free();
        assertThrows(OutOfMemoryError.class, () -> Scheduler.builder(griffin).prefixes(new MapStore()).threads(work -> {
            throw new OutOfMemoryError("no thread");
        }).start());
        assertEquals(free, griffin.pool().free());
    }

    /** A state whose last token is pending hides no shorter one. */
    @Test
    void aPendingStateIsPassedOver() throws InterruptedException {
        int[] ids = {2, 9, 31, 5, 6};
        MapStore store = new MapStore();
        try (Session session = griffin.newSession()) {
            session.generate(Arrays.copyOf(ids, 3), GREEDY.withMaxTokens(0), SILENT); // only reads: the last one is pending
            byte[] pending = session.snapshot();
            store.put(ids, 3, pending, null);
        }
        List<Integer> expected = alone(ids);
        try (Scheduler scheduler = Scheduler.builder(griffin).prefixes(store).leastCached(2).start()) {
            scheduler.submit(Job.of(new int[] {2, 9}, GREEDY)).result();
            Completion found = scheduler.submit(Job.of(ids, GREEDY));
            assertEquals(expected, found.result().ids());
            assertEquals(2, scheduler.statistics().cacheTokens());
        }
    }
}
