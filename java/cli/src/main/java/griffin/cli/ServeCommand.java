package griffin.cli;

import griffin.Griffin;
import griffin.GriffinBuilder;
import griffin.PrefixCache;
import griffin.Scheduler;
import griffin.StateCompression;
import griffin.error.InvalidRequestException;
import griffin.server.GriffinServer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code griffin-run serve}: the model behind HTTP interfaces. */
@Command(name = "serve", header = "the model behind OpenAI's and Ollama's HTTP interfaces, and a page to chat", sortOptions = false,
        abbreviateSynopsis = true, optionListHeading = "%nOptions:%n",
        description = {"", "Serves the model over HTTP until Ctrl-C or SIGTERM: OpenAI's interface (/v1/chat/completions, /v1/completions, "
                + "/v1/models), Ollama's (/api/generate, /api/chat, /api/tags, /api/show, /api/ps, /api/version), a page to chat from a "
                + "browser (/), /health, and /metrics for Prometheus. Texts may have any length, always."},
        footerHeading = "%nEvery option under Server, and --window, is also an environment variable:%n",
        footer = {
            "  --state-dir is GRIFFIN_STATE_DIR, --allowed-host GRIFFIN_ALLOWED_HOSTS, and so on; griffin-run info --settings shows what is in force%n"})
final class ServeCommand implements Callable<Integer> {

    private final Terminal terminal;

    @ArgGroup(validate = false, heading = "%nServer:%n", order = 1)
    ServeOptions serve = new ServeOptions();

    @ArgGroup(validate = false, heading = "%nModel and device:%n", order = 2)
    ModelOptions model = new ModelOptions();

    @Mixin
    CommonOptions.OfServer common = new CommonOptions.OfServer();

    ServeCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() throws InterruptedException {
        serve.check();
        CompletableFuture<Interrupts.Signal> signal = new CompletableFuture<>();
        terminal.interrupts().otherwise(signal::complete); // the first is heard, a second ends the process
        try (Griffin griffin = model.open(terminal, common.verbose, this::sized);
                PrefixCache cache = cache(griffin);
                Scheduler scheduler = scheduler(griffin, cache);
                GriffinServer server = server(griffin, scheduler, cache)) {
            tell(griffin, server);
            return drain(server, scheduler, signal.get());
        } catch (ExecutionException e) {
            throw new IllegalStateException(e);
        } finally {
            terminal.interrupts().otherwise(null);
        }
    }

    private GriffinBuilder sized(GriffinBuilder builder) {
        builder.parallel(serve.wantedParallel()).sessions(serve.wantedParallel() + 1);
        return serve.memory == null ? builder : UsageErrors.naming("--memory", () -> builder.memory(serve.memoryBytes()));
    }

    /** The state cache, or null where it is off. */
    private PrefixCache cache(Griffin griffin) {
        if (!serve.cachesStates()) {
            return null;
        }
        StateCompression compression = StateCompression.of(serve.stateCompression);
        return PrefixCache.builder().identity(griffin.modelIdentity()).memory(stateBytes())
                .directory(serve.stateDir == null ? null : serve.stateDir.resolve("cache"))
                .diskBudget(ByteSize.parse("--state-disk", serve.stateDisk)).compression(compression).build();
    }

    /** Memory for kept states: they are in Java's heap, which must not be full of them. */
    private long stateBytes() {
        return Math.min(ByteSize.parse("--state-memory", serve.stateMemory), Runtime.getRuntime().maxMemory() / 4);
    }

    private Scheduler scheduler(Griffin griffin, PrefixCache cache) {
        int rows = serve.batch != null ? serve.batch : griffin.chunk();
        if (rows < griffin.parallel()) {
            throw new InvalidRequestException(
                    (serve.batch != null ? "--batch" : "--chunk") + " must be at least as many tokens as there are "
                            + "sequences at once, " + griffin.parallel() + ", not " + rows + ": give more, or a smaller --parallel");
        }
        Scheduler.Builder builder = Scheduler.builder(griffin).waiting(serve.queue).prefixCache(cache);
        if (serve.batch != null) {
            builder.batch(serve.batch);
        }
        return builder.start();
    }

