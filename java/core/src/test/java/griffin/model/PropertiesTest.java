package griffin.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import griffin.Seed;
import griffin.backend.Backend;
import griffin.backend.DType;
import griffin.backend.StepPlan;
import griffin.backend.StepResult;
import griffin.backend.cpu.CpuBackend;
import griffin.sampling.SamplingParams;
import griffin.weights.RandomModel;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** What must hold bit for bit on the CPU whatever the model: nothing but a sequence's own tokens changes its numbers. */
@ExtendWith(Seed.class)
class PropertiesTest {

    private static final int SLOTS = 4;
    private static final int MAX_ROWS = 60;
    private static final String CONFIG = """
            {"model_type": "recurrent_gemma", "vocab_size": 61, "hidden_size": 48, "lru_width": %d, "intermediate_size": 160,
             "num_attention_heads": 2, "head_dim": 24, "attention_window_size": %d, "num_hidden_layers": %d,
             "conv1d_width": %d, "logits_soft_cap": 30.0, "rms_norm_eps": 1e-6}""";

    @TempDir
    Path directory;
    private final Random random = Seed.random("properties");
    private final int window = 5 + random.nextInt(6);
    private ModelHarness m;
    private int[] ids;
    private float[][] whole;

    /** A random model, a random text over more than five windows, and its logits from one step per token: the plainest way. */
    @BeforeEach
    void start() {
        DType dtype = List.of(DType.BF16, DType.F16, DType.F32).get(random.nextInt(3));
        RandomModel.write(directory, CONFIG.formatted(random.nextBoolean() ? 48 : 80, window, 3 + random.nextInt(3), 2 + random.nextInt(4)),
                random.nextLong(), dtype);
        m = open(new CpuBackend(1));
        ids = random.ints(5 * window + random.nextInt(window), 0, m.config.vocabulary()).toArray();
        whole = new float[ids.length][];
        for (int t = 0; t < ids.length; t++) {
            whole[t] = m.score(0, ids, t, t + 1)[0];
        }
    }

    @AfterEach
    void stop() {
        m.close();
    }

    private ModelHarness open(Backend backend) {
        return new ModelHarness(directory, backend, MAX_ROWS, SLOTS);
    }

    private void assertRows(int from, float[][] found, String how) {
        for (int i = 0; i < found.length; i++) {
            assertArrayEquals(whole[from + i], found[i], how + ", row " + (from + i)); // compares bits
        }
    }

    @Test
    void everyChunkingGivesTheSameBits() {
        byte[] state = m.state(0);
        for (int round = 0; round < 15; round++) {
            List<Integer> cuts = new ArrayList<>();
            for (int from = 0; from < ids.length;) {
                int to = Math.min(ids.length, from + 1 + random.nextInt(round == 0 ? ids.length : 3 * window));
                assertRows(from, m.score(1, ids, from, to), "chunks up to " + cuts);
                cuts.add(to);
                from = to;
            }
            assertArrayEquals(state, m.state(1), "state after chunks " + cuts);
        }
    }

    /** Prefill chunks and decode rows of several sequences in one step, in scrambled slots, against each alone. */
    @Test
    void aSequenceDoesNotFeelItsNeighbours() {
        for (int round = 0; round < 10; round++) {
            int[][] texts = new int[SLOTS][];
            int[] at = new int[SLOTS];
            texts[0] = ids;
            for (int q = 1; q < SLOTS; q++) {
                texts[q] = random.ints(2 + random.nextInt(4 * window), 0, m.config.vocabulary()).toArray();
            }
            int mine = random.nextInt(SLOTS);
            while (at[0] < ids.length) {
                StepPlan plan = m.runner.plan().clear();
                int first = -1;
                int count = 0;
                for (int q : shuffled()) {
                    int length = Math.min(texts[q].length - at[q], random.nextBoolean() ? 1 : 1 + random.nextInt(MAX_ROWS / SLOTS));
                    if (length > 0) {
                        first = q == 0 ? plan.outputs() : first;
                        count = q == 0 ? length : count;
                        plan.add((q + mine) % SLOTS, at[q], texts[q], at[q], at[q] + length, StepPlan.Outputs.ALL);
                        at[q] += length;
                    }
                }
                float[][] all = m.score();
                float[][] found = java.util.Arrays.copyOfRange(all, first, first + count);
                assertRows(at[0] - count, found, "slot " + mine);
            }
        }
    }

    private int[] shuffled() {
        List<Integer> order = new ArrayList<>(IntStream.range(0, SLOTS).boxed().toList());
        java.util.Collections.shuffle(order, random);
        return order.stream().mapToInt(q -> q).toArray();
    }

    @Test
    void theNumberOfThreadsDoesNotMatter() {
        byte[] state = m.state(0);
        for (int threads = 2; threads <= 4; threads++) {
            try (ModelHarness other = open(new CpuBackend(threads))) {
                for (int from = 0; from < ids.length; from += MAX_ROWS) {
                    assertRows(from, other.score(2, ids, from, Math.min(ids.length, from + MAX_ROWS)), threads + " threads");
                }
                assertArrayEquals(state, other.state(2));
            }
        }
    }

