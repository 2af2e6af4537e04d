package griffin.server.engine;

import griffin.Griffin;
import griffin.PrefixCache;
import griffin.Scheduler;
import griffin.StateInfo;
import griffin.error.StateFormatException;
import java.time.Instant;
import java.util.HexFormat;
import java.util.Set;

/** The parts that both APIs use, put together. */
public final class ServerEngine {

    private final ServedModel model;
    private final Sessions sessions;
    private final Measures measures = new Measures();
    private final Generations generations;

    /**
     * @param cache            what the scheduler finds prompts in, to be measured, or null
     * @param names            further names of the model
     * @param maxTokens        most tokens of a generation where a request does not say
     * @param mostPromptTokens longest prompt
     * @param sessionBytes     memory for the states of sessions; at least two fit
     */
    public ServerEngine(Griffin griffin, Scheduler scheduler, PrefixCache cache, String name, Set<String> names, int maxTokens,
            int mostPromptTokens,
            long sessionBytes) {
        Prompts prompts = new Prompts(griffin, mostPromptTokens);
        model = new ServedModel(griffin, name, names, Instant.now(), maxTokens, prompts, ChatForm.of(griffin, prompts),
                HexFormat.of().formatHex(griffin.modelIdentity()));
        sessions = new Sessions(Math.max(sessionBytes, 4 * griffin.stateBytes()), System::nanoTime);
        generations = new Generations(griffin, scheduler, measures);
        measures.gauge("griffin_running", "Generations that have a state slot", () -> scheduler.statistics().running());
        measures.gauge("griffin_waiting", "Generations that wait for a state slot", () -> scheduler.statistics().waiting());
        measures.gauge("griffin_slots", "State slots", () -> scheduler.statistics().slots());
        measures.gauge("griffin_slots_free", "State slots that nobody has", () -> scheduler.statistics().slotsFree());
        measures.gauge("griffin_sessions", "Sessions with a state", () -> sessions.names().size());
        measures.gauge("griffin_session_bytes", "Bytes of the states and transcripts of sessions", sessions::bytes);
        measures.total("griffin_sessions_evicted_total", "States of sessions that had to go for others", sessions::evicted);
        measures.total("griffin_steps_total", "Device steps", () -> scheduler.statistics().steps());
        measures.gauge("griffin_step_rows", "Token rows of the last step", () -> scheduler.statistics().rowsLastStep());
        measures.gauge("griffin_step_sequences", "Sequences of the last step", () -> scheduler.statistics().sequencesLastStep());
        measures.total("griffin_cache_hits_total", "Prompts that began with a cached prefix", () -> scheduler.statistics().cacheHits());
        measures.total("griffin_cache_tokens_total", "Prompt tokens taken from the prefix cache",
                () -> scheduler.statistics().cacheTokens());
        measures.total("griffin_cache_misses_total", "Prompts of which no prefix was cached", () -> scheduler.statistics().cacheMisses());
        if (cache != null) {
            measure(cache);
        }
    }

    private void measure(PrefixCache cache) {
        measures.gauge("griffin_cache_entries", "States in the prefix cache's memory", () -> cache.statistics().memoryEntries());
        measures.gauge("griffin_cache_bytes", "Bytes of the prefix cache in memory", () -> cache.statistics().memoryBytes());
        measures.gauge("griffin_cache_disk_bytes", "Bytes of the prefix cache on disk", () -> cache.statistics().diskBytes());
        measures.total("griffin_cache_evictions_total", "States that left the prefix cache's memory for others",
                () -> cache.statistics().evictions());
        measures.total("griffin_cache_unwritten_total",
                "States that did not go to the prefix cache's folder: writing failed, or memory was needed",
                () -> cache.statistics().unwritten());
        measures.total("griffin_cache_refused_files_total", "Files of the prefix cache that were damaged or another model's, and removed",
                () -> cache.statistics().refusedFiles());
        measures.gauge("griffin_cache_compression_ratio", "How many times smaller than in float32 cached states are kept",
                () -> cache.statistics().ratio());
    }

    public ServedModel model() {
        return model;
    }

    public Sessions sessions() {
        return sessions;
    }

    public Measures measures() {
        return measures;
    }

    public Generations generations() {
        return generations;
    }

    /**
     * Tokens that a state has.
     *
     * @throws griffin.error.StateFormatException when it is damaged or another model's
     */
    public int tokens(byte[] snapshot) {
        StateInfo info = StateInfo.of(snapshot, "the state");
        if (!info.model().equals(model.digest())) {
            throw new StateFormatException(
                    "the state belongs to another model, or to this one with another window (" + info.shape() + "): this server has "
                            + model.name());
        }
        return info.tokens();
    }
}
