package griffin.backend;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import griffin.sampling.SamplingParams;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Sampling against the reference: every combination of filters, ties, bounds, log-probabilities, the set of seen tokens. */
interface SamplingConformance extends Conformance {

    /** One sampled sequence per row of logits. */
    private static StepResult sample(Side side, float[] logits, int vocabulary, SamplingParams[] params, int[][] history, int position) {
        StateLayout layout = new StateLayout(0, 0, 1, 1, 1, 1, vocabulary);
        int sequences = params.length;
        StateBuffers states = side.backend.allocateStates(layout, sequences);
        StepPlan plan = new StepPlan(Arrays.stream(history).mapToInt(ids -> ids.length).sum(), sequences);
        for (int q = 0; q < sequences; q++) {
            plan.add(sequences - 1 - q, position, history[q], 0, history[q].length, StepPlan.Outputs.LAST, params[q], 10, new int[0]);
        }
        Step step = side.backend.allocateStep(plan.rows(), sequences, states.scrapSlot());
        Buffer z = side.input(logits, vocabulary).view;
        Program program = side.backend.record(step, () -> side.backend.sample(step, z, states.seen()));
        side.backend.submit(step, plan);
        StepResult result = new StepResult(sequences);
        side.backend.await(side.backend.run(program), result);
        for (int q = 0; q < sequences; q++) {
            float[] bits = side.export(states, sequences - 1 - q);
            for (int id = 0; id < vocabulary; id++) {
                int wanted = id;
                boolean expected = Arrays.stream(history[q]).anyMatch(seen -> seen == wanted);
                assertEquals(expected, (Float.floatToRawIntBits(bits[id >>> 5]) >>> id & 1) != 0, "token " + id + " seen");
            }
        }
        return result;
    }

    private void compareSamples(float[] logits, int vocabulary, SamplingParams[] params, int[][] history, int position) {
        StepResult expected = sample(reference(), logits, vocabulary, params, history, position);
        StepResult found = sample(device(), logits, vocabulary, params, history, position);
        for (int q = 0; q < params.length; q++) {
            String what = params[q] + " over " + vocabulary;
            assertEquals(expected.ids[q], found.ids[q], what);
            Conformance.close(what, tolerances().logProbability(), null, new float[] {expected.logProbabilities[q]},
                    new float[] {found.logProbabilities[q]});
            int from = q * StepResult.MAX_ALTERNATIVES;
            int to = from + Math.max(0, params[q].logProbabilities());
            assertArrayEquals(Arrays.copyOfRange(expected.alternativeIds, from, to), Arrays.copyOfRange(found.alternativeIds, from, to),
                    what);
            Conformance.close(what + " alternatives", tolerances().logProbability(), null,
                    Arrays.copyOfRange(expected.alternativeLogProbabilities, from, to),
                    Arrays.copyOfRange(found.alternativeLogProbabilities, from, to));
        }
    }

    @Test
    default void everyCombinationOfParameters() {
        Random random = random();
        for (int vocabulary : new int[] {1, 2, 31, 32, 33, 97, 1000}) {
            for (float temperature : new float[] {0, 0.1f, 1, 3}) {
                SamplingParams[] params = new SamplingParams[4 * 3 * 3 * 3];
                int i = 0;
                for (int topK : new int[] {0, 1, 5, 2000}) {
                    for (float topP : new float[] {1, 0.9f, 0.01f}) {
                        for (float minP : new float[] {0, 0.05f, 1}) {
                            for (float penalty : new float[] {1, 1.3f, 0.5f}) {
                                params[i++] = new SamplingParams(temperature, topK, topP, minP, penalty, random.nextLong(),
                                        random.nextInt(22) - 1);
                            }
                        }
                    }
                }
                int[][] history = new int[params.length][];
                Arrays.setAll(history, q -> random.ints(1 + random.nextInt(5), 0, vocabulary).toArray());
                float[] logits = normal(random, params.length * vocabulary, 3);
                for (int tie = 0; tie < logits.length; tie++) {
                    logits[tie] = random.nextInt(3) == 0 ? Math.round(logits[tie]) : logits[tie];
                    logits[tie] = random.nextInt(40) == 0 ? -0f : logits[tie];
                }
                compareSamples(logits, vocabulary, params, history, random.nextInt(100_000));
            }
        }
    }

    /** Equal logits: the lowest id, zeros of both signs included. */
    @Test
    default void ties() {
        int vocabulary = 40;
        float[] logits = new float[vocabulary];
        Arrays.fill(logits, -1);
        logits[7] = -0f;
        logits[9] = 0f;
        SamplingParams[] params = {SamplingParams.GREEDY.withLogProbabilities(3)};
        StepResult found = sample(device(), logits, vocabulary, params, new int[][] {{1}}, 0);
        assertEquals(7, found.ids[0]);
        assertArrayEquals(new int[] {7, 9, 0}, Arrays.copyOf(found.alternativeIds, 3));
        compareSamples(logits, vocabulary, params, new int[][] {{1}}, 0);
    }

