package griffin.hub;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.hub.StandInHub.Request;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Pulls that go well. */
class PullTest extends HubTestCase {

    @Test
    void whatIsReadIsFetchedOnce() throws IOException {
        Path found = pull();
        assertWhole(found);
        List<String> asked = hub.requests().stream().map(Request::path).toList();
        assertFalse(asked.stream().anyMatch(path -> path.contains("gguf") || path.contains("training")), asked::toString);
        long sum = 0;
        for (String name : READ) {
            sum += Files.size(found.resolve(name));
        }
        Installed installed = store.list().getFirst();
        assertEquals(new Installed(NAME, sum, found.getFileName().toString(), installed.pulled(), found), installed);
        assertEquals(1, store.list().size());
        assertEquals(sum, heard.bytes);
        assertEquals(sum, heard.of);
        assertEquals(5, heard.plan.files());
        assertEquals(0, heard.plan.present());
        assertEquals(List.of(), heard.notes);
        List<Long> each = new ArrayList<>();
        for (long start = 0; start < WEIGHT_BYTES; start += RANGE_BYTES) {
            each.add(start);
        }
        assertEquals(each, starts(), "each range once");
        hub.forgetRequests();
        assertEquals(found, pull());
        assertEquals(1, hub.requests().size(), "what is here is not fetched again");
        try (Stream<Path> left = Files.walk(store.folder())) {
            assertTrue(left.noneMatch(path -> path.toString().contains(".partial")));
        }
    }

    private static final int BLOCK = Transfer.BLOCK_BYTES;
    private static final int LARGE = 5 * BLOCK + 123;

    /** Pulls weights of a few blocks in ranges of two, and returns what each write at a place had. */
    private Map<Long, Integer> writes() throws IOException {
        Files.write(repository.resolve(WEIGHTS), random(2, LARGE));
        Map<Long, Integer> writes = new ConcurrentSkipListMap<>();
        DiskFile.Opener watched = path -> {
            DiskFile real = DiskFile.open(path);
            return !path.endsWith(WEIGHTS) ? real
                    : (DiskFile) Proxy.newProxyInstance(DiskFile.class.getClassLoader(), new Class<?>[] {DiskFile.class},
                            (proxy, method, given) -> {
                                if (method.getName().equals("write")) {
                                    writes.put((Long) given[1], ((ByteBuffer) given[0]).remaining());
                                }
                                return method.invoke(real, given);
                            });
        };
        assertWhole(store.pull(NAME, settings().withConnections(2), heard, new PullLimits(PATIENCE, 2 * BLOCK, watched)));
        return writes;
    }

    /** As pages of 2 MiB need them. */
    @Test
    void blocksAreWrittenWhole() throws IOException {
        long b = BLOCK;
        assertEquals(Map.of(0L, BLOCK, b, BLOCK, 2 * b, BLOCK, 3 * b, BLOCK, 4 * b, BLOCK, 5 * b, 123), writes());
    }

    /** What came before a connection ended is kept, and the next write ends where its block does. */
    @Test
    void aBrokenBlockIsGoneOnWith() throws IOException {
        AtomicBoolean broken = new AtomicBoolean();
        hub.storageFault = exchange -> {
            long[] range = StandInHub.range(exchange, LARGE);
            if (range == null || range[0] != 0 || !broken.compareAndSet(false, true)) {
                return false;
            }
            exchange.getResponseHeaders().set("Content-Range", "bytes 0-" + range[1] + "/" + LARGE);
            exchange.sendResponseHeaders(206, 0);
            exchange.getResponseBody().write(random(2, LARGE), 0, 1000);
            exchange.getResponseBody().close();
            return true;
        };
        long b = BLOCK;
        assertEquals(Map.of(0L, 1000, 1000L, BLOCK - 1000, b, BLOCK, 2 * b, BLOCK, 3 * b, BLOCK, 4 * b, BLOCK, 5 * b, 123), writes());
    }

    /** As many requests at once as there are connections: each waits for the others. */
    @Test
    void rangesAreFetchedSideBySide() throws IOException {
        CyclicBarrier all = new CyclicBarrier(4);
        hub.storageFault = exchange -> {
            long[] range = StandInHub.range(exchange, WEIGHT_BYTES);
            if (range != null && range[0] < 4 * RANGE_BYTES) {
                try {
                    all.await(30, TimeUnit.SECONDS);
                } catch (Exception e) {
                    throw new IOException(e);
                }
            }
            return false;
        };
        assertWhole(store.pull(NAME, settings().withConnections(4), heard, LIMITS));
        hub.storageFault = exchange -> false;
        store.remove(NAME);
        assertWhole(store.pull(NAME, settings().withConnections(1), heard, LIMITS));
    }

