package griffin;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.error.BusyException;
import griffin.error.DeviceMemoryException;
import griffin.error.GriffinException;
import griffin.error.InvalidRequestException;
import griffin.error.StateFormatException;
import griffin.weights.ModelFiles;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Queues, consumers, ends: what the scheduler promises beside the right tokens. */
class SchedulerTest extends SchedulerTestCase {

    private static final GenerationOptions ENDLESS = GREEDY.withMaxTokens(Integer.MAX_VALUE);

    private static void assertMessage(Class<? extends GriffinException> type, String part, Executable call) {
        GriffinException e = assertThrows(type, call);
        assertTrue(e.getMessage().contains(part), e.getMessage());
    }

    // ---- the queue

    @Test
    void aFullQueueSaysBusy() throws InterruptedException {
        try (Scheduler scheduler = scheduler().parallel(1).waiting(2).start()) {
            Completion running = scheduler.submit(Job.of(IDS, ENDLESS));
            running.next();
            Completion second = scheduler.submit(Job.of(IDS, GREEDY.withMaxTokens(2)));
            Completion third = scheduler.submit(Job.of(IDS, GREEDY.withMaxTokens(2)));
            assertMessage(BusyException.class, "2 requests wait already", () -> scheduler.submit(Job.of(IDS, GREEDY)));
            assertEquals(2, scheduler.statistics().waiting());
            assertEquals(1, scheduler.statistics().refused());
            running.cancel();
            assertEquals(2, second.result().ids().size());
            assertEquals(2, third.result().ids().size());
            assertEquals(FinishReason.CANCELLED, running.result().finishReason());
        }
    }

    /** Whether or not the scheduler has looked at the queue yet. */
    @Test
    void allPlacesCanBeTakenAtOnce() throws InterruptedException {
        try (Scheduler scheduler = scheduler().parallel(2).waiting(1).start()) {
            for (int round = 0; round < 200; round++) {
                List<Completion> all = new ArrayList<>();
                for (int i = 0; i < scheduler.places(); i++) {
                    all.add(scheduler.submit(Job.of(IDS, GREEDY.withMaxTokens(1))));
                }
                for (Completion one : all) {
                    assertEquals(1, one.result().ids().size());
                }
            }
        }
    }

    @Test
    void aWaitingJobThatIsCancelledLeavesTheQueue() throws InterruptedException {
        try (Scheduler scheduler = scheduler().parallel(1).waiting(1).start()) {
            Completion running = scheduler.submit(Job.of(IDS, ENDLESS));
            running.next();
            Completion waiting = scheduler.submit(new Job(IDS, GREEDY, null, true));
            waiting.close();
            Generation none = waiting.result();
            assertEquals(FinishReason.CANCELLED, none.finishReason());
            assertEquals(List.of(), none.promptIds());
            assertTrue(waiting.state().isEmpty());
            assertTrue(waiting.done());
            Completion next = scheduler.submit(Job.of(IDS, GREEDY.withMaxTokens(1)));
            running.cancel();
            assertEquals(1, next.result().ids().size());
        }
    }

    @Test
    void draining() throws InterruptedException {
        try (Scheduler scheduler = scheduler().parallel(1).start()) {
            Completion running = scheduler.submit(Job.of(IDS, ENDLESS));
            Completion waiting = scheduler.submit(Job.of(IDS, GREEDY.withMaxTokens(3)));
            running.next();
            assertFalse(scheduler.drain(Duration.ofMillis(1)), "one runs on for ever");
            assertMessage(BusyException.class, "takes no new jobs", () -> scheduler.submit(Job.of(IDS, GREEDY)));
            running.cancel();
            assertTrue(scheduler.drain(Duration.ofSeconds(60)));
            assertEquals(3, waiting.result().ids().size(), "what was taken in is finished");
        }
    }

    @Test
    void closingCancelsAndFreesTheSlots() throws InterruptedException {
        int free = griffin.pool().free();
        List<Completion> all = new ArrayList<>();
        Scheduler scheduler = scheduler().parallel(2).prefixes(new MapStore()).start();
        assertEquals(free - 2, griffin.pool().free(), "set aside");
        for (int i = 0; i < 6; i++) {
            all.add(scheduler.submit(new Job(new int[] {2, i, 77}, ENDLESS, null, true)));
        }
        all.getFirst().next();
        scheduler.close();
        scheduler.close();
        assertEquals(free, griffin.pool().free());
        for (Completion one : all) {
            Generation ended = one.result();
            assertEquals(FinishReason.CANCELLED, ended.finishReason());
            if (one.state().isPresent()) {
                try (Session session = griffin.restore(one.state().get())) {
                    assertEquals(ended.promptIds().size() + ended.ids().size(), session.length(), "what was reported");
                }
            }
        }
        assertTrue(all.getFirst().state().isPresent());
        assertThrows(IllegalStateException.class, () -> scheduler.submit(Job.of(IDS, GREEDY)));
    }

