package griffin.hub;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpExchange;
import griffin.error.HubException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Storages that break off, lie and change, and disks that fail. */
class BrokenTransfersTest extends HubTestCase {

    /** Sends a part of what is asked for: as many bytes as it says it will send, if {@code announced}, and then breaks off. */
    private void sendPart(HttpExchange exchange, int bytes, boolean announced) throws IOException {
        long[] range = StandInHub.range(exchange, WEIGHT_BYTES);
        byte[] content = Files.readAllBytes(repository.resolve(WEIGHTS));
        int length = (int) (range[1] - range[0] + 1);
        exchange.getResponseHeaders().set("Content-Range", "bytes " + range[0] + "-" + range[1] + "/" + WEIGHT_BYTES);
        exchange.sendResponseHeaders(206, announced ? length : 0);
        exchange.getResponseBody().write(content, (int) range[0], Math.min(bytes, length));
        exchange.getResponseBody().flush();
        if (!announced) {
            exchange.getResponseBody().close();
        }
    }

    private static boolean isWeights(HttpExchange exchange) {
        return StandInHub.range(exchange, WEIGHT_BYTES) != null;
    }

    /** Dropped connections, and bodies that end early in good order: what came is kept, and the rest asked for. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void partsAddUp(boolean announced) throws IOException {
        Random random = new Random(3);
        AtomicLong sent = new AtomicLong();
        hub.storageFault = exchange -> {
            if (!isWeights(exchange)) {
                return false;
            }
            int bytes = 1 + random.nextInt(30_000);
            long[] range = StandInHub.range(exchange, WEIGHT_BYTES);
            sent.addAndGet(Math.min(bytes, range[1] - range[0] + 1));
            sendPart(exchange, bytes, announced);
            return true;
        };
        // Java's client may drop what came before a connection broke: an attempt may gain nothing.
        Patience much = new Patience(PATIENCE.connect(), PATIENCE.answer(), PATIENCE.silence(), PATIENCE.firstPause(),
                PATIENCE.longestPause(), PATIENCE.longestWait(), 200);
        assertWhole(store.pull(NAME, settings(), heard, new PullLimits(much, RANGE_BYTES, DiskFile::open)));
        assertTrue(announced || sent.get() == WEIGHT_BYTES, "no byte twice where none was lost: " + sent);
    }

    @Test
    void aStorageThatSendsNothingIsGivenUp() {
        hub.storageFault = exchange -> {
            if (isWeights(exchange)) {
                sendPart(exchange, 0, true);
                return true;
            }
            return false;
        };
        assertContains(failure(), "fetching model.safetensors failed 5 times", "what was fetched, if anything, is kept");
    }

    @Test
    void silenceIsEndedAndTheRestFetched() throws IOException {
        CountDownLatch over = new CountDownLatch(1);
        AtomicInteger silent = new AtomicInteger();
        hub.storageFault = exchange -> {
            if (isWeights(exchange) && silent.getAndIncrement() < 2) {
                sendPart(exchange, 1000, true);
                await(over);
                return true;
            }
            return false;
        };
        Patience little = new Patience(PATIENCE.connect(), PATIENCE.answer(), Duration.ofMillis(300), PATIENCE.firstPause(),
                PATIENCE.longestPause(), PATIENCE.longestWait(), PATIENCE.attempts());
        try {
            assertWhole(store.pull(NAME, settings(), heard, new PullLimits(little, RANGE_BYTES, DiskFile::open)));
        } finally {
            over.countDown();
        }
        assertTrue(starts().stream().anyMatch(start -> start % RANGE_BYTES == 1000), "goes on behind what came");
    }

    @Test
    void anAnswerThatDoesNotComeIsGivenUp() throws IOException {
        CountDownLatch over = new CountDownLatch(1);
        hub.hubFault = exchange -> {
            await(over);
            return true;
        };
        Patience little = new Patience(PATIENCE.connect(), Duration.ofMillis(200), PATIENCE.silence(), PATIENCE.firstPause(),
                PATIENCE.longestPause(), PATIENCE.longestWait(), 2);
        try {
            HubException e = assertThrows(HubException.class,
                    () -> store.pull(NAME, settings(), heard, new PullLimits(little, RANGE_BYTES, DiskFile::open)));
            assertContains(e.getMessage(), "no answer in 0.2 s");
        } finally {
            over.countDown();
        }
    }

    private static void await(CountDownLatch latch) throws IOException {
        try {
            latch.await();
        } catch (InterruptedException e) {
            throw new IOException(e);
        }
    }

    /** The right number of other bytes. */
    private boolean sendWrong(HttpExchange exchange) throws IOException {
        long[] range = StandInHub.range(exchange, WEIGHT_BYTES);
        if (range == null || range[0] != 3 * RANGE_BYTES) {
            return false;
        }
        exchange.getResponseHeaders().set("Content-Range", "bytes " + range[0] + "-" + range[1] + "/" + WEIGHT_BYTES);
        exchange.sendResponseHeaders(206, range[1] - range[0] + 1);
        exchange.getResponseBody().write(random(9, (int) (range[1] - range[0] + 1)));
        return true;
    }

