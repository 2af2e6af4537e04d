package griffin.cli;

import griffin.hub.HubSettings;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** Which hub, and as whom. */
final class HubOptions {

    @Option(names = "--hub", paramLabel = "URL",
            description = "Address of a Hugging Face-compatible hub. Default: GRIFFIN_HUB, else HF_ENDPOINT, else Hugging Face's own.")
    String hub;

    @Option(names = "--token-file", paramLabel = "FILE",
            description = "File that holds an access token, for gated and private models. Default: GRIFFIN_HUB_TOKEN; and, where neither --hub nor "
                    + "GRIFFIN_HUB names another hub, HF_TOKEN or the file that Hugging Face's own tools write. It goes to the hub alone.")
    Path tokenFile;

    @Option(names = "--revision", paramLabel = "NAME", description = "Branch, tag or commit. Default: main.")
    String revision;

    @Option(names = "--connections", paramLabel = "N", description = "Most connections at once. Default: 8.")
    Integer connections;

    HubSettings settings(Terminal terminal) {
        HubSettings settings = HubSettings.of(hub, tokenFile, terminal.environment(), Path.of(System.getProperty("user.home")));
        HubSettings named = revision == null ? settings : UsageErrors.naming("--revision", () -> settings.withRevision(revision));
        return connections == null ? named : UsageErrors.naming("--connections", () -> named.withConnections(connections));
    }
}
