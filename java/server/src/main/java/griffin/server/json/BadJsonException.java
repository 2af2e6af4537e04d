package griffin.server.json;

/** What a client sent is no JSON, or not the JSON that was asked for. */
public final class BadJsonException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    private final String field;

    /**
     * @param field the field that is wrong, such as {@code messages[1].content}, or null if there is no JSON to speak of
     */
    public BadJsonException(String message, String field) {
        super(message);
        this.field = field;
    }

    /** The field that is wrong, or null. */
    public String field() {
        return field;
    }
}
