package griffin.error;

/** A saved state is damaged, or belongs to another model. */
public final class StateFormatException extends GriffinException {

    private static final long serialVersionUID = 1L;

    public StateFormatException(String message) {
        this(message, null);
    }

    public StateFormatException(String message, Throwable cause) {
        super(message, cause);
    }
}