    @Test
    void aWrongHashIsFetchedOnceMore() throws IOException {
        AtomicInteger times = new AtomicInteger();
        hub.storageFault = exchange -> StandInHub.range(exchange, WEIGHT_BYTES) != null
                && StandInHub.range(exchange, WEIGHT_BYTES)[0] == 3 * RANGE_BYTES && times.getAndIncrement() == 0 && sendWrong(exchange);
        assertWhole(pull());
        assertEquals(1, heard.notes.size());
        assertContains(heard.notes.getFirst(), "model.safetensors: its content does not have the hash that the hub tells, sha256 ",
                "deleted, and fetched again");
    }

    @Test
    void twoWrongHashesAreTheEnd() throws IOException {
        hub.storageFault = this::sendWrong;
        assertContains(failure(), "model.safetensors of tiny/random: its content does not have the hash",
                "also when fetched again; it was deleted",
                "damaged");
        try (var left = Files.walk(store.folder())) {
            assertFalse(left.anyMatch(path -> path.endsWith(WEIGHTS)), "deleted");
        }
        hub.storageFault = exchange -> false;
        assertWhole(pull());
    }

    @Test
    void wrongHashesOfSmallFilesAreSeen() {
        hub.hubFault = exchange -> {
            if (!exchange.getRequestURI().getPath().endsWith("/config.json")) {
                return false;
            }
            StandInHub.answer(exchange, 200, "text/plain", "x".repeat((int) Files.size(repository.resolve("config.json"))));
            return true;
        };
        assertContains(failure(), "config.json of tiny/random: its content does not have the hash that the hub tells, git blob ");
    }

    /** Stops a pull when so many ranges of the weights are there. */
    private List<Long> stopAfter(int ranges) {
        AtomicInteger served = new AtomicInteger();
        CountDownLatch over = new CountDownLatch(1);
        hub.storageFault = exchange -> {
            if (isWeights(exchange) && served.getAndIncrement() >= ranges) {
                heard.cancelled = true;
                await(over);
                return true;
            }
            return false;
        };
        try {
            assertThrows(CancellationException.class, () -> store.pull(NAME, settings().withConnections(1), heard, LIMITS));
        } finally {
            over.countDown();
        }
        assertTrue(store.list().isEmpty() && store.find(NAME).isEmpty());
        List<Long> before = new ArrayList<>(starts().subList(0, ranges));
        hub.storageFault = exchange -> false;
        heard.cancelled = false;
        hub.forgetRequests();
        return before;
    }

    @Test
    void whatIsThereIsNotFetchedAgain() throws IOException {
        List<Long> before = stopAfter(4);
        assertWhole(pull());
        List<Long> after = starts();
        assertEquals(4L * RANGE_BYTES,
                heard.plan.present() - Files.size(repository.resolve("LICENSE")) - Files.size(repository.resolve("README.md"))
                        - Files.size(repository.resolve("generation_config.json")) - Files.size(repository.resolve("tokenizer.json")));
        assertEquals(11 - 4, after.size());
        assertTrue(after.stream().noneMatch(before::contains), before + " and " + after);
        assertEquals(List.of(), heard.notes);
    }

    @Test
    void aContentThatChangedIsNotMixed() throws IOException {
        stopAfter(4);
        hub.etagPrefix = "other-";
        assertWhole(pull());
        assertContains(heard.notes.getFirst(), "model.safetensors: it changed at the storage", "fetched again");
        assertTrue(starts().contains(0L), "from the beginning");
    }

    @Test
    void anotherCommitBeginsAnew() throws IOException {
        stopAfter(4);
        Files.write(repository.resolve(WEIGHTS), random(7, WEIGHT_BYTES));
        assertWhole(pull());
        assertEquals(11, starts().size());
        try (var left = Files.walk(store.folder())) {
            assertTrue(left.noneMatch(path -> path.toString().contains(".partial")));
        }
    }

    /** Journals that were torn, changed or lost cost time, never the content. */
    @Test
    void damagedJournalsAreNoHarm() throws IOException {
        Random random = new Random(11);
        for (int i = 0; i < 30; i++) {
            stopAfter(1 + random.nextInt(9));
            Path partial;
            try (var left = Files.walk(store.folder())) {
                partial = left.filter(path -> path.endsWith("ranges/" + WEIGHTS)).findFirst().orElseThrow();
            }
            byte[] journal = Files.readAllBytes(partial);
            switch (i % 5) {
                case 0 -> Files.write(partial, java.util.Arrays.copyOf(journal, random.nextInt(journal.length)));
                case 1 -> {
                    journal[random.nextInt(journal.length)] = (byte) random.nextInt(256);
                    Files.write(partial, journal);
                }
                case 2 -> Files.delete(partial);
                case 3 -> Files.write(partial, random(i, 500));
                default -> Files.write(partial.resolveSibling("../files/" + WEIGHTS).normalize(), new byte[100]);
            }
            assertWhole(pull());
            store.remove(NAME);
        }
    }

