package griffin.server.http;

/** Whoever asked has closed the connection, or reads no more: there is nobody to answer. */
public final class ClientGoneException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    public ClientGoneException(Throwable cause) {
        super("the client has gone", cause);
    }
}