    // ---- consumers

    @Test
    void aConsumerThatStopsReadingHoldsUpNobody() throws InterruptedException {
        try (Scheduler scheduler = scheduler().parallel(2).consumers(8, Duration.ofDays(1)).start()) {
            Completion slow = scheduler.submit(new Job(IDS, GREEDY.withMaxTokens(60), null, true));
            slow.next();
            Completion other = scheduler.submit(Job.of(new int[] {5, 6}, GREEDY.withMaxTokens(300)));
            assertEquals(300, other.result().ids().size());
            assertEquals(1, scheduler.statistics().running(), "the slow one rests");
            long generated = scheduler.statistics().generatedTokens() - 300;
            assertTrue(generated == 8 || generated == 9, "eight wait, whether one was taken before or after: " + generated);
            List<Integer> ids = new ArrayList<>();
            while (!slow.done()) {
                slow.next().ifPresent(piece -> ids.addAll(piece.ids()));
            }
            try (Session session = griffin.newSession()) {
                Generation expected = session.generate(IDS, GREEDY.withMaxTokens(60), SILENT);
                assertEquals(expected.ids(), slow.result().ids());
                assertEquals(expected.ids().subList(1, 60), ids, "nothing was lost");
                assertArrayEquals(session.snapshot(), slow.state().orElseThrow());
            }
        }
    }

    @Test
    void aConsumerThatNeverReadsAgainIsCancelled() throws InterruptedException {
        try (Scheduler scheduler = scheduler().parallel(1).consumers(8, Duration.ofMillis(20)).start()) {
            Completion slow = scheduler.submit(new Job(IDS, ENDLESS, null, true));
            Completion next = scheduler.submit(Job.of(IDS, GREEDY.withMaxTokens(3)));
            assertEquals(3, next.result().ids().size(), "it has the place of the other");
            assertEquals(1, scheduler.statistics().cancelled());
            Generation ended = slow.result();
            assertEquals(FinishReason.CANCELLED, ended.finishReason());
            assertEquals(8, ended.ids().size());
            try (Session session = griffin.newSession()) {
                assertEquals(session.generate(IDS, GREEDY.withMaxTokens(8), SILENT).ids(), ended.ids());
                assertArrayEquals(session.snapshot(), slow.state().orElseThrow());
            }
        }
    }

    /** Who wants the result alone reads no pieces, and is not slow. */
    @Test
    void aResultNeedsNoReading() throws InterruptedException {
        try (Scheduler scheduler = scheduler().consumers(8, Duration.ofDays(1)).start()) {
            assertEquals(500, scheduler.submit(Job.of(IDS, GREEDY.withMaxTokens(500))).result().ids().size());
        }
    }

    @Test
    void waitingForAPieceHasALimit() throws InterruptedException {
        try (Scheduler scheduler = scheduler().parallel(1).start()) {
            Completion running = scheduler.submit(Job.of(IDS, ENDLESS));
            Completion waiting = scheduler.submit(Job.of(IDS, GREEDY.withMaxTokens(1)));
            assertTrue(waiting.next(Duration.ofMillis(1)).isEmpty());
            assertFalse(waiting.done());
            assertThrows(IllegalStateException.class, waiting::state);
            running.cancel();
            assertTrue(waiting.next(Duration.ofSeconds(60)).isPresent());
            assertTrue(waiting.next(Duration.ofSeconds(60)).isEmpty());
            assertTrue(waiting.done());
        }
    }