    /** The coldest and hottest allowed temperatures choose a token, too: near 0 the most likely one, whatever its sign. */
    @Test
    default void extremeTemperatures() {
        Random random = random();
        int vocabulary = 97;
        for (float shift : new float[] {-50, 0, 50}) {
            float[] logits = normal(random, vocabulary, 3);
            int best = 0;
            for (int id = 0; id < vocabulary; id++) {
                logits[id] += shift;
                best = logits[id] > logits[best] ? id : best;
            }
            for (float temperature : new float[] {Float.MIN_VALUE, 1e-38f, 1e-20f, 1000}) {
                for (int topK : new int[] {0, 10}) {
                    SamplingParams[] params = {new SamplingParams(temperature, topK, 1, 0, 1, 3, -1)};
                    int found = sample(device(), logits, vocabulary, params, new int[][] {{1}}, 5).ids[0];
                    assertEquals(temperature < 1 ? best : found, found, "temperature " + temperature + ", shift " + shift);
                    compareSamples(logits, vocabulary, params, new int[][] {{1}}, 5);
                }
            }
        }
    }

    /** What follows a sequence is a function of its seed and position: neither its row nor its slot nor its neighbours matter. */
    @Test
    default void drawsDependOnSeedAndPositionAlone() {
        Random random = random();
        int vocabulary = 97;
        float[] row = normal(random, vocabulary, 1);
        SamplingParams params = new SamplingParams(1, 0, 1, 0, 1, random.nextLong(), -1);
        int alone = sample(device(), row, vocabulary, new SamplingParams[] {params}, new int[][] {{4}}, 12).ids[0];
        float[] logits = Conformance.joined(normal(random, vocabulary, 1), normal(random, vocabulary, 1), row);
        SamplingParams[] three = {params.withSeed(1), SamplingParams.GREEDY, params};
        assertEquals(alone, sample(device(), logits, vocabulary, three, new int[][] {{1}, {2}, {3}}, 12).ids[2]);
    }

    /**
     * A NaN anywhere, or an infinite maximum, is reported for its row by every way of choosing and harms no other row; minus infinity
     * alone only rules a token out.
     */
    @Test
    default void logitsThatAreNotFinite() {
        Random random = random();
        int vocabulary = 97;
        float minus = Float.NEGATIVE_INFINITY;
        for (int at : new int[] {0, 50, vocabulary - 1}) {
            for (SamplingParams p : waysOfChoosing()) {
                float[] sound = normal(random, vocabulary, 3);
                sound[(at + 1) % vocabulary] = minus;
                float[] nan = sound.clone();
                nan[at] = Float.NaN;
                float[] plus = sound.clone();
                plus[at] = Float.POSITIVE_INFINITY;
                float[] logits = Conformance.joined(sound, nan, sound, plus, Conformance.filled(vocabulary, minus),
                        Conformance.filled(vocabulary, Float.NaN), sound);
                SamplingParams[] params = new SamplingParams[7];
                Arrays.fill(params, p);
                int[][] history = new int[7][];
                Arrays.setAll(history, q -> new int[] {at, 3});
                compareSamples(logits, vocabulary, params, history, 11);
                int[] ids = sample(device(), logits, vocabulary, params, history, 11).ids;
                int no = StepResult.NOT_FINITE;
                assertArrayEquals(new int[] {ids[0], no, ids[0], no, no, no, ids[0]}, ids, "index " + at + ", " + p);
                assertEquals(true, ids[0] >= 0 && ids[0] != (at + 1) % vocabulary, "index " + at + ", " + p);
            }
        }
    }

    /** The sequence ends as failed and is parked; its neighbour goes on. */
    @Test
    default void aSequenceWithoutFiniteLogitsFails() {
        Backend backend = device().backend;
        StateBuffers states = backend.allocateStates(new StateLayout(0, 0, 1, 1, 1, 1, 40), 2);
        StepPlan plan = new StepPlan(2, 2);
        for (int q = 0; q < 2; q++) {
            plan.add(q, 0, new int[] {3}, 0, 1, StepPlan.Outputs.LAST, SamplingParams.GREEDY, 10, new int[] {StepResult.NOT_FINITE});
        }
        float[] logits = new float[80];
        logits[7] = Float.NaN;
        logits[40 + 9] = 1;
        Buffer z = device().input(logits, 40).view;
        Step step = backend.allocateStep(2, 2, states.scrapSlot());
        Program program = backend.record(step, () -> {
            backend.sample(step, z, states.seen());
            backend.advance(step);
        });
        backend.submit(step, plan);
        StepResult result = new StepResult(2);
        backend.await(backend.run(program), result);
        assertArrayEquals(new int[] {StepResult.NOT_FINITE, 9}, result.ids);
        assertArrayEquals(new int[] {StepResult.FAILED, StepResult.RUNNING}, result.status);
        backend.await(backend.run(program), result);
        assertArrayEquals(new int[] {-1, 9}, result.ids);
        assertArrayEquals(new int[] {StepResult.PARKED, StepResult.RUNNING}, result.status);
    }

    private static SamplingParams[] waysOfChoosing() {
        SamplingParams drawn = new SamplingParams(1, 0, 1, 0, 1, 7, -1);
        return new SamplingParams[] {SamplingParams.GREEDY, SamplingParams.GREEDY.withLogProbabilities(3), drawn, drawn.withMinP(0.1f),
            drawn.withTopK(5), drawn.withTopP(0.9f), drawn.withTopK(40).withTopP(0.9f).withLogProbabilities(0),
            drawn.withRepetitionPenalty(1.3f).withLogProbabilities(20)};
    }
}
