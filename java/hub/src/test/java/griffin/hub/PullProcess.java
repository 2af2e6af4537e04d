package griffin.hub;

import java.net.URI;
import java.nio.file.Path;
import java.util.Optional;

/** A pull as a process of its own, for tests that kill it; prints how many bytes are there whenever that changes. */
final class PullProcess {

    private PullProcess() {}

    /** Arguments: hub, store, connections. */
    public static void main(String[] args) {
        HubSettings settings = new HubSettings(URI.create(args[0]), Optional.empty(), "main", Integer.parseInt(args[2]));
        ModelStore.of(Path.of(args[1])).pull(HubTestCase.NAME, settings, new PullListener() {
            @Override
            public void progress(long bytes, long of) {
                System.out.println(bytes);
            }
        }, HubTestCase.LIMITS);
    }
}
