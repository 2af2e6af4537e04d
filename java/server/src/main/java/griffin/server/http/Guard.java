package griffin.server.http;

import java.net.URI;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Locale;

/** Who may ask: the API key, and, for browsers, the page that asks and the name it used for this machine. */
final class Guard {

    private static final String BEARER = "bearer ";

    private final boolean loopback;
    private final byte[] key;

    /**
     * @param loopback whether the server listens to this machine alone
     * @param key      the API key, or null for none
     */
    Guard(boolean loopback, String key) {
        this.loopback = loopback;
        this.key = key == null ? null : key.getBytes(StandardCharsets.UTF_8);
    }

    /**
     * A page of another site must not use this server through its visitor's browser: neither by a name of its own that it lets point here
     * (DNS rebinding, betrayed by the Host header), nor by a plain request (betrayed by Origin).
     *
     * @param host   the name in the request, without a port
     * @param origin the Origin header, or null
     * @param authority the Host header, or null
     */
    void checkBrowser(String host, String origin, String authority) {
        if (loopback && !isLoopback(host)) {
            throw new HttpError(403, "the Host header names " + host + ", and this server answers to localhost alone", "forbidden_host",
                    null);
        }
        if (origin != null && !origin.equals(sameOrigin(origin, authority))) {
            throw new HttpError(403, "pages of " + origin + " may not use this server", "forbidden_origin", null);
        }
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
