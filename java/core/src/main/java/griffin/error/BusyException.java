package griffin.error;

/** There is no room for another request just now: says how many wait, and that trying again later may help. */
public final class BusyException extends GriffinException {

    private static final long serialVersionUID = 1L;

    public BusyException(String message) {
        super(message, null);
    }
}
