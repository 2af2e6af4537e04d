package griffin.server.http;

import java.util.LinkedHashMap;
import java.util.Map;

/** A request that is not served: the status, why in words, and for programs which error and which field. */
public final class HttpError extends RuntimeException {

    private static final long serialVersionUID = 1L;
    /** Seconds after which a busy server may be asked again. */
    private static final String RETRY_SECONDS = "1";

    private final int status;
    private final String code;
    private final String field;
    private final transient Map<String, String> headers = new LinkedHashMap<>();

    /**
     * @param code  a word for programs, or null
     * @param field the field of the request that is wrong, or null
     */
    public HttpError(int status, String message, String code, String field) {
        super(message);
        this.status = status;
        this.code = code;
        this.field = field;
    }

    public static HttpError badRequest(String message, String field) {
        return new HttpError(400, message, null, field);
    }

    public static HttpError notFound(String message, String code, String field) {
        return new HttpError(404, message, code, field);
    }

    /** All places are taken for now. */
    public static HttpError busy(String message) {
        return new HttpError(429, message, "rate_limit_exceeded", null).with("Retry-After", RETRY_SECONDS);
    }

    /** The server is about to end. */
    public static HttpError draining() {
        return new HttpError(503, "the server is shutting down and takes no new requests", "shutting_down", null)
                .with("Retry-After", RETRY_SECONDS).with("Connection", "close");
    }

    public HttpError with(String header, String value) {
        headers.put(header, value);
        return this;
    }

    public int status() {
        return status;
    }

    public String code() {
        return code;
    }

    public String field() {
        return field;
    }

    public Map<String, String> headers() {
        return headers;
    }
}
