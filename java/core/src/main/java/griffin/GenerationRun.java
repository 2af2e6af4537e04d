package griffin;

import griffin.Generation.Alternative;
import griffin.Generation.TokenLogProbability;
import griffin.backend.StepResult;
import griffin.sampling.SamplingParams;
import griffin.session.Sequence;
import griffin.session.SequenceRun;
import griffin.text.TextStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** One generation, step by step: tells the listener and collects ids, text, log-probabilities and times. */
final class GenerationRun {

    private final Session session;
    private final int[] promptIds;
    private final SamplingParams sampling;
    private final TextStream text;
    private final GenerationListener listener;
    private final SequenceRun run;
    private final List<TokenLogProbability> logProbabilities = new ArrayList<>();
    private int[] ids = new int[64];
    private int count;
    private boolean stopped;
    private long start;
    private long firstToken;

    GenerationRun(Session session, int[] promptIds, SamplingParams sampling, int maxTokens, int[] endIds, TextStream text,
            GenerationListener listener) {
        this.session = session;
        this.promptIds = promptIds;
        this.sampling = sampling;
        this.text = text;
        this.listener = listener;
        run = session.sequence().start(promptIds, sampling, maxTokens, endIds);
    }

    /** Reads a chunk of the prompt or samples a token, and tells so; false when there was nothing left to do. */
    boolean step() {
        if (start == 0) {
            start = System.nanoTime();
            listener.promptRead(0, promptIds.length);
        }
        if (!run.next()) {
            return false;
        }
        if (run.isToken()) {
            token(run.result());
        } else {
            listener.promptRead(run.promptRead(), promptIds.length);
        }
        if (stopped || session.cancelled()) {
            run.stop();
        }
        return true;
    }

    /** What came of it, after the last step; lets out the text that was held back. */
    Generation result() {
        long end = System.nanoTime();
        long first = firstToken == 0 ? end : firstToken;
        return new Generation(list(promptIds, promptIds.length), list(ids, count), text.finish(), reason(run.finish()),
                List.copyOf(logProbabilities), (first - start) / 1e9, (end - first) / 1e9);
    }

    private void token(StepResult result) {
        int id = result.ids[0];
        if (firstToken == 0) {
            firstToken = System.nanoTime();
        }
        if (count == ids.length) {
            ids = Arrays.copyOf(ids, 2 * count);
        }
        ids[count++] = id;
        if (sampling.logProbabilities() >= 0) {
            logProbabilities.add(logProbability(id, result));
        }
        listener.token(id);
        stopped = text.append(id);
    }

    private TokenLogProbability logProbability(int id, StepResult result) {
        List<Alternative> alternatives = new ArrayList<>();
        for (int i = 0; i < sampling.logProbabilities() && result.alternativeIds[i] >= 0; i++) {
            alternatives.add(new Alternative(result.alternativeIds[i], result.alternativeLogProbabilities[i]));
        }
        return new TokenLogProbability(id, result.logProbabilities[0], List.copyOf(alternatives));
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
