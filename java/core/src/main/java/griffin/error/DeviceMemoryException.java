package griffin.error;

/** Memory did not suffice: says how much was asked, how much is free and what would fit. */
public final class DeviceMemoryException extends GriffinException {

    private static final long serialVersionUID = 1L;

    public DeviceMemoryException(String message) {
        this(message, null);
    }

    public DeviceMemoryException(String message, Throwable cause) {
        super(message, cause);
    }
}