    private GriffinServer server(Griffin griffin, Scheduler scheduler, PrefixCache cache) {
        GriffinServer.Builder builder = GriffinServer.builder(griffin, scheduler, name()).names(Set.of(model.name())).prefixCache(cache)
                .host(serve.host).port(serve.port)
                .allowedHosts(serve.allowedHosts == null ? Set.of() : Set.copyOf(serve.allowedHosts)).apiKey(serve.apiKey)
                .mostPromptTokens(serve.maxPrompt).limits(serve.limits())
                .sessionBytes(stateBytes()).notices(terminal::note);
        if (serve.maxTokens != null) {
            builder.maxTokens(serve.maxTokens);
        }
        return builder.start();
    }

    /** The model's folder, or the name by which it was pulled, as people and clients call it. */
    private String name() {
        if (serve.name != null || model.model == null) {
            return serve.name != null ? serve.name : model.name();
        }
        Path folder = Files.exists(model.model) ? model.model.toAbsolutePath().normalize().getFileName() : null;
        return folder == null ? model.name() : folder.toString();
    }

    private void tell(Griffin griffin, GriffinServer server) {
        String host = serve.host.contains(":") ? "[" + serve.host + "]" : serve.host;
        String url = "http://" + host + ":" + server.port();
        terminal.note(slots(griffin));
        terminal.note(states());
        if (!GriffinServer.isLoopback(serve.host) && serve.apiKey == null) {
            terminal.note("warning: everyone who can reach " + serve.host + " may use this server; --api-key asks for a key");
            terminal.note("without a key, only requests to this machine's addresses and names (localhost" + (serve.allowedHosts == null ? ""
                    : ", " + String.join(", ", serve.allowedHosts)) + ") are answered; --allowed-host adds a name of this machine");
        }
        terminal.note("serving " + name() + " at " + url + " (OpenAI: " + url + "/v1, Ollama: " + url + ", a page: " + url + "/)");
        if (common.json) {
            terminal.out().print(Json.object(json -> {
                json.writeStringProperty("url", url);
                json.writeNumberProperty("port", server.port());
                json.writeStringProperty("model", name());
                json.writeNumberProperty("slots", griffin.parallel());
                json.writeNumberProperty("state_bytes", griffin.stateBytes());
                json.writeNumberProperty("weight_bytes", griffin.weightBytes());
                json.writeNumberProperty("workspace_bytes", griffin.workspaceBytes());
            }));
        }
    }

    /** What decides how many are served at once, and that the length of a text does not. */
    private String slots(Griffin griffin) {
        int slots = griffin.parallel();
        String budget = serve.memory == null ? "" : " within " + ByteSize.text(serve.memoryBytes());
        return slots + (slots == 1 ? " state slot" : " state slots")
                + (serve.parallel != null && slots < serve.parallel ? " of " + serve.parallel + " asked for" : "") + budget + ", "
                + ByteSize.text(griffin.stateBytes()) + " each and "
                + ByteSize.text(slots * griffin.stateBytes()) + " together, for texts of any length; weights "
                + ByteSize.text(griffin.weightBytes()) + ", buffers " + ByteSize.text(griffin.workspaceBytes()) + "; up to " + serve.queue
                + " requests wait";
    }

    private String states() {
        if (!serve.cachesStates()) {
            return "state cache off: every prompt is read from its beginning";
        }
        return "state cache on: " + ByteSize.text(stateBytes()) + " in memory, "
                + (serve.stateDir == null ? "none on disk" : serve.stateDisk + " in " + serve.stateDir.resolve("cache")) + ", compression "
                + serve.stateCompression;
    }

    private int drain(GriffinServer server, Scheduler scheduler, Interrupts.Signal signal) throws InterruptedException {
        int under = scheduler.statistics().running() + scheduler.statistics().waiting();
        terminal.note("ending: " + under + (under == 1 ? " request is" : " requests are") + " under way and may take " + serve.drain
                + " s to end; the same signal again ends at once");
        if (server.drain(Duration.ofSeconds(serve.drain))) {
            return 0;
        }
        terminal.note("requests that did not end in time are cut off");
        return signal.exitCode;
    }
}
