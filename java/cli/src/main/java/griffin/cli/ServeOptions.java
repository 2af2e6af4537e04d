package griffin.cli;

import griffin.error.InvalidRequestException;
import griffin.server.ServerLimits;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import picocli.CommandLine.Option;

/** How to serve. Each option has an environment variable; {@link Environment} says which. */
final class ServeOptions {

    static final class OnOff extends Words {
        OnOff() {
            super("on", "off");
        }
    }

    /** Sequences at once where neither their number nor a budget is given; as many as a budget is asked to decide. */
    private static final int PARALLEL = 8;
    private static final int MOST_BY_MEMORY = 64;

    @Option(names = "--host", paramLabel = "ADDRESS", defaultValue = "127.0.0.1",
            description = "Address to listen at. Default: ${DEFAULT-VALUE}, this machine alone; 0.0.0.0 is everywhere.")
    String host;

    @Option(names = "--port", paramLabel = "N", defaultValue = "11434",
            description = "Port to listen at; 0 takes a free one. Default: ${DEFAULT-VALUE}.")
    Integer port;

    @Option(names = "--api-key", paramLabel = "KEY",
            description = "Answer only who sends Authorization: Bearer KEY. Better given as GRIFFIN_API_KEY: others can see command lines.")
    String apiKey;

    @Option(names = "--allowed-host", paramLabel = "NAME", split = ",",
            description = "A name by which clients may call this machine, beside localhost; several times, or with commas between. Requests "
                    + "that name another one are refused (403), unless --host is not this machine alone and a key is asked for; there, "
                    + "addresses pass as well. Variable: GRIFFIN_ALLOWED_HOSTS.")
    List<String> allowedHosts;

    @Option(names = "--name", paramLabel = "NAME", description = "What clients call the model. Default: the folder's name.")
    String name;

    @Option(names = "--memory", paramLabel = "SIZE",
            description = "Memory for weights, buffers and states, such as 2048M: as many sequences at once as fit, at most --parallel, or "
                    + "64 without it.")
    String memory;

    @Option(names = "--parallel", paramLabel = "N", description = "Sequences at once; each has a state slot. Default: 8, or by --memory.")
    Integer parallel;

    @Option(names = "--batch", paramLabel = "N",
            description = "Prompt tokens of a step, all requests together: what a long prompt holds up the others by. Default: --chunk.")
    Integer batch;

    @Option(names = "--queue", paramLabel = "N", defaultValue = "128",
            description = "Requests that may wait for a slot; further ones are told to come again (429). Default: ${DEFAULT-VALUE}.")
    Integer queue;

    @Option(names = "--state-cache", paramLabel = "on|off", completionCandidates = OnOff.class, defaultValue = "on",
            description = "Keep states of prompts and replies, so that what a prompt has in common with an earlier one is not read again. "
                    + "Default: ${DEFAULT-VALUE}.")
    String stateCache;

    @Option(names = "--state-memory", paramLabel = "SIZE", defaultValue = "512M",
            description = "Memory for the state cache, and as much again for the states of sessions; at most a quarter of Java's heap each. "
                    + "Default: ${DEFAULT-VALUE}.")
    String stateMemory;

    @Option(names = "--state-dir", paramLabel = "DIR",
            description = "Folder for the state cache beyond the process: it lives in DIR/cache, and nothing else of DIR is read or written, named "
                    + "states of other commands included. Default: $GRIFFIN_STATE_DIR, else none, memory alone.")
    Path stateDir;

    @Option(names = "--state-disk", paramLabel = "SIZE", defaultValue = "8G",
            description = "Most bytes of the state cache in --state-dir. Default: ${DEFAULT-VALUE}.")
    String stateDisk;

    @Option(names = "--state-compression", paramLabel = "KIND", completionCandidates = StateOptions.Compressions.class,
            defaultValue = "none",
            description = "How the state cache keeps states, in memory and in DIR/cache: ${COMPLETION-CANDIDATES}; q8 keeps the window in 8 bits "
                    + "and changes results a little. Sessions are not compressed. Default: $GRIFFIN_STATE_COMPRESSION, else none.")
    String stateCompression;

    @Option(names = "--max-tokens", paramLabel = "N",
            description = "Most tokens of a reply where a request does not say. Default: the model's max_new_tokens, else 400.")
    Integer maxTokens;