    @Test
    void shardsAreThoseOfTheIndex() throws IOException {
        Files.delete(repository.resolve(WEIGHTS));
        Files.write(repository.resolve("model-1.safetensors"), random(1, 100_000));
        Files.write(repository.resolve("model-2.safetensors"), random(2, 0));
        Files.write(repository.resolve("model-3.safetensors"), random(3, RANGE_BYTES));
        Files.write(repository.resolve("other.safetensors"), random(4, 1000));
        Files.writeString(repository.resolve("model.safetensors.index.json"), "{\"weight_map\": {\"a\": \"model-1.safetensors\", "
                + "\"b\": \"model-2.safetensors\", \"c\": \"model-3.safetensors\", \"d\": \"model-1.safetensors\"}}");
        assertWhole(pull(),
                List.of("LICENSE", "README.md", "config.json", "generation_config.json", "tokenizer.json", "model-1.safetensors",
                        "model-2.safetensors", "model-3.safetensors", "model.safetensors.index.json"));
    }

    @Test
    void anotherRevisionReplacesTheFirst() throws IOException {
        Path first = pull();
        byte[] changed = random(2, WEIGHT_BYTES);
        Files.write(repository.resolve(WEIGHTS), changed);
        Files.delete(repository.resolve("LICENSE"));
        Path second = pull();
        assertNotEquals(first, second);
        assertWhole(second, READ.subList(1, READ.size()));
        assertFalse(Files.exists(first));
        assertEquals(1, store.list().size());
        HubSettings exact = settings().withRevision(second.getFileName().toString());
        assertEquals(second, store.pull(NAME, exact, heard, LIMITS));
    }

    /** What the description leaves out is asked for file by file. */
    @Test
    void sizesAndHashesMayComeFromHeaders() throws IOException {
        hub.hubFault = exchange -> {
            if (!exchange.getRequestURI().getPath().startsWith("/api/")) {
                return false;
            }
            StandInHub.answer(exchange, 200, "application/json",
                    "{\"sha\":\"" + commit() + "\",\"siblings\":[{\"rfilename\":\"config.json\"},"
                            + "{\"rfilename\":\"model.safetensors\"},{\"rfilename\":\"tokenizer.json\"},{\"rfilename\":\"README.md\"}]}");
            return true;
        };
        assertWhole(pull(), List.of("config.json", WEIGHTS, "tokenizer.json"));
        assertTrue(hub.requests().stream().anyMatch(request -> request.method().equals("HEAD")));
        assertTrue(hub.requests().stream().noneMatch(request -> request.method().equals("HEAD") && request.toStorage()));
    }

    /** The commit that the hub would tell, from a hub of its own. */
    private String commit() {
        try (StandInHub other = new StandInHub(folder.resolve("served"));
                Hub asking = new Hub(HubSettings.of(other.address().toString(), null, Map.of(), folder), NAME, PATIENCE, () -> false)) {
            return asking.describe().commit();
        }
    }

    @Test
    void theLicenceIsToldOnce() throws IOException {
        ModelName gemma = ModelName.parse("recurrentgemma:2b-it");
        Files.createDirectories(folder.resolve("served/google"));
        for (String size : List.of("2b", "2b-it")) {
            Files.createSymbolicLink(folder.resolve("served/google/recurrentgemma-" + size), repository);
        }
        store.pull(gemma, settings(), heard, LIMITS);
        assertEquals(1, heard.notes.stream().filter(note -> note.contains("Gemma's terms")).count(), heard.notes::toString);
        store.pull(ModelName.parse("recurrentgemma:2b"), settings(), heard, LIMITS);
        assertEquals(1, heard.notes.size());
        assertEquals(List.of("google/recurrentgemma-2b", "google/recurrentgemma-2b-it"),
                store.list().stream().map(installed -> installed.name().toString()).toList());
    }

    @Test
    void theTokenGoesToTheHubAlone() throws IOException {
        assertWhole(store.pull(NAME, settings("hf_secret"), heard, LIMITS));
        assertTrue(hub.requests().stream().anyMatch(Request::toStorage));
        for (Request request : hub.requests()) {
            assertEquals(Optional.ofNullable(request.toStorage() ? null : "Bearer hf_secret"),
                    Optional.ofNullable(request.authorization()));
        }
    }

    @Test
    void theTokenStaysWhereOthersCouldReadIt() throws IOException {
        Hub open = new Hub(new HubSettings(HubSettings.address("http://hub.example", "--hub"), settings("x").token(), "main", 1), NAME,
                PATIENCE,
                () -> false);
        assertTrue(open.keepsTokenBack());
        open.close();
        assertTrue(HubHttp.isPrivate(HubSettings.address("https://hub.example", "--hub")));
        assertTrue(HubHttp.isPrivate(hub.address()));
        assertFalse(HubHttp.isPrivate(HubSettings.address("http://127.0.0.1.example", "--hub")));
    }
}
