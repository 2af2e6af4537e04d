package griffin.server.http;

import java.net.URI;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** Who may ask: the API key, and, for browsers, the page that asks and the name it used for this machine. */
final class Guard {

    private static final String BEARER = "bearer ";

    /** An address as a Host header has it, not a name: no other site can make such a name lead here. */
    private static final Pattern ADDRESS = Pattern.compile("\\d{1,3}(\\.\\d{1,3}){3}|\\[?[0-9a-fA-F:.]*:[0-9a-fA-F:.]*]?");

    private final boolean loopback;
    private final byte[] key;
    private final Set<String> names;

    /**
     * @param loopback whether the server listens to this machine alone
     * @param key      the API key, or null for none
     * @param names    names beside localhost that the server answers to
     */
    Guard(boolean loopback, String key, Set<String> names) {
        this.loopback = loopback;
        this.key = key == null ? null : key.getBytes(StandardCharsets.UTF_8);
        this.names = names.stream().map(name -> name.toLowerCase(Locale.ROOT)).collect(Collectors.toUnmodifiableSet());
    }

    /**
     * A page of another site must not use this server through its visitor's browser: neither by a name of its own that it lets point here
     * (DNS rebinding, betrayed by the Host header), nor by a plain request (betrayed by Origin). Where others than this machine may ask, a
     * key protects from the former as well, since such a page does not have it.
     *
     * @param host   the name in the request, without a port
     * @param origin the Origin header, or null
     * @param authority the Host header, or null
     */
    void checkBrowser(String host, String origin, String authority) {
        if (!isOwn(host)) {
            throw new HttpError(403, "the Host header names " + host + ", and this server answers to localhost"
                    + (loopback ? "" : ", to addresses") + " and to the names given with --allowed-host alone", "forbidden_host", null);
        }
        if (origin != null && !origin.equals(sameOrigin(origin, authority))) {
            throw new HttpError(403, "pages of " + origin + " may not use this server", "forbidden_origin", null);
        }
    }

    private boolean isOwn(String host) {
        if (isLoopback(host) || host != null && names.contains(host.toLowerCase(Locale.ROOT))) {
            return true;
        }
        return !loopback && (key != null || host != null && ADDRESS.matcher(host).matches());
    }

    /** The origin itself if it is this server's own, else null. */
    private static String sameOrigin(String origin, String authority) {
        try {
            String asking = new URI(origin).getRawAuthority();
            return asking != null && asking.equalsIgnoreCase(authority) ? origin : null;
        } catch (URISyntaxException e) {
            return null;
        }
    }

    static boolean isLoopback(String host) {
        String name = host == null ? "" : host.toLowerCase(Locale.ROOT);
        return name.equals("localhost") || name.endsWith(".localhost") || name.equals("::1") || name.equals("[::1]")
                || name.matches("127\\.\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}");
    }

    /** Compares the whole key in any case, so that the time taken tells nothing. */
    void checkKey(String authorization) {
        if (key == null) {
            return;
        }
        boolean bearer = authorization != null && authorization.regionMatches(true, 0, BEARER, 0, BEARER.length());
        byte[] given = (bearer ? authorization.substring(BEARER.length()).strip() : "").getBytes(StandardCharsets.UTF_8);
        if (!MessageDigest.isEqual(key, given)) {
            throw new HttpError(401, authorization == null ? "this server needs an API key: send Authorization: Bearer KEY"
                    : "the API key is not this server's", "invalid_api_key", null).with("WWW-Authenticate", "Bearer");
        }
    }
}
