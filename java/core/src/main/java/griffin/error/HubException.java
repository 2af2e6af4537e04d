package griffin.error;

/** A model could not be fetched from a hub, or kept in the folder of fetched models: says what was asked, what came, and what to do. */
public final class HubException extends GriffinException {

    private static final long serialVersionUID = 1L;

    public HubException(String message) {
        this(message, null);
    }

    public HubException(String message, Throwable cause) {
        super(message, cause);
    }
}
