package griffin.session;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.Backend;
import griffin.backend.cpu.CpuBackend;
import griffin.error.DeviceException;
import griffin.model.GriffinConfig;
import griffin.model.GriffinModel;
import griffin.model.ModelRunner;
import griffin.sampling.SamplingParams;
import griffin.weights.ModelFiles;
import griffin.weights.WeightFiles;
import java.lang.foreign.Arena;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** A backend that fails at a chosen call: what becomes of the sequence, and of its slot. */
class FailingStepTest {

    private static final int SLOTS = 2;
    private static final DeviceException FAULT = new DeviceException("the device failed", null);

    private final Arena arena = Arena.ofConfined();
    private final CpuBackend cpu = new CpuBackend(1);
    private String failing = "";
    private int callsBefore;
    private final StatePool pool;
    private final States states;

    FailingStepTest() {
        Backend backend = (Backend) Proxy.newProxyInstance(Backend.class.getClassLoader(), new Class<?>[] {Backend.class},
                (proxy, method, arguments) -> {
                    if (method.getName().equals(failing) && callsBefore-- == 0) {
                        throw FAULT;
                    }
                    try {
                        return method.invoke(cpu, arguments);
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                });
        ModelFiles files = ModelFiles.of(Path.of("src/test/resources/golden/tiny-a"));
        GriffinConfig config = GriffinConfig.read(files);
        WeightFiles weights = WeightFiles.open(files, arena);
        pool = new StatePool(backend, GriffinModel.stateLayout(config), SLOTS);
        states = new States(new ModelRunner(backend, new GriffinModel(backend, config, weights), pool.states(), 4, 1), pool, config,
                weights);
    }

    @AfterEach
    void close() {
        cpu.close();
        arena.close();
    }

    private static Sequence.Finish generate(Sequence sequence) {
        return sequence.generate(new int[] {2, 9, 31, 5, 44, 7}, SamplingParams.GREEDY, 5, new int[0], (id, result) -> true, null);
    }

    private void failAt(String method, int calls) {
        failing = method;
        callsBefore = calls;
    }

    /** In a chunk of the prompt, in the step that samples first, in a decode step. */
    @Test
    void aFailedStepBreaksTheSequence() {
        for (String method : new String[] {"run", "await"}) {
            for (int calls : new int[] {0, 1, 3}) {
                try (Sequence sequence = states.create()) {
                    failAt(method, calls);
                    assertSame(FAULT, assertThrows(DeviceException.class, () -> generate(sequence)));
                    assertTrue(sequence.broken());
                    for (Runnable use : new Runnable[] {() -> generate(sequence), sequence::fork, () -> states.snapshot(sequence),
                        () -> sequence.score(new int[] {2}, (index, logits) -> {})}) {
                        IllegalStateException e = assertThrows(IllegalStateException.class, use::run);
                        assertTrue(e.getMessage().contains("a step of this session failed"), e.getMessage());
                    }
                }
            }
        }
        try (Sequence sequence = states.create()) {
            assertEquals(Sequence.Finish.LIMIT, generate(sequence), "the slot serves the next one");
        }
    }

    @Test
    void aFailedScoringBreaksTheSequenceAndCountsNothing() {
        try (Sequence sequence = states.create()) {
            failAt("run", 0);
            assertThrows(DeviceException.class, () -> sequence.score(new int[] {2, 9}, (index, logits) -> {}));
            assertTrue(sequence.broken());
            assertEquals(0, sequence.length());
        }
    }

    /** A listener's own exception finds the sequence whole. */
    @Test
    void aFailedSinkBreaksNothing() {
        try (Sequence sequence = states.create(); Sequence whole = states.create()) {
            assertThrows(IllegalArgumentException.class, () -> sequence.score(new int[] {2, 9, 31, 5, 44, 7}, (index, logits) -> {
                throw new IllegalArgumentException();
            }));
            assertFalse(sequence.broken());
            assertEquals(4, sequence.length(), "the chunk was read");
            whole.score(new int[] {2, 9, 31, 5}, (index, logits) -> {});
            assertEquals(whole.mark(), sequence.mark());
        }
        try (Sequence sequence = states.create()) {
            assertThrows(IllegalArgumentException.class,
                    () -> sequence.generate(new int[] {2, 9}, SamplingParams.GREEDY, 5, new int[0], (id, result) -> {
                        throw new IllegalArgumentException();
                    }, null));
            assertFalse(sequence.broken());
            assertEquals(3, sequence.length());
            assertEquals(Sequence.Finish.LIMIT, generate(sequence));
        }
    }

    @Test
    void noSlotIsLostWhenMakingASequenceFails() {
        byte[] saved;
        try (Sequence sequence = states.create()) {
            generate(sequence);
            saved = states.snapshot(sequence);
        }
        for (int i = 0; i <= SLOTS; i++) {
            failAt("importSlot", 0);
            assertThrows(DeviceException.class, () -> states.restore(saved, "saved"));
            failAt("clearSlot", 0);
            assertThrows(DeviceException.class, states::create);
            try (Sequence sequence = states.create()) {
                failAt("copySlot", 0);
                assertThrows(DeviceException.class, sequence::fork);
            }
        }
        try (Sequence one = states.restore(saved, "saved"); Sequence two = one.fork()) {
            assertEquals(one.mark(), two.mark());
        }
    }
}
