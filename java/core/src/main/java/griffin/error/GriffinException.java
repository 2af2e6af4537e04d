package griffin.error;

/**
 * Everything this library reports to its user. The message says what was asked, what was found and what to do; the
 * subclass says which part of the world was at fault.
 */
public abstract sealed class GriffinException extends RuntimeException
        permits ModelFormatException, StateFormatException, BackendUnavailableException, DeviceException, DeviceMemoryException,
        InvalidRequestException, BusyException, HubException {

    private static final long serialVersionUID = 1L;

    GriffinException(String message, Throwable cause) {
        super(message, cause);
    }
}
