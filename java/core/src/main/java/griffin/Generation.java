package griffin;

import java.util.List;

/**
 * A finished generation.
 *
 * @param promptIds    ids that were read for it, BOS included
 * @param ids          generated ids, an end id not included
 * @param text         generated text, without a stop string; empty if the model has no tokenizer
 * @param finishReason why it ended
 * @param logProbabilities one entry per id, or empty if not asked for
 * @param promptSeconds    from the call to the first token
 * @param decodeSeconds    from the first token to the last
 */
public record Generation(List<Integer> promptIds, List<Integer> ids, String text, FinishReason finishReason,
        List<TokenLogProbability> logProbabilities, double promptSeconds, double decodeSeconds) {

    /**
     * A token's natural log-probability under the model, before temperature and filters.
     *
     * @param id             the token
     * @param logProbability NaN for a token that an earlier, interrupted generation had drawn
     * @param alternatives   the most likely tokens at this place, most likely first
     */
    public record TokenLogProbability(int id, float logProbability, List<Alternative> alternatives) {}

    /** A token that could have been chosen. */
    public record Alternative(int id, float logProbability) {}

    /** Prompt tokens per second, the first sampled token's step included. */
    public double promptTokensPerSecond() {
        return promptSeconds > 0 ? promptIds.size() / promptSeconds : 0;
    }

    /** Generated tokens per second after the first. */
    public double tokensPerSecond() {
        return ids.size() > 1 && decodeSeconds > 0 ? (ids.size() - 1) / decodeSeconds : 0;
    }
}
