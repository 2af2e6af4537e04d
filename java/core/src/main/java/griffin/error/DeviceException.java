package griffin.error;

/** A device call failed: names the call, its code and the driver's own text. */
public final class DeviceException extends GriffinException {

    private static final long serialVersionUID = 1L;

    public DeviceException(String message) {
        this(message, null);
    }

    public DeviceException(String message, Throwable cause) {
        super(message, cause);
    }
}
