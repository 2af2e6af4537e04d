package griffin.server.http;

/**
 * A path and what it does.
 *
 * @param method GET (which serves HEAD, too), POST, PUT or DELETE
 * @param path   the whole path, or a prefix that ends in a slash for all that begins with it
 * @param open   whether it is served without the API key, and while the server drains
 * @param errors the form of its errors
 */
public record Route(String method, String path, boolean open, ErrorShape errors, Action action) {

    /** What a route does. */
    @FunctionalInterface
    public interface Action {

        /**
         * Answers, in full.
         *
         * @throws HttpError to answer with that, if nothing was sent yet
         */
        void serve(Exchange exchange) throws InterruptedException;
    }

    boolean fits(String asked) {
        return path.endsWith("/") && path.length() > 1 ? asked.startsWith(path) && asked.length() > path.length() : asked.equals(path);
    }

    boolean allows(String asked) {
        return method.equals(asked) || method.equals("GET") && asked.equals("HEAD");
    }
}
