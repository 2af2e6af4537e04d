package griffin.cli;

import griffin.GenerationOptions;
import griffin.Griffin;
import griffin.error.InvalidRequestException;
import griffin.sampling.SamplingParams;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import picocli.CommandLine.Option;

/** How to generate; what is not given follows the model's generation_config.json. */
class SamplingOptions {

    @Option(names = {"-n", "--max-tokens"}, paramLabel = "N",
            description = "Generate at most N tokens; 0 only reads. Default: the model's max_new_tokens, else 400.")
    Integer maxTokens;

    @Option(names = "--temperature", paramLabel = "T",
            description = "0 always takes the most likely token; 1 samples as the model was trained.")
    Float temperature;

    @Option(names = "--top-k", paramLabel = "K", description = "Sample among the K most likely tokens; 0 for all.")
    Integer topK;

    @Option(names = "--top-p", paramLabel = "P",
            description = "Sample among the most likely tokens that together reach probability P; 1 for all.")
    Float topP;

    @Option(names = "--min-p", paramLabel = "P",
            description = "Sample among tokens at least P times as likely as the likeliest; 0 for all.")
    Float minP;

    @Option(names = "--repetition-penalty", paramLabel = "X", description = "Make tokens that have occurred less likely; 1 is off.")
    Float repetitionPenalty;

    @Option(names = "--seed", paramLabel = "S",
            description = "Seed of the random numbers: the same seed, prompt and options give the same text. "
                    + "Default: a fresh one, which --stats and --json tell unless the run is greedy.")
    Long seed;

    @Option(names = "--stop", paramLabel = "TEXT", description = "End where TEXT would appear; may be given several times.")
    List<String> stop = new ArrayList<>();

    @Option(names = "--logprobs", paramLabel = "N",
            description = "Tell the log-probability of each token and of the N most likely ones (0 to 20): in the JSON object, "
                    + "else on standard error.")
    Integer logprobs;

    /** Whether end ids are ordinary tokens. */
    boolean ignoresEnd() {
        return false;
    }

    /** Refuses at once what would be refused once the model is open. */
    void check() {
        options(SamplingParams.GREEDY, 0);
    }

    /** The model's own suggestion with what was given in its place. */
    GenerationOptions of(Griffin griffin) {
        if (!stop.isEmpty() && !griffin.hasTokenizer()) {
            throw new InvalidRequestException("--stop needs the model's tokenizer.json, and there is none: leave it out");
        }
        return options(griffin.defaultSampling(), griffin.defaultMaxTokens());
    }

    private GenerationOptions options(SamplingParams suggested, int suggestedTokens) {
        SamplingParams s = suggested;
        s = with(s, "--temperature", temperature, s::withTemperature);
        s = with(s, "--top-k", topK, s::withTopK);
        s = with(s, "--top-p", topP, s::withTopP);
        s = with(s, "--min-p", minP, s::withMinP);
        s = with(s, "--repetition-penalty", repetitionPenalty, s::withRepetitionPenalty);
        s = with(s, "--seed", seed, s::withSeed);
        if (logprobs != null && logprobs < 0) { // the library's word for none
            throw new InvalidRequestException("--logprobs must be 0 to 20 alternatives, not " + logprobs);
        }
        s = with(s, "--logprobs", logprobs, s::withLogProbabilities);
        GenerationOptions options = new GenerationOptions(s, suggestedTokens, List.of(), ignoresEnd());
        GenerationOptions limited = maxTokens == null ? options
                : UsageErrors.naming("--max-tokens", () -> options.withMaxTokens(maxTokens));
        return UsageErrors.naming("--stop", () -> limited.withStop(stop.toArray(String[]::new)));
    }

    private static <T> SamplingParams with(SamplingParams params, String option, T value, Function<T, SamplingParams> set) {
        return value == null ? params : UsageErrors.naming(option, () -> set.apply(value));
    }
}
