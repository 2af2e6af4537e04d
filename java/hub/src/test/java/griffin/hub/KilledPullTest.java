package griffin.hub;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** Processes that pull and are killed, as by kill -9 or a power button. */
class KilledPullTest extends HubTestCase {

    private static final long SECONDS = 60;

    private Process start(int connections) throws IOException {
        return new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1", "-cp", System.getProperty("java.class.path"), PullProcess.class.getName(),
                hub.address().toString(), store.folder().toString(), Integer.toString(connections))
                .redirectError(folder.resolve("err").toFile()).start();
    }

    private static void kill(Process process) throws InterruptedException {
        process.destroyForcibly();
        assertTrue(process.waitFor(SECONDS, TimeUnit.SECONDS), "it must end");
    }

    private static void await(CountDownLatch latch) throws IOException {
        try {
            latch.await();
        } catch (InterruptedException e) {
            throw new IOException(e);
        }
    }

    /** The ranges that the journal of the weights says are complete, by their first bytes. */
    private List<Long> finished() throws IOException {
        List<Long> starts = new ArrayList<>();
        if (!Files.isDirectory(store.folder())) {
            return starts;
        }
        try (var files = Files.walk(store.folder())) {
            for (Path journal : files.filter(path -> path.endsWith("ranges/" + WEIGHTS)).toList()) {
                Files.readAllLines(journal).stream().filter(line -> line.matches("range \\d+ " + RANGE_BYTES))
                        .forEach(line -> starts.add(Long.parseLong(line.split(" ")[1]) * RANGE_BYTES));
            }
        }
        return starts;
    }

    @Test
    void finishedRangesAreNotFetchedAgain() throws Exception {
        CountDownLatch over = new CountDownLatch(1);
        AtomicInteger served = new AtomicInteger();
        hub.storageFault = exchange -> {
            if (StandInHub.range(exchange, WEIGHT_BYTES) != null && served.getAndIncrement() >= 6) {
                await(over);
                return true;
            }
            return false;
        };
        Process process = start(3);
        try {
            // The listener's lines fill a pipe that nobody reads.
            CompletableFuture<Void> reading = CompletableFuture.runAsync(() -> {
                try {
                    process.getInputStream().readAllBytes();
                } catch (IOException e) {
                    throw new java.io.UncheckedIOException(e);
                }
            });
            for (long end = System.nanoTime() + SECONDS * 1_000_000_000L; finished().size() < 6;) {
                assertTrue(System.nanoTime() < end && process.isAlive(), Files.readString(folder.resolve("err")));
                Thread.sleep(20);
            }
            kill(process);
            reading.handle((done, failed) -> done).get(SECONDS, TimeUnit.SECONDS);
        } finally {
            over.countDown();
            process.destroyForcibly();
        }
        List<Long> before = finished();
        assertTrue(store.list().isEmpty() && store.find(NAME).isEmpty(), "half of a model is found");
        hub.storageFault = exchange -> false;
        hub.forgetRequests();
        assertWhole(pull());
        List<Long> after = starts();
        assertEquals(11 - 6, after.size());
        assertTrue(after.stream().noneMatch(before::contains), before + " were there, fetched " + after);
    }

    /** Killed at random moments, also while the files are put in place, a pull is resumed until one ends; never is half of it found. */
    @Test
    void anyMomentWillDo() throws Exception {
        Random random = new Random(4);
        int ended = 0;
        for (int round = 0; round < 12; round++) {
            long enough = random.nextInt(3) == 0 ? Long.MAX_VALUE : random.nextLong(WEIGHT_BYTES);
            Process process = start(1 + random.nextInt(4));
            try (BufferedReader lines = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
                long all = WEIGHT_BYTES;
                for (String line; (line = lines.readLine()) != null && Long.parseLong(line) < Math.min(enough, all);) {
                    assertTrue(store.list().isEmpty(), "half of a model is listed");
                }
            } finally {
                kill(process);
            }
            if (store.find(NAME).isPresent()) {
                assertWhole(store.find(NAME).get());
                ended++;
                store.remove(NAME);
            } else {
                assertTrue(store.list().isEmpty());
            }
        }
        assertWhole(pull());
        assertTrue(ended < 12, "some were killed before their end");
        assertEquals(List.of(), heard.notes);
    }
}
