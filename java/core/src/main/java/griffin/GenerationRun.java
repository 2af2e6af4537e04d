package griffin;

import griffin.backend.StepResult;
import griffin.sampling.SamplingParams;
import griffin.session.SequenceRun;
import griffin.text.TextStream;

/** One generation of a session, step by step: tells the listener, and the log that collects. */
final class GenerationRun {

    private final Session session;
    private final int[] promptIds;
    private final GenerationListener listener;
    private final SequenceRun run;
    private final GenerationLog log;
    private boolean begun;

    GenerationRun(Session session, int[] promptIds, SamplingParams sampling, int maxTokens, int[] endIds, TextStream text,
            GenerationListener listener) {
        this.session = session;
        this.promptIds = promptIds;
        this.listener = listener;
        log = new GenerationLog(sampling, text);
        run = session.sequence().start(promptIds, sampling, maxTokens, endIds);
    }

    /** Reads a chunk of the prompt or samples a token, and tells so; false when there was nothing left to do. */
    boolean step() {
        if (!begun) {
            begun = true;
            log.begin();
            listener.promptRead(0, promptIds.length);
        }
        if (!run.next()) {
            return false;
        }
        if (run.isToken()) {
            token(run.result(), run.index());
        } else {
            listener.promptRead(run.promptRead(), promptIds.length);
        }
        if (log.stopped() || session.cancelled()) {
            run.stop();
        }
        return true;
    }

    /** What came of it, after the last step; lets out the text that was held back. */
    Generation result() {
        return log.result(promptIds, promptIds.length, run.finish());
    }

    private void token(StepResult result, int index) {
        int id = result.ids[index];
        listener.token(id);
        log.token(id, result, index);
    }
}