    @Test
    void lessAtTheStorageThanTheHubSays() {
        hub.storageFault = exchange -> {
            if (!isWeights(exchange)) {
                return false;
            }
            exchange.getResponseHeaders().set("Content-Range", "bytes */10");
            exchange.sendResponseHeaders(416, -1);
            return true;
        };
        assertContains(failure(), "the storage has less of it than the hub says, also when fetched again");
    }

    @Test
    void otherRangesThanAskedForAreRefused() {
        for (String range : List.of("bytes 1-10/" + WEIGHT_BYTES, "bytes */5", "what")) {
            hub.storageFault = exchange -> {
                if (!isWeights(exchange) || StandInHub.range(exchange, WEIGHT_BYTES)[0] != 0) {
                    return false;
                }
                exchange.getResponseHeaders().set("Content-Range", range);
                StandInHub.answer(exchange, 206, "application/octet-stream", "0123456789");
                return true;
            };
            assertContains(failure(), "answered with another part of it");
        }
        hub.storageFault = exchange -> {
            if (!isWeights(exchange)) {
                return false;
            }
            exchange.getResponseHeaders().set("Content-Range", "bytes " + StandInHub.range(exchange, WEIGHT_BYTES)[0] + "-9/10");
            StandInHub.answer(exchange, 206, "application/octet-stream", "0123456789");
            return true;
        };
        assertContains(failure(), "it has 10 bytes at the storage, where the hub says " + WEIGHT_BYTES);
    }

    /** A captive portal, for one. */
    @Test
    void htmlInsteadOfWeightsIsRefused() {
        hub.storageFault = exchange -> {
            StandInHub.answer(exchange, 200, "text/html; charset=utf-8", "<html>Sign in</html>");
            return true;
        };
        assertContains(failure(), "answered 200 with 20 bytes of text/html where ", " was expected");
    }

    @Test
    void aStorageWithoutRangesGivesWholeFiles() throws IOException {
        Files.delete(repository.resolve("tokenizer.json"));
        AtomicInteger inOneRange = new AtomicInteger();
        hub.storageFault = exchange -> {
            byte[] content = Files.readAllBytes(repository.resolve(WEIGHTS));
            exchange.sendResponseHeaders(200, content.length);
            // The first one that is read to its end breaks off in the middle, and there is no way to go on from there.
            boolean half = StandInHub.range(exchange, WEIGHT_BYTES) == null && inOneRange.getAndIncrement() == 0;
            exchange.getResponseBody().write(content, 0, half ? content.length / 2 : content.length);
            return true;
        };
        assertWhole(pull(), READ.subList(0, 5));
        assertTrue(inOneRange.get() > 0, "it was asked for in one range");
        assertEquals(List.of(), heard.notes);
    }

    /** Signed links to a storage run out; the hub gives new ones. */
    @Test
    void anExpiredLinkIsReplaced() throws IOException {
        Set<String> before = ConcurrentHashMap.newKeySet();
        hub.storageFault = exchange -> {
            if (before.add(String.valueOf(exchange.getRequestHeaders().getFirst("Range")))) {
                StandInHub.answer(exchange, 403, "application/xml", "<Error>expired</Error>");
                return true;
            }
            return false;
        };
        assertWhole(pull());
        store.remove(NAME);
        hub.storageFault = exchange -> {
            StandInHub.answer(exchange, 403, "application/xml", "<Error>expired</Error>");
            return true;
        };
        assertContains(failure(), "the storage host 127.0.0.1 answered 403");
    }

    /** A disk that is full after so many bytes. */
    private static DiskFile.Opener fullAfter(AtomicLong room) {
        return path -> {
            DiskFile real = DiskFile.open(path);
            return new DiskFile() {
                @Override
                public void write(ByteBuffer bytes, long at) throws IOException {
                    if (room.addAndGet(-bytes.remaining()) < 0) {
                        throw new IOException("No space left on device");
                    }
                    real.write(bytes, at);
                }

                @Override
                public int read(ByteBuffer into, long at) throws IOException {
                    return real.read(into, at);
                }

                @Override
                public void force() throws IOException {
                    real.force();
                }

                @Override
                public long size() throws IOException {
                    return real.size();
                }

                @Override
                public void close() throws IOException {
                    real.close();
                }
            };
        };
    }

    @Test
    void aDiskThatFillsUpIsSaidAndGoneOnWith() throws IOException {
        AtomicLong room = new AtomicLong(5 * RANGE_BYTES);
        PullLimits limits = new PullLimits(PATIENCE, RANGE_BYTES, fullAfter(room));
        HubException e = assertThrows(HubException.class, () -> store.pull(NAME, settings().withConnections(2), heard, limits));
        assertContains(e.getMessage(), WEIGHTS + " cannot be written: No space left on device", "make room, then pull again");
        assertTrue(store.list().isEmpty() && store.find(NAME).isEmpty());
        hub.forgetRequests();
        assertWhole(pull());
        assertTrue(heard.plan.present() > 3 * RANGE_BYTES, "what fitted is kept: " + heard.plan);
    }
}