    @Option(names = "--max-prompt", paramLabel = "N", defaultValue = "1000000",
            description = "Longest prompt in tokens, without what a kept state has. Default: ${DEFAULT-VALUE}; the model has no limit.")
    Integer maxPrompt;

    @Option(names = "--max-body", paramLabel = "SIZE", defaultValue = "8M", description = "Longest request. Default: ${DEFAULT-VALUE}.")
    String maxBody;

    @Option(names = "--max-requests", paramLabel = "N", defaultValue = "512",
            description = "Most requests at once, waiting ones included. Default: ${DEFAULT-VALUE}.")
    Integer maxRequests;

    @Option(names = "--max-connections", paramLabel = "N", defaultValue = "1024",
            description = "Most open connections; further ones wait to be accepted. Default: ${DEFAULT-VALUE}.")
    Integer maxConnections;

    @Option(names = "--idle-timeout", paramLabel = "SECONDS", defaultValue = "60",
            description = "Close a connection on which nothing moves for so long. Default: ${DEFAULT-VALUE}.")
    Integer idleTimeout;

    @Option(names = "--receive-timeout", paramLabel = "SECONDS", defaultValue = "20",
            description = "Longest time in which a request's headers, and a small body, must arrive. Default: ${DEFAULT-VALUE}.")
    Integer receiveTimeout;

    @Option(names = "--drain", paramLabel = "SECONDS", defaultValue = "30",
            description = "On SIGTERM or Ctrl-C, let requests under way end within this time; new ones are refused (503). "
                    + "Default: ${DEFAULT-VALUE}.")
    Integer drain;

    /** Refuses at once what would be refused once the model is open. */
    void check() {
        range("--port", port, 0, 65_535);
        range("--parallel", parallel, 1, 4096);
        range("--batch", batch, 1, 1 << 16);
        range("--queue", queue, 1, 1 << 20);
        range("--max-tokens", maxTokens, 1, Integer.MAX_VALUE);
        range("--max-prompt", maxPrompt, 1, Integer.MAX_VALUE);
        range("--max-requests", maxRequests, 1, 1 << 20);
        range("--max-connections", maxConnections, 1, 1 << 20);
        range("--idle-timeout", idleTimeout, 1, 86_400);
        range("--receive-timeout", receiveTimeout, 1, 86_400);
        range("--drain", drain, 0, 86_400);
        oneOf("--state-cache", stateCache, new OnOff());
        oneOf("--state-compression", stateCompression, new StateOptions.Compressions());
        ByteSize.parse("--state-memory", stateMemory);
        ByteSize.parse("--state-disk", stateDisk);
        limits();
        memoryBytes();
        for (String host : allowedHosts == null ? List.<String>of() : allowedHosts) {
            if (!host.matches("[A-Za-z0-9._-]+")) {
                throw new InvalidRequestException(
                        "--allowed-host must be the name of a machine, without a scheme and a port, not '" + host + "'");
            }
        }
        if (apiKey != null && apiKey.isBlank()) {
            throw new InvalidRequestException("--api-key must not be blank: leave it out to ask for none");
        }
    }

    private static void range(String option, Integer value, int least, int most) {
        if (value != null && (value < least || value > most)) {
            throw new InvalidRequestException(option + " must be " + least + " to " + most + ", not " + value);
        }
    }

    private static void oneOf(String option, String value, Iterable<String> words) {
        for (String word : words) {
            if (word.equals(value)) {
                return;
            }
        }
        throw new InvalidRequestException(option + " must be " + String.join(" or ", words) + ", not '" + value + "'");
    }

    /** The budget in bytes, or 0 for none. */
    long memoryBytes() {
        return memory == null ? 0 : ByteSize.parse("--memory", memory);
    }

    /** The most sequences at once that are wanted. */
    int wantedParallel() {
        return parallel != null ? parallel : memory != null ? MOST_BY_MEMORY : PARALLEL;
    }

    boolean cachesStates() {
        return stateCache.equals("on");
    }

    ServerLimits limits() {
        long body = ByteSize.parse("--max-body", maxBody);
        if (body < 1024 || body > 1 << 30) {
            throw new InvalidRequestException("--max-body must be 1K to 1G, not " + maxBody);
        }
        return new ServerLimits((int) body, maxRequests, maxConnections, Duration.ofSeconds(idleTimeout),
                Duration.ofSeconds(receiveTimeout));
    }
}