    @Test
    void anotherCallingThreadGivesTheSameBits() {
        float[][] found = CompletableFuture.supplyAsync(() -> m.score(1, ids, 0, Math.min(MAX_ROWS, ids.length))).join();
        assertRows(0, found, "other thread");
    }

    /** Every position modulo the window: a state goes on from there in another slot, after export and import or a fork. */
    @Test
    void savedAndForkedStatesGoOnFromEveryRingOffset() {
        for (int at = 1; at + 1 < ids.length; at++) {
            m.score(3, ids, at - 1, at); // slot 3 walks on, one token at a time
            m.backend.importSlot(m.states, 1, MemorySegment.ofArray(m.state(3)));
            m.backend.copySlot(m.states, 3, 2);
            int to = Math.min(ids.length, at + 1 + random.nextInt(2 * window));
            assertRows(at, m.score(1, ids, at, to), "imported at " + at);
            assertRows(at, m.score(2, ids, at, to), "forked at " + at);
            assertArrayEquals(m.state(1), m.state(2));
        }
    }

    @Test
    void positionZeroStartsFromNothingWhateverTheSlotHolds() {
        int[] other = random.ints(3 * window, 0, m.config.vocabulary()).toArray();
        m.score(1, other, 0, other.length);
        m.backend.clearSlot(m.states, 2);
        int length = Math.min(MAX_ROWS, ids.length);
        assertRows(0, m.score(1, ids, 0, length), "dirty slot");
        assertRows(0, m.score(2, ids, 0, length), "clean slot");
        m.score(3, other, 0, other.length);
        for (int from = 0; from < 2 * window; from++) {
            assertRows(from, m.score(3, ids, from, from + 1), "dirty slot, one by one");
        }
    }

    /** Documents packed in one step equal the same documents alone. */
    @Test
    void packedDocumentsDoNotSeeEachOther() {
        int first = 1 + random.nextInt(2 * window);
        int second = Math.min(ids.length, MAX_ROWS - first);
        int[] packed = new int[first + second];
        int[] positions = new int[packed.length];
        for (int i = 0; i < packed.length; i++) {
            packed[i] = i < first ? random.nextInt(m.config.vocabulary()) : ids[i - first];
            positions[i] = i < first ? i : i - first;
        }
        m.runner.plan().clear().addPacked(1, packed, positions, 0, packed.length, StepPlan.Outputs.ALL);
        float[][] all = m.score();
        assertRows(0, java.util.Arrays.copyOfRange(all, first, all.length), "second document after " + first);
    }

    /** The recorded decode program, replayed while the ring wraps more than twice, equals scoring token by token. */
    @Test
    void recordedDecodeEqualsScoring() {
        SamplingParams params = new SamplingParams(0.9f, 0, 1, 0, 1, random.nextLong(), 0);
        int steps = 3 * window;
        int[] sampled = new int[steps];
        float[] probabilities = new float[steps];
        StepResult result = new StepResult(SLOTS);
        m.runner.plan().clear().add(1, 0, ids, 0, 3, StepPlan.Outputs.LAST, params, steps, new int[0]);
        long ticket = m.runner.generate();
        for (int i = 0; i < steps; i++) {
            m.runner.await(ticket, result);
            sampled[i] = result.ids[0];
            probabilities[i] = result.logProbabilities[0];
            assertEquals(i + 1 < steps ? StepResult.RUNNING : StepResult.LIMIT, result.status[0]);
            ticket = i + 1 < steps ? m.runner.next() : ticket;
        }
        byte[] state = m.state(1);
        m.runner.next();
        m.runner.next();
        assertArrayEquals(state, m.state(1), "steps after the end leave the state alone");
        float[] logits = m.score(2, ids, 0, 3)[2];
        for (int i = 0; i < steps; i++) {
            assertEquals(logProbability(logits, sampled[i]), probabilities[i], 2e-5, "token " + i);
            if (i + 1 < steps) {
                m.runner.plan().clear().add(2, 3 + i, sampled, i, i + 1, StepPlan.Outputs.ALL);
                logits = m.score()[0];
            }
        }
        assertArrayEquals(state, m.state(2), "the state has consumed all tokens but the last sampled one");
    }

    private static double logProbability(float[] logits, int id) {
        double sum = 0;
        for (float z : logits) {
            sum += Math.exp(z);
        }
        return logits[id] - Math.log(sum);
    }

    @Test
    void theSameSeedGivesTheSameTextAndAnotherDoesNot() {
        SamplingParams params = new SamplingParams(1.5f, 0, 1, 0, 1, random.nextLong(), -1);
        int[] once = sampled(0, params);
        assertArrayEquals(once, sampled(3, params));
        assertEquals(false, java.util.Arrays.equals(once, sampled(0, params.withSeed(params.seed() + 1))));
    }

    private int[] sampled(int slot, SamplingParams params) {
        StepResult result = new StepResult(SLOTS);
        m.runner.plan().clear().add(slot, 0, ids, 0, 4, StepPlan.Outputs.LAST, params, 100, new int[0]);
        int[] out = new int[30];
        for (int i = 0; i < out.length; i++) {
            m.runner.await(i == 0 ? m.runner.generate() : m.runner.next(), result);
            out[i] = result.ids[0];
        }
        return out;
    }
}
