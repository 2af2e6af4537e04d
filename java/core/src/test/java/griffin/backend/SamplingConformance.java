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
}
