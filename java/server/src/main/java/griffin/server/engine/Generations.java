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
import java.util.Objects;

/** Starts what clients ask for. */
public final class Generations {

    private final Griffin griffin;
    private final Scheduler scheduler;
    private final Measures measures;
    private final ClientWatch clients = new ClientWatch();
    private volatile boolean draining;

    Generations(Griffin griffin, Scheduler scheduler, Measures measures) {
        this.griffin = griffin;
        this.scheduler = scheduler;
        this.measures = measures;
    }

    Measures measures() {
        return measures;
    }

    ClientWatch clients() {
        return clients;
    }

    /** From now on a generation that finds no place is told that the server ends, not that it may come again. */
    public void drain() {
        draining = true;
    }

    /** {@link #start(List, Exchange)} for one prompt. */
    public List<Reply> start(Ask ask, Exchange exchange) throws InterruptedException {
        return start(List.of(ask), exchange);
    }

    /**
     * Starts all choices of all prompts, or none. For several choices a prompt is read once, up to its last token, and each goes on from
     * there. All prompts are read before the first choice starts, so that no reply waits for its reader meanwhile.
     *
     * @return the choices of the first prompt, then those of the second, and so on
     * @throws HttpError 400 when there are more than the server ever has places for, 429 when there is no place, 503 when the server ends
     */
    public List<Reply> start(List<Ask> asks, Exchange exchange) throws InterruptedException {
        requirePlaces(asks.stream().mapToLong(Ask::choices).sum());
        List<Reply> leads = new ArrayList<>();
        List<Reply> replies = new ArrayList<>();
        try {
            for (Ask ask : asks) {
                leads.add(ask.choices() > 1 && ask.ids().length > 1 ? lead(ask) : null);
            }
            for (Reply lead : leads) {
                if (lead != null) {
                    lead.read(exchange, piece -> {});
                }
            }
            for (int i = 0; i < leads.size(); i++) {
                addChoices(asks.get(i), leads.get(i), replies);
            }
            return replies;
        } catch (RuntimeException | InterruptedException e) {
            replies.forEach(Reply::close);
            throw e;
        } finally {
            leads.stream().filter(Objects::nonNull).forEach(Reply::close);
        }
    }

    private void requirePlaces(long choices) {
        if (choices > scheduler.places()) {
            throw HttpError.badRequest("the request asks for " + choices + " continuations (n for each prompt), and this server has places"
                    + " for " + scheduler.places() + " at once, waiting ones included: ask for fewer, or in several requests", "n");
        }
    }

    /** Reads a prompt up to its last token. */
    private Reply lead(Ask ask) {
        int[] ids = Arrays.copyOf(ask.ids(), ask.ids().length - 1);
        Ask reading = new Ask(ids, ask.resume(), ask.resumed(), ask.options().withMaxTokens(0), 1, true);
        return submit(reading, reading.options(), null, reading.promptTokens());
    }

    private void addChoices(Ask ask, Reply lead, List<Reply> replies) {
        Ask each = ask;
        if (lead != null) {
            int last = ask.ids().length - 1;
            each = new Ask(new int[] {ask.ids()[last]}, lead.state().orElseThrow(), ask.resumed() + last, ask.options(), ask.choices(),
                    false);
        }
        SamplingParams sampling = ask.options().sampling();
        for (int i = 0; i < ask.choices(); i++) {
            GenerationOptions options = i == 0 ? ask.options() : ask.options().withSampling(sampling.withSeed(sampling.seed() + i));
            int counted = i > 0 ? 0 : lead == null ? ask.promptTokens() : 1; // a prompt is measured once
            replies.add(submit(each, options, lead, counted));
        }
    }

    private Reply submit(Ask ask, GenerationOptions options, Reply lead, int counted) {
        try {
            Completion completion = scheduler.submit(new Job(ask.ids(), options, ask.resume(), ask.keepsState()));
            return new Reply(completion, ask, lead, counted, this);
        } catch (BusyException e) {
            if (draining) {
                throw HttpError.draining();
            }
            measures.busy();
            throw HttpError.busy(e.getMessage());
        }
    }

    /**
     * A generation ended.
     *
     * @param prompt tokens of its prompt, as far as no other generation of the same prompt has them measured
     * @param cached of these, how many a kept state had
     */
    void finished(int prompt, int cached, Generation generation) {
        measures.finished(prompt, cached, generation.ids().size(), generation.decodeSeconds(), scheduler.statistics().running() + 1);
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
