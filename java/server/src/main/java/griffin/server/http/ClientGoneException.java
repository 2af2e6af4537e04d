package griffin.server.http;

import org.eclipse.jetty.io.QuietException;

/** Whoever asked has closed the connection, or reads no more: there is nobody to answer, and nothing to log. */
public final class ClientGoneException extends RuntimeException implements QuietException {

    private static final long serialVersionUID = 1L;

    public ClientGoneException(Throwable cause) {
        super("the client has gone", cause);
    }
}
