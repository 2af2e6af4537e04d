package griffin.error;

/** A backend cannot run here: names it, the reason and the remedy. */
public final class BackendUnavailableException extends GriffinException {

    private static final long serialVersionUID = 1L;

    public BackendUnavailableException(String message) {
        this(message, null);
    }

    public BackendUnavailableException(String message, Throwable cause) {
        super(message, cause);
    }
}
