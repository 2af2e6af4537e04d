package griffin;

import griffin.error.InvalidRequestException;
import griffin.sampling.SamplingParams;
import java.util.List;

/**
 * What to generate.
 *
 * @param sampling  how tokens are chosen, or null for the model's own suggestion ({@link Griffin#defaultSampling()})
 * @param maxTokens most tokens to generate; 0 only reads the prompt
 * @param stop      strings that end the text; they are not part of it
 * @param ignoreEos whether the model's end ids are ordinary tokens
 */
public record GenerationOptions(SamplingParams sampling, int maxTokens, List<String> stop, boolean ignoreEos) {

    /** The model's own sampling, 400 tokens at most. */
    public static final GenerationOptions DEFAULT = new GenerationOptions(null, 400, List.of(), false);

    public GenerationOptions {
        stop = List.copyOf(stop);
        if (maxTokens < 0) {
            throw new InvalidRequestException("the token limit must be 0 or more, not " + maxTokens);
        }
        if (stop.stream().anyMatch(String::isEmpty)) {
            throw new InvalidRequestException("a stop string must not be empty");
        }
    }

    public GenerationOptions withSampling(SamplingParams value) {
        return new GenerationOptions(value, maxTokens, stop, ignoreEos);
    }

    public GenerationOptions withMaxTokens(int value) {
        return new GenerationOptions(sampling, value, stop, ignoreEos);
    }

    public GenerationOptions withStop(String... values) {
        return new GenerationOptions(sampling, maxTokens, List.of(values), ignoreEos);
    }

    public GenerationOptions withIgnoreEos(boolean value) {
        return new GenerationOptions(sampling, maxTokens, stop, value);
    }
}
