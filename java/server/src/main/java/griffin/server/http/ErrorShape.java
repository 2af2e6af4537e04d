package griffin.server.http;

/** The form that an API gives to its errors. */
@FunctionalInterface
public interface ErrorShape {

    /** The error as the API's JSON, in UTF-8. */
    byte[] body(HttpError error);
}
