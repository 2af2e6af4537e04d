package griffin.server.http;

/** For statistics. */
@FunctionalInterface
public interface RequestObserver {

    /**
     * A request was served.
     *
     * @param path   the path of its route, or {@code other} where there is none
     * @param status of the answer
     * @param nanos  from the request's arrival to the end of the answer
     */
    void served(String path, int status, long nanos);
}
