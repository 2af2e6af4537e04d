package griffin.server.engine;

import griffin.Griffin;
import griffin.Scheduler;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
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
     * @param names            further names of the model
     * @param maxTokens        most tokens of a generation where a request does not say
     * @param mostPromptTokens longest prompt
     * @param sessionBytes     memory for the states of sessions; at least two fit
     */
    public ServerEngine(Griffin griffin, Scheduler scheduler, String name, Set<String> names, int maxTokens, int mostPromptTokens,
            long sessionBytes) {
        Prompts prompts = new Prompts(griffin, mostPromptTokens);
        model = new ServedModel(griffin, name, names, Instant.now(), maxTokens, prompts, ChatForm.of(griffin, prompts), digest(griffin));
        sessions = new Sessions(Math.max(sessionBytes, 4 * griffin.stateBytes()), System::nanoTime);
        generations = new Generations(griffin, scheduler, measures);
        measures.gauge("griffin_running", "Generations that have a state slot", () -> scheduler.statistics().running());
        measures.gauge("griffin_waiting", "Generations that wait for a state slot", () -> scheduler.statistics().waiting());
        measures.gauge("griffin_slots", "State slots", () -> scheduler.statistics().slots());
        measures.gauge("griffin_slots_free", "State slots that nobody has", () -> scheduler.statistics().slotsFree());
        measures.gauge("griffin_sessions", "Sessions with a state", () -> sessions.names().size());
        measures.gauge("griffin_session_bytes", "Bytes of the states of sessions", sessions::bytes);
        measures.total("griffin_sessions_evicted_total", "States of sessions that had to go for others", sessions::evicted);
        measures.total("griffin_steps_total", "Device steps", () -> scheduler.statistics().steps());
        measures.gauge("griffin_step_rows", "Token rows of the last step", () -> scheduler.statistics().rowsLastStep());
        measures.gauge("griffin_step_sequences", "Sequences of the last step", () -> scheduler.statistics().sequencesLastStep());
        measures.total("griffin_cache_hits_total", "Prompts that began with a cached prefix", () -> scheduler.statistics().cacheHits());
        measures.total("griffin_cache_tokens_total", "Prompt tokens taken from the prefix cache",
                () -> scheduler.statistics().cacheTokens());
    }

    private static String digest(Griffin griffin) {
        try {
            return HexFormat.of().formatHex(
                    MessageDigest.getInstance("SHA-256").digest(griffin.config().toString().getBytes(StandardCharsets.UTF_8)));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
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
        try (var session = model.griffin().restore(snapshot)) {
            return session.length();
        }
    }
}
