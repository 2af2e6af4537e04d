package griffin.error;

/** A model's files are missing, damaged or not a Griffin model: names the file, the tensor, what was expected and found. */
public final class ModelFormatException extends GriffinException {

    private static final long serialVersionUID = 1L;

    public ModelFormatException(String message) {
        this(message, null);
    }

    public ModelFormatException(String message, Throwable cause) {
        super(message, cause);
    }
}
