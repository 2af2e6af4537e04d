package griffin;

import griffin.Generation.Alternative;
import griffin.Generation.TokenLogProbability;
import griffin.backend.StepResult;
import griffin.sampling.SamplingParams;
import griffin.session.Sequence;
import griffin.text.TextStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** What came of a generation so far: ids, text, log-probabilities, times, and whether a stop string has appeared. */
final class GenerationLog {

    private final SamplingParams sampling;
    private final TextStream text;
    private final List<TokenLogProbability> logProbabilities = new ArrayList<>();
    private int[] ids = new int[64];
    private int count;
    private boolean stopped;
    private long start;
    private long firstToken;

    GenerationLog(SamplingParams sampling, TextStream text) {
        this.sampling = sampling;
        this.text = text;
    }

    /** The times count from now on. */
    void begin() {
        start = System.nanoTime();
    }

    /** Takes a token; the text that it completes goes where the stream's text goes. */
    void token(int id, StepResult result, int index) {
        if (firstToken == 0) {
            firstToken = System.nanoTime();
        }
        if (count == ids.length) {
            ids = Arrays.copyOf(ids, 2 * count);
        }
        ids[count++] = id;
        if (sampling.logProbabilities() >= 0) {
            logProbabilities.add(logProbability(id, result, index));
        }
        stopped = text.append(id);
    }

    private TokenLogProbability logProbability(int id, StepResult result, int index) {
        List<Alternative> alternatives = new ArrayList<>();
        int at = index * StepResult.MAX_ALTERNATIVES;
        for (int i = 0; i < sampling.logProbabilities() && result.alternativeIds[at + i] >= 0; i++) {
            alternatives.add(new Alternative(result.alternativeIds[at + i], result.alternativeLogProbabilities[at + i]));
        }
        return new TokenLogProbability(id, result.logProbabilities[index], List.copyOf(alternatives));
    }

    /** The last token's, or none if they were not asked for. */
    List<TokenLogProbability> lastLogProbability() {
        return logProbabilities.isEmpty() ? List.of() : List.of(logProbabilities.getLast());
    }

    /** Whether a stop string is complete. */
    boolean stopped() {
        return stopped;
    }

    int count() {
        return count;
    }

    /** The ids that were read and generated, one after the other. */
    int[] after(int[] promptIds) {
        int[] all = Arrays.copyOf(promptIds, promptIds.length + count);
        System.arraycopy(ids, 0, all, promptIds.length, count);
        return all;
    }

    /** What came of it; lets out the text that was held back. */
    Generation result(int[] promptIds, int promptLength, Sequence.Finish finish) {
        long end = System.nanoTime();
        long first = firstToken == 0 ? end : firstToken;
        return new Generation(list(promptIds, promptLength), list(ids, count), text.finish(), reason(finish),
                List.copyOf(logProbabilities), (first - start) / 1e9, (end - first) / 1e9);
    }

    private FinishReason reason(Sequence.Finish finish) {
        return switch (finish) {
            case END_ID -> FinishReason.END;
            case LIMIT -> stopped ? FinishReason.STOP : FinishReason.LENGTH;
            case CANCELLED -> FinishReason.CANCELLED;
            case STOPPED_BY_SINK -> stopped ? FinishReason.STOP : FinishReason.CANCELLED;
        };
    }

    private static List<Integer> list(int[] values, int count) {
        return Arrays.stream(values, 0, count).boxed().toList();
    }
}
