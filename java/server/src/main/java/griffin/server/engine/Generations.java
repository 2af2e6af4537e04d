package griffin.server.engine;

import griffin.Completion;
import griffin.Generation;
import griffin.GenerationOptions;
import griffin.Griffin;
import griffin.Job;
import griffin.Scheduler;
import griffin.error.BusyException;
import griffin.error.DeviceMemoryException;
import griffin.error.GriffinException;
import griffin.error.InvalidRequestException;
import griffin.error.StateFormatException;
import griffin.sampling.SamplingParams;
import griffin.server.http.Exchange;
import griffin.server.http.HttpError;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Starts what clients ask for. */
public final class Generations {

    private final Griffin griffin;
    private final Scheduler scheduler;
    private final Measures measures;

    Generations(Griffin griffin, Scheduler scheduler, Measures measures) {
        this.griffin = griffin;
        this.scheduler = scheduler;
        this.measures = measures;
    }

    Measures measures() {
        return measures;
    }

    /**
     * Starts all choices, or none. For several, the prompt is read once, up to its last token, and each goes on from there.
     *
     * @throws HttpError 429 when there is no place
     */
    public List<Reply> start(Ask ask, Exchange exchange) throws InterruptedException {
        if (ask.choices() == 1) {
            return List.of(submit(ask, ask.options(), 0));
        }
        int last = ask.ids().length - 1;
        Ask each = ask;
        if (last > 0) {
            int[] lead = Arrays.copyOf(ask.ids(), last);
            Ask reading = new Ask(lead, ask.resume(), ask.resumed(), ask.options().withMaxTokens(0), 1, true);
            try (Reply reply = submit(reading, reading.options(), 0)) {
                reply.read(exchange, piece -> {});
                each = new Ask(new int[] {ask.ids()[last]}, reply.state().orElseThrow(), ask.resumed() + last, ask.options(), ask.choices(),
                        false);
            }
        }
        List<Reply> replies = new ArrayList<>();
        try {
            SamplingParams sampling = ask.options().sampling();
            for (int i = 0; i < ask.choices(); i++) {
                replies.add(submit(each, ask.options().withSampling(sampling.withSeed(sampling.seed() + i)), last > 0 ? last : 0));
            }
            return replies;
        } catch (RuntimeException e) {
            replies.forEach(Reply::close);
            throw e;
        }
    }

    private Reply submit(Ask ask, GenerationOptions options, int forked) {
        try {
            Completion completion = scheduler.submit(new Job(ask.ids(), options, ask.resume(), ask.keepsState()));
            return new Reply(completion, ask, forked, this);
        } catch (BusyException e) {
            measures.busy();
            throw HttpError.busy(e.getMessage());
        }
    }

    void finished(Reply reply, Generation generation) {
        measures.finished(reply.promptTokens(), reply.cachedTokens(), generation.ids().size(), generation.decodeSeconds(),
                scheduler.statistics().running() + 1);
    }

    /** What a failure of the library is to a client. */
    public static HttpError explain(GriffinException e) {
        return switch (e) {
            case InvalidRequestException bad -> HttpError.badRequest(bad.getMessage(), null);
            case StateFormatException bad -> HttpError.badRequest(bad.getMessage(), null);
            case DeviceMemoryException full -> HttpError.busy(full.getMessage());
            default -> new HttpError(500, e.getMessage(), "model_failed", null);
        };
    }
}
