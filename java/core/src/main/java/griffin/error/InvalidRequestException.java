package griffin.error;

/** A call's arguments do not fit the model or each other: says what was asked and what is possible. */
public final class InvalidRequestException extends GriffinException {

    private static final long serialVersionUID = 1L;

    public InvalidRequestException(String message) {
        this(message, null);
    }

    public InvalidRequestException(String message, Throwable cause) {
        super(message, cause);
    }
}
