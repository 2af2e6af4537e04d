package griffin.sampling;

import griffin.error.InvalidRequestException;

/**
 * How the next token is chosen. In this order: repetition penalty, temperature, top-k, top-p, min-p, then a draw.
 *
 * <p>The draw is the arg-max of logit / temperature + a Gumbel number that depends on (seed, position, token) alone
 * ({@link Gumbel}): batch, chunk, device and resume never change the text by themselves, and a small difference between two devices'
 * logits rarely changes the choice.
 *
 * @param temperature       0 is greedy: the most likely token, the lowest id among equals
 * @param topK              keep the k most likely; 0 keeps all
 * @param topP              of those, keep the smallest set of the most likely whose probability reaches p; 1 keeps all
 * @param minP              of those, keep what is at least minP times as likely as the most likely; 0 keeps all
 * @param repetitionPenalty logits of tokens already consumed are divided (positive) or multiplied (negative) by it; 1 is off
 * @param seed              of the random numbers
 * @param logProbabilities  -1: none; n in 0..20: of the chosen token and of the n most likely ones
 */
public record SamplingParams(float temperature, int topK, float topP, float minP, float repetitionPenalty, long seed,
        int logProbabilities) {

    /** The most likely token. */
    public static final SamplingParams GREEDY = new SamplingParams(0, 0, 1, 0, 1, 0, -1);

    public SamplingParams {
        check(temperature >= 0 && temperature <= 1000, "temperature", temperature, "0 (greedy) to 1000");
        check(topK >= 0, "top-k", topK, "0 (off) or more");
        check(topP > 0 && topP <= 1, "top-p", topP, "above 0, up to 1 (off)");
        check(minP >= 0 && minP <= 1, "min-p", minP, "0 (off) to 1");
        check(repetitionPenalty > 0 && repetitionPenalty <= 100, "repetition penalty", repetitionPenalty, "above 0, up to 100; 1 is off");
        check(logProbabilities >= -1 && logProbabilities <= 20, "log-probabilities", logProbabilities, "0 to 20 alternatives");
    }

    private static void check(boolean valid, String name, Number value, String range) {
        if (!valid) {
            throw new InvalidRequestException(name + " must be " + range + ", not " + value);
        }
    }

    /** Whether no random number is needed. */
    public boolean greedy() {
        return temperature == 0 || topK == 1;
    }

    public SamplingParams withTemperature(float value) {
        return new SamplingParams(value, topK, topP, minP, repetitionPenalty, seed, logProbabilities);
    }

    public SamplingParams withTopK(int value) {
        return new SamplingParams(temperature, value, topP, minP, repetitionPenalty, seed, logProbabilities);
    }

    public SamplingParams withTopP(float value) {
        return new SamplingParams(temperature, topK, value, minP, repetitionPenalty, seed, logProbabilities);
    }

    public SamplingParams withMinP(float value) {
        return new SamplingParams(temperature, topK, topP, value, repetitionPenalty, seed, logProbabilities);
    }

    public SamplingParams withRepetitionPenalty(float value) {
        return new SamplingParams(temperature, topK, topP, minP, value, seed, logProbabilities);
    }

    public SamplingParams withSeed(long value) {
        return new SamplingParams(temperature, topK, topP, minP, repetitionPenalty, value, logProbabilities);
    }

    public SamplingParams withLogProbabilities(int alternatives) {
        return new SamplingParams(temperature, topK, topP, minP, repetitionPenalty, seed, alternatives);
    }
}
