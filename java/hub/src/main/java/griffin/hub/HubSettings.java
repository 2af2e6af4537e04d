package griffin.hub;

import griffin.error.InvalidRequestException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * Which hub, as whom, which revision, and over how many connections.
 *
 * @param hub         address of the hub, without a slash at its end
 * @param token       who asks, if that was told; goes to {@code hub} alone
 * @param revision    branch, tag or commit
 * @param connections most connections at once, 1 to 64
 */
public record HubSettings(URI hub, Optional<AccessToken> token, String revision, int connections) {

    /** The hub where none is named. */
    public static final URI DEFAULT_HUB = URI.create("https://huggingface.co");
    /** The revision where none is named. */
    public static final String DEFAULT_REVISION = "main";
    /** Connections where no number is given. */
    public static final int DEFAULT_CONNECTIONS = 8;

    private static final int MOST_CONNECTIONS = 64;
    private static final Pattern REVISION = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._/-]{0,199}");

    /** Checks all of them. */
    public HubSettings {
        if (!REVISION.matcher(revision).matches() || revision.contains("..")) {
            throw new InvalidRequestException("'" + revision + "' is no revision: expected a branch, a tag or a commit");
        }
        if (connections < 1 || connections > MOST_CONNECTIONS) {
            throw new InvalidRequestException("connections must be 1 to " + MOST_CONNECTIONS + ", not " + connections);
        }
    }

    /** The default hub as nobody in particular. */
    public static HubSettings ofDefault() {
        return new HubSettings(DEFAULT_HUB, Optional.empty(), DEFAULT_REVISION, DEFAULT_CONNECTIONS);
    }

    /**
     * What an environment says. The hub is the first of {@code hub}, {@code GRIFFIN_HUB}, {@code HF_ENDPOINT} and the default; the token the
     * first of {@code tokenFile}, {@code GRIFFIN_HUB_TOKEN}, {@code HF_TOKEN} and the file that the hub's own tools write. The last two
     * are left out where {@code hub} or {@code GRIFFIN_HUB} names the hub: they were made for another.
     *
     * @param hub         the hub's address, or null
     * @param tokenFile   a file that holds a token, or null
     * @param environment variables by name
     * @param home        the user's folder
     */
    public static HubSettings of(String hub, Path tokenFile, Map<String, String> environment, Path home) {
        String own = hub != null ? hub : set(environment, "GRIFFIN_HUB");
        String other = set(environment, "HF_ENDPOINT");
        URI address = own != null ? address(own, hub != null ? "--hub" : "GRIFFIN_HUB")
                : other != null ? address(other, "HF_ENDPOINT") : DEFAULT_HUB;
        boolean theirs = own == null || address.equals(DEFAULT_HUB) || other != null && address.equals(address(other, "HF_ENDPOINT"));
        return new HubSettings(address, token(tokenFile, environment, home, theirs), DEFAULT_REVISION, DEFAULT_CONNECTIONS);
    }

    private static Optional<AccessToken> token(Path file, Map<String, String> environment, Path home, boolean theirs) {
        if (file != null) {
            return Optional.of(AccessToken.read(file));
        }
        for (String variable : theirs ? List.of("GRIFFIN_HUB_TOKEN", "HF_TOKEN") : List.of("GRIFFIN_HUB_TOKEN")) {
            if (set(environment, variable) != null) {
                return Optional.of(AccessToken.of(set(environment, variable), variable));
            }
        }
        String folder = set(environment, "HF_HOME");
        Path written = folder != null ? Path.of(folder, "token") : home.resolve(Path.of(".cache", "huggingface", "token"));
        return theirs && Files.isRegularFile(written) ? Optional.of(AccessToken.read(written)) : Optional.empty();
    }

    private static String set(Map<String, String> environment, String variable) {
        String value = environment.get(variable);
        return value == null || value.isBlank() ? null : value.strip();
    }

    /** The same with another revision. */
    public HubSettings withRevision(String other) {
        return new HubSettings(hub, token, other, connections);
    }

    /** The same with another number of connections. */
    public HubSettings withConnections(int most) {
        return new HubSettings(hub, token, revision, most);
    }

    /**
     * Reads the address of a hub.
     *
     * @param source what gave it, for the message
     * @throws InvalidRequestException when it is none: http or https, a host, no user, query or fragment
     */
    static URI address(String text, String source) {
        try {
            URI uri = new URI(text.replaceFirst("/+$", ""));
            String scheme = uri.getScheme() == null ? "" : uri.getScheme().toLowerCase(Locale.ROOT);
            if (uri.getHost() != null && (scheme.equals("https") || scheme.equals("http")) && uri.getRawQuery() == null
                    && uri.getRawFragment() == null && uri.getRawUserInfo() == null) {
                return uri;
            }
        } catch (URISyntaxException e) {
            throw noAddress(text, source, e);
        }
        throw noAddress(text, source, null);
    }

    private static InvalidRequestException noAddress(String text, String source, Throwable cause) {
        // A password before the host stays out of the message.
        return new InvalidRequestException(source + ": '" + text.replaceFirst("//[^/]*@", "//...@") + "' is no address of a hub: expected "
                + "http:// or https:// and a host, without user, query or fragment", cause);
    }
}