    /** A place is free for the next step after a cancel. */
    @Test
    void aCancelTakesEffectWithinAStep() throws InterruptedException {
        AtomicInteger after = new AtomicInteger();
        CountDownLatch ready = new CountDownLatch(1);
        List<Completion> running = new ArrayList<>();
        try (Scheduler scheduler = scheduler().parallel(1).listener((requests, rows, decoding) -> {
            if (ready.getCount() == 0) {
                if (running.getFirst().cancelled()) {
                    after.incrementAndGet();
                }
                running.getFirst().cancel(); // during the turn of a step: that step still runs
            }
        }).start()) {
            running.add(scheduler.submit(Job.of(IDS, ENDLESS)));
            ready.countDown();
            assertEquals(FinishReason.CANCELLED, running.getFirst().result().finishReason());
            assertEquals(0, after.get());
        }
    }

    // ---- what is refused

    @Test
    void badJobsAreRefused() throws InterruptedException {
        byte[] state;
        try (Session session = griffin.newSession()) {
            session.generate(IDS, GREEDY.withMaxTokens(2), SILENT);
            state = session.snapshot();
        }
        try (Scheduler scheduler = scheduler().start()) {
            assertMessage(InvalidRequestException.class, "261 at index 1", () -> scheduler.submit(Job.of(new int[] {2, 261}, GREEDY)));
            assertMessage(InvalidRequestException.class, "nothing to continue", () -> scheduler.submit(Job.of(new int[0], GREEDY)));
            byte[] damaged = state.clone();
            damaged[damaged.length / 2] ^= 1;
            assertMessage(StateFormatException.class, "damaged", () -> scheduler.submit(new Job(IDS, GREEDY, damaged, false)));
            assertEquals(1, scheduler.submit(new Job(new int[0], GREEDY.withMaxTokens(1), state, false)).result().ids().size());
            try (Session session = griffin.newSession()) {
                session.score(IDS, (index, logits) -> {});
                Completion scored = scheduler.submit(new Job(new int[0], GREEDY, session.snapshot(), false));
                assertMessage(InvalidRequestException.class, "give at least one token more", scored::result);
            }
            assertEquals(1, scheduler.statistics().failed());
        }
    }

    @Test
    void slotsThatAreTakenAreMissed() {
        List<Session> sessions = new ArrayList<>();
        while (griffin.pool().free() > 1) {
            sessions.add(griffin.newSession());
        }
        assertMessage(DeviceMemoryException.class, "2 state slots are needed, and 1 of", () -> scheduler().parallel(2).start());
        try (Scheduler scheduler = scheduler().parallel(1).start()) {
            assertEquals(1, scheduler.statistics().slotsFree());
            assertMessage(DeviceMemoryException.class, "all 12 state slots are in use", griffin::newSession);
            assertEquals(1, scheduler.statistics().slotsFree());
        }
        sessions.add(griffin.newSession());
        sessions.forEach(Session::close);
        assertMessage(InvalidRequestException.class, "parallel must be 1 to 6", () -> scheduler().parallel(7));
        assertMessage(InvalidRequestException.class, "batch must be 1 to 16", () -> scheduler().batch(17));
        assertMessage(InvalidRequestException.class, "cannot serve 4 prompts", () -> scheduler().parallel(4).batch(3).start());
    }

    // ---- memory

    @Test
    void aBudgetDecidesHowManySessionsThereAre() {
        GriffinBuilder builder = Griffin.builder(ModelFiles.of(folder)).device("cpu").threads(1).chunk(ByteModel.CHUNK);
        long most = 2 << 20;
        long slot = griffin.stateBytes();
        try (Griffin one = builder.parallel(4).memory(most).open()) {
            assertEquals(4, one.parallel());
            long taken = one.weightBytes() + one.workspaceBytes() + slot * (one.sessions() + 1);
            assertTrue(taken <= most, taken + " bytes");
            try (Griffin more = builder.memory(most + 10 * slot).open()) {
                int further = more.sessions() - one.sessions(); // a slot also has the set of tokens that were seen
                assertTrue(further == 9 || further == 10, further + " sessions more");
            }
            String message = assertThrows(DeviceMemoryException.class, () -> builder.memory(1 << 16).open()).getMessage();
            assertTrue(message.contains("has room for no session") && message.contains("weights"), message);
            try (Griffin few = builder.parallel(64).memory(most - (one.sessions() - 2) * slot).open()) {
                assertTrue(few.parallel() <= few.sessions(), few.parallel() + " at once, " + few.sessions() + " sessions");
            } catch (DeviceMemoryException e) { // 64 rows more of buffers may leave room for none
                assertTrue(e.getMessage().contains("64 sequences at once"), e.getMessage());
            }
        }
    }
}
